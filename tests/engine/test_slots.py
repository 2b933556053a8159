"""Gates by slot, and units padded to whole panels."""

import pytest
import torch

from elman.cells import CELLS
from elman.engine.plan import Plan
from elman.engine.slots import by_slot, gates, pad_units


def test_gates_of_the_slots_of_each_product() -> None:
    """GRU's slots are x.n, a.r, a.z, u.n: W feeds n r z, U feeds r z n."""
    plan = Plan(CELLS["gru"])
    by_gate = torch.arange(6.0).view(3, 2)  # gates r z n
    assert gates(plan, "xa") == (2, 0, 1) and gates(plan, "au") == (0, 1, 2)
    assert torch.equal(by_slot(by_gate, plan, "xa"), by_gate[[2, 0, 1]])
    assert by_slot(by_gate, plan, "au") is by_gate


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_units_beyond_h_are_zero(axis: int) -> None:
    numbers = torch.ones(3, 3, 3)
    padded = pad_units(numbers, 5, axis)
    assert padded.shape[axis] == 5 and padded.sum() == 27
    assert torch.equal(padded.narrow(axis, 0, 3), numbers)
    assert pad_units(numbers, 3, axis) is numbers
