"""Layout of a kernel's numbers: slots, places and fields."""

import itertools

import pytest

from elman.cells import CELLS
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import plan_for

VECTOR = Vector("float", 8)


@pytest.mark.parametrize("kind", CELLS)
def test_each_products_slots_are_contiguous(kind: str) -> None:
    """W feeds x and a, U feeds a and u."""
    for backward, norm in itertools.product((False, True), repeat=2):
        plan = plan_for(CELLS[kind], VECTOR, backward=backward, norm=norm)
        letters = "".join(letter for letter, _ in plan.slots)
        assert letters == "".join(sorted(letters, key="xau".index))
        for fed in ("xa", "au"):
            low, high = plan.range(fed)
            assert all(letter in fed for letter in letters[low:high])
            assert high - low == sum(letter in fed for letter in letters)
        assert plan.multiplications == tuple(sum(s in fed for s in letters) for fed in ("xa", "au"))
        assert plan.recurrent == (CELLS[kind].recurrent)


def test_slots_of_the_classic_cells() -> None:
    assert plan_for(CELLS["lstm"], VECTOR).slots == (("a", "i"), ("a", "f"), ("a", "g"), ("a", "o"))
    assert plan_for(CELLS["gru"], VECTOR).slots == (("x", "n"), ("a", "r"), ("a", "z"), ("u", "n"))
    assert len(plan_for(CELLS["gru"], VECTOR, norm=True).slots) == 6


def test_gradients_replace_what_the_forward_pass_kept() -> None:
    lstm, elman = (plan_for(CELLS[kind], VECTOR, keep=True) for kind in ("lstm", "elman"))
    assert lstm.places == 4  # four gates kept, four gradients of sums
    assert elman.places == 1 and not elman.pair.kept
    normalised = plan_for(CELLS["gru"], VECTOR, keep=True, norm=True)
    assert normalised.first_kept == 6 and normalised.places == 6 + len(normalised.pair.kept)


def test_fields_have_different_names_and_every_state_has_its_own() -> None:
    for backward, norm in itertools.product((False, True), repeat=2):
        plan = plan_for(CELLS["slstm"], VECTOR, backward=backward, norm=norm, every=backward)
        assert len(set(plan.fields)) == len(plan.fields)
        for state in CELLS["slstm"].state:
            assert {f"s.{state}", f"stride.{state}"} <= set(plan.fields)
            assert (f"up.{state}" in plan.fields) == backward


def test_equal_options_are_one_plan() -> None:
    assert plan_for(CELLS["gru"], VECTOR, keep=True) is plan_for(CELLS["gru"], VECTOR, keep=True)
    assert plan_for(CELLS["gru"], VECTOR, keep=True) is not plan_for(CELLS["gru"], VECTOR)
