"""What a kernel reads and keeps, whatever its device."""

from elman.cells import CELLS
from elman.engine.plan import Plan


def test_a_plan_keeps_what_its_pair_names() -> None:
    """Gradients of four gates replace LSTM's four values; Elman keeps nothing, and has one gradient."""
    lstm, elman = Plan(CELLS["lstm"], keep=True), Plan(CELLS["elman"], keep=True)
    assert (lstm.places, elman.places) == (4, 1)


def test_a_gradient_that_nothing_needs_has_no_slot_going_back() -> None:
    forward, backward = Plan(CELLS["gru"]), Plan(CELLS["gru"], backward=True)
    assert set(backward.slots) <= set(forward.slots)
    assert forward.recurrent and not Plan(CELLS["mingru"]).recurrent
    assert forward.range("xa") == (0, 3) and forward.range("au") == (1, 4)
