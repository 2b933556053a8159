"""Dynamic time warping, beside a plain loop."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.transcribe.baseline import COMMONEST, DTW, Templates, warped_distances


def slow(a: Any, b: Any) -> float:
    best = np.full((len(a) + 1, len(b) + 1), math.inf)
    best[0, 0] = 0
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            cost = float(np.linalg.norm(a[i - 1] - b[j - 1]))
            ways = best[i - 1, j] + cost, best[i, j - 1] + cost, best[i - 1, j - 1] + 2 * cost
            best[i, j] = min(ways)
    return float(best[-1, -1]) / (len(a) + len(b))


@given(st.integers(1, 9), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 99))
@settings(max_examples=60)
def test_distances_are_those_of_the_definition(frames: int, lengths: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    one = torch.randn(frames, 3, generator=generator)
    each = [torch.randn(length, 3, generator=generator) for length in lengths]
    fast = warped_distances(one, torch.cat(each), torch.tensor(lengths))
    wanted = [slow(one.double().numpy(), other.double().numpy()) for other in each]
    np.testing.assert_allclose(fast, wanted, rtol=1e-6, atol=1e-9)


def test_the_nearest_text_is_answered() -> None:
    torch.manual_seed(0)
    shapes = {text: torch.randn(20, 4) for text in "abc"}
    said = [text for text in "abc" for _ in range(5)]
    templates = Templates.of(said, [shapes[text] + 0.1 * torch.randn(20, 4) for text in said], torch.clone)
    assert templates.name == DTW
    for text, shape in shapes.items():
        assert templates.answer(torch.repeat_interleave(shape, 2, 0)) == text
        assert templates.answer(torch.repeat_interleave(shape, 40, 0)) == text


@pytest.mark.parametrize(("frames", "each"), [(20, 20), (100, 10), (300, 3)])
def test_of_long_recordings_fewer_are_kept(frames: int, each: int) -> None:
    said = [text for text in "abcdefghij" for _ in range(20)]
    templates = Templates.of(said, [torch.zeros(frames, 2) for _ in said], torch.clone)
    assert templates.rows.bincount().tolist() == [each] * 10
    assert templates.lengths.tolist() == [frames] * 10 * each


def test_of_many_texts_the_commonest_is_answered() -> None:
    templates = Templates.of(["a", "b", "b"], [torch.randn(5, 4) for _ in range(3)], torch.clone)
    assert templates.name == COMMONEST and templates.answer(torch.randn(9, 4)) == "b"
    long = Templates.of(["a"] * 3, [torch.zeros(1000, 4)] * 3, torch.clone)
    assert long.name == COMMONEST


@pytest.mark.parametrize(
    "change",
    [
        {"template_features": torch.zeros(9, 3)},
        {"template_features": torch.full((10, 4), math.nan)},
        {"template_features": torch.zeros(10, 4, dtype=torch.float64)},
        {"template_lengths": torch.tensor([5, 6])},
        {"template_lengths": torch.tensor([10, 0])},
        {"template_lengths": torch.tensor([5.0, 5.0])},
        {"template_rows": torch.tensor([0, 2])},
        {"template_rows": torch.tensor([0, -1])},
        {"template_rows": torch.tensor([0])},
    ],
)
def test_templates_that_do_not_fit_are_refused(change: dict[str, torch.Tensor]) -> None:
    both = torch.tensor([0, 1])
    good = Templates(("a", "b"), torch.zeros(10, 4), torch.tensor([5, 5]), both)
    restored = Templates.restore(["a", "b"], good.tensors(), 4)
    assert restored.texts == good.texts
    with pytest.raises(ValueError, match="templates"):
        Templates.restore(["a", "b"], good.tensors() | change, 4)
