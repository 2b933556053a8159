"""A kernel's parameters: those that its options need, each once."""

import itertools

import pytest

from elman.cells import CELLS
from elman.engine.gpu.emit.plan import plan_for

OPTIONS = ("resets", "zoneout", "masked", "norm", "ragged", "streamed", "sliced", "backward")


@pytest.mark.parametrize("kind", ["slstm", "peephole-lstm", "mingru"])
def test_parameters_have_different_names(kind: str) -> None:
    for chosen in itertools.product((False, True), repeat=len(OPTIONS)):
        plan = plan_for(CELLS[kind], **dict(zip(OPTIONS, chosen, strict=True)))
        names = [*plan.tensors, *plan.numbers, *plan.constants]
        assert len(set(names)) == len(names)
        assert {f"s_{c}" for c in plan.cell.state} <= set(names)


def test_options_add_their_parameters_and_no_other() -> None:
    plain = plan_for(CELLS["lstm"])
    assert plain.tensors == ("sums", "U", "s_h", "s_c") and plain.numbers == ("T", "B")
    assert plan_for(CELLS["lstm"], resets=True).tensors == ("sums", "U", "clear", "s_h", "s_c")
    assert {"order", "lengths"} <= set(plan_for(CELLS["lstm"], ragged=True).tensors)
    assert "U" not in plan_for(CELLS["mingru"]).tensors
    backward = plan_for(CELLS["gru"], backward=True, every=True)
    assert {"above", "carry", "kept", "up_h"} <= set(backward.tensors)


def test_programs_that_share_rows_meet() -> None:
    kinds: dict[str, dict[str, int]] = {
        "resident": {},
        "sliced": {"sliced": 3, "ways": 2},
        "streamed": {"streamed": 1},
    }
    plans = {kind: plan_for(CELLS["lstm"], **options) for kind, options in kinds.items()}
    assert ["meetings" in plan.tensors for plan in plans.values()] == [False, True, True]
    assert ["GROUP" in plan.constants for plan in plans.values()] == [False, True, True]
    assert "HP" in plans["resident"].constants and "EVEN" in plans["sliced"].constants


def test_only_slots_with_a_bias_of_their_own_need_it() -> None:
    """LSTM's x.g + u.g has the sum of both biases in W x; GRU multiplies U h + b' by a gate."""
    assert "bias" not in plan_for(CELLS["lstm"]).tensors and "bias" in plan_for(CELLS["gru"]).tensors
    assert plan_for(CELLS["gru"]).products == (("a", "r"), ("a", "z"), ("u", "n"))


def test_equal_options_are_one_plan() -> None:
    assert plan_for(CELLS["gru"], keep=True) is plan_for(CELLS["gru"], keep=True)
