"""The forward kernel's text; that it computes the right numbers is for `tests/engine/gpu/test_passes.py`."""

import pytest

from elman.cells import CELLS
from elman.engine.gpu.emit.forward import Forward
from elman.engine.gpu.emit.plan import plan_for


def test_a_resident_kernel_reads_u_before_the_first_step_and_a_streamed_one_at_every_step() -> None:
    for streamed in (False, True):
        text = Forward(plan_for(CELLS["lstm"], streamed=streamed)).text()
        loop = text.index("for turn in range(last):")
        reads = [k for k in range(len(text)) if text.startswith("tl.load(U +", k)]
        assert len(reads) == 4 and all((k > loop) == streamed for k in reads)
        assert text.count("tl.dot(") == 4


def test_a_sliced_kernel_reads_its_part_of_u_once_and_begins_many_loads_before_it_waits_for_one() -> None:
    text = Forward(plan_for(CELLS["lstm"], sliced=5, ways=4, loaded=3, staged=2)).text()
    loop = text.index("for turn in range(last):")
    assert text[:loop].count("tl.load(U +") == 4 * 5 and "tl.load(U +" not in text[loop:]
    assert text.count("tl.dot(") == 4 * 5
    lines = [line.strip() for line in text[loop:].splitlines()]
    read = [k for k, line in enumerate(lines) if line.startswith("read_") and "tl.load" in line]
    dots = [k for k, line in enumerate(lines) if "tl.dot" in line]
    assert [sum(k < dot for k in read) for dot in (dots[0], dots[-1])] == [3, 5]


def test_what_a_step_needs_is_loaded_a_step_ahead() -> None:
    for options in ({}, {"sliced": 2, "ways": 2}):
        text = Forward(plan_for(CELLS["gru"], **options)).text()
        assert text.count("x_r_next = tl.load(sums") == 2  # of the first step, and in each of the next
        assert text.index("x_r = x_r_next.to(tl.float32)") < text.rindex("x_r_next = tl.load(sums")


def test_a_bias_is_loaded_before_the_first_step_but_where_units_change() -> None:
    for options in ({}, {"sliced": 2, "ways": 2}, {"streamed": 1}):
        text = Forward(plan_for(CELLS["gru"], **options)).text()
        assert text.count("tl.load(bias") == 1
        assert (text.index("tl.load(bias") > text.index("for turn")) == ("streamed" in options)


@pytest.mark.parametrize("streamed", [False, True])
def test_values_are_kept_for_training_only(streamed: bool) -> None:
    trained, used = (
        Forward(plan_for(CELLS["lstm"], keep=k, streamed=streamed)).text() for k in (True, False)
    )
    assert trained.count("tl.store(kept") == 4 and "kept" not in used


def test_a_cell_without_u_has_no_product() -> None:
    text = Forward(plan_for(CELLS["mingru"], keep=True)).text()
    assert "tl.dot" not in text and "U" not in text.replace("_U", "")
    assert "arrive(" not in text


def test_programs_that_share_rows_meet_after_every_step() -> None:
    plain, normed = (
        Forward(plan_for(CELLS["gru"], streamed=True, norm=norm)).text() for norm in (False, True)
    )
    assert plain.count("arrive(") == plain.count("wait(") == 1
    assert normed.count("arrive(") == normed.count("wait(") == 2  # also before products are normalised
    sliced = Forward(plan_for(CELLS["gru"], sliced=2, ways=2, keep=True)).text()
    stored, arrived = (sliced.index(part) for part in ("tl.store(s_h", "arrive("))
    assert stored < arrived < sliced.index("tl.store(kept"), "others wait for h alone"
