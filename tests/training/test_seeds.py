"""The random numbers of a step."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.training.seeds import set_seed, step_seed


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(0, 7))
def test_a_seed_is_pytorchs(seed: int, step: int, rank: int) -> None:
    number = step_seed(seed, step, rank)
    torch.manual_seed(number)
    expected = torch.randn(3)
    set_seed(number, torch.device("cpu"))
    assert torch.equal(torch.randn(3), expected)


def test_steps_and_ranks_draw_differently() -> None:
    numbers = {step_seed(1, step, rank) for step in range(50) for rank in range(4)}
    assert len(numbers) == 200
