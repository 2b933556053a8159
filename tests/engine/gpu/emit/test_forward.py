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


@pytest.mark.parametrize("streamed", [False, True])
def test_values_are_kept_for_training_only(streamed: bool) -> None:
    trained, used = (
        Forward(plan_for(CELLS["lstm"], keep=k, streamed=streamed)).text() for k in (True, False)
    )
    assert trained.count("tl.store(kept") == 4 and "kept" not in used


def test_a_cell_without_u_has_no_product() -> None:
    text = Forward(plan_for(CELLS["mingru"], keep=True)).text()
    assert "tl.dot" not in text and "U" not in text.replace("_U", "")
    assert "meet(" not in text


def test_programs_that_share_rows_meet_after_every_step() -> None:
    plain, normed = (
        Forward(plan_for(CELLS["gru"], streamed=True, norm=norm)).text() for norm in (False, True)
    )
    assert plain.count("meet(") == 1
    assert normed.count("meet(") == 2  # also before a row's products are normalised
