"""Draws of one input by NumPy are those of PyTorch's operations; the rest is tested in test_decode."""

import numpy as np
import pytest
import torch

from elman import decode
from elman.errors import UsageError

FIRST = torch.tensor([0])


def logits(seed: int, size: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, size)).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.3}, {"temperature": 0}, {"top_k": 2}, {"top_p": 0.5}, {"block_ngrams": 2}],
)
def test_one_input_draws_the_same_tokens(options: dict) -> None:
    def sampler() -> decode.Sampling:
        generator = torch.Generator().manual_seed(5)
        return decode.sampler(FIRST, generator=generator, banned=torch.tensor([3]), **options)

    by_torch, by_numpy = sampler(), sampler()
    for seed in range(60):
        row = logits(seed)
        expected = by_torch(torch.from_numpy(row.copy()))
        found = by_numpy.one(row)
        assert found == (None if expected is None else int(expected))
        assert found != 3 and np.array_equal(row, logits(seed))  # which stay as they are


def test_no_token_is_left_or_the_logits_are_none() -> None:
    def sampler() -> decode.Sampling:
        return decode.sampler(FIRST, banned=torch.tensor([1]))

    only_banned = np.array([[-np.inf, 1.0]], np.float32)
    assert sampler().one(only_banned) is None
    for bad in ([[np.nan, 1.0]], [[np.inf, 1.0]], [[-np.inf, -np.inf]]):
        with pytest.raises(UsageError, match="logits without NaN"):
            sampler().one(np.array(bad, np.float32))
    with pytest.raises(UsageError, match="banned must be below 1"):
        sampler().one(np.zeros((1, 1), np.float32))
