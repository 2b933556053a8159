"""The backward kernel's text; that it computes the right numbers is for `tests/engine/gpu/test_passes.py`."""

import pytest

from elman.cells import CELLS
from elman.engine.gpu.emit.backward import Backward
from elman.engine.gpu.emit.plan import plan_for


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", ["elman", "lstm", "gru", "slstm"])
def test_every_gradient_of_a_sum_is_stored_where_values_were(kind: str, streamed: bool) -> None:
    plan = plan_for(CELLS[kind], backward=True, streamed=streamed)
    text = Backward(plan).text()
    assert text.count("tl.store(kept") == len(plan.slots)
    step = text.index("tl.debug_barrier()  # gradients")
    assert text.index("tl.store(kept") > step and "tl.load(kept + (at *" not in text[step:]


def test_a_sliced_kernel_reads_the_later_steps_gradients_after_all_have_stored_theirs() -> None:
    plan = plan_for(CELLS["lstm"], backward=True, sliced=4, ways=4, loaded=4, staged=2)
    text = Backward(plan).text()
    assert text.count("tl.dot(") == text.count("tl.load(kept + (later_at") == 4
    assert text.index("wait(meetings") < text.index("tl.load(kept + (later_at")
    assert text.rindex("tl.store(kept") < text.index("arrive(meetings")


def test_a_start_of_a_sequence_passes_nothing_back() -> None:
    plain, reset = (Backward(plan_for(CELLS["gru"], backward=True, resets=r)).text() for r in (False, True))
    assert "start" not in plain
    assert reset.count("tl.where(start, 0.0,") == 3  # the old state, its gradient, through U
    streamed = Backward(plan_for(CELLS["gru"], backward=True, resets=True, streamed=True)).text()
    assert "passes = passes & (tl.load(clear + later_at" in streamed


def test_weights_of_units_are_summed_over_steps_and_rows() -> None:
    text = Backward(plan_for(CELLS["peephole-lstm"], backward=True)).text()
    for name in ("p_i", "p_f", "p_o"):
        assert f"total_{name} += tl.where(do," in text
    assert text.count("tl.store(totals") == 3
