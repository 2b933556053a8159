"""Looking at a model from all sides."""

import pytest
import torch

from elman import UsageError, lens
from small_view import small_layer, small_view


@pytest.mark.parametrize("sequence", [-1, 2])
def test_no_such_sequence(sequence: int) -> None:
    with pytest.raises(UsageError, match="sequence must be a number from 0 to 1"):
        lens.look(small_view(small_layer()), sequence=sequence)


def test_a_module_without_answers() -> None:
    report = lens.look(small_layer(), torch.randn(300, 1, 3))
    assert report.answer == "" and not report.sections[-1].pictures  # too many steps to draw
    report.html()


def test_a_module_that_calls_no_recurrent_layer() -> None:
    class Idle(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = small_layer()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    with pytest.raises(UsageError, match="Idle called no recurrent layer"):
        lens.look(Idle(), torch.randn(3, 1, 3))


def test_numbers_that_are_not_finite_have_no_horizon() -> None:
    x = torch.randn(5, 2, 3)
    x[2, 0, 1] = torch.nan
    with pytest.raises(UsageError, match="first_bad_step"):
        lens.memory_horizon(small_layer(), x)
    report = lens.look(small_layer(), x)
    assert "first at step 2 of sequence 0" in str(report) and "memory" not in report.to_dict()


def test_a_score_that_is_no_tensor() -> None:
    with pytest.raises(UsageError, match="score must return a tensor"):
        lens.attach(small_layer(), lambda result: 1.0).look(torch.randn(3, 1, 3))
