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
