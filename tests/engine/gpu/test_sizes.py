"""Layouts for the GPUs that a test need not have."""

import itertools

import pytest
import torch

from elman.cells import CELLS
from elman.engine.gpu.emit.plan import plan_for
from elman.engine.gpu.passes import kernel_for
from elman.engine.gpu.sizes import PART, ROWS, Gpu, Split, gpu_of, is_resident, layout_for, power, split

H100, A100, ADA = Gpu(132, 227 * 1024), Gpu(108, 163 * 1024), Gpu(128, 99 * 1024)
LSTM, STREAMED = plan_for(CELLS["lstm"]), plan_for(CELLS["lstm"], streamed=True)


@pytest.mark.parametrize(
    ("gpu", "hidden", "dtype", "resident"),
    [
        (H100, 64, torch.float32, True),
        (H100, 65, torch.float32, False),
        (H100, 128, torch.bfloat16, True),
        (H100, 256, torch.bfloat16, False),
        (A100, 64, torch.float32, True),
        (ADA, 64, torch.float32, False),
        (ADA, 64, torch.float16, True),
    ],
)
def test_a_program_holds_u_where_it_has_room(
    gpu: Gpu, hidden: int, dtype: torch.dtype, resident: bool
) -> None:
    assert is_resident(LSTM, hidden, dtype, gpu) == resident


@pytest.mark.parametrize(
    ("heads", "dtype", "resident"),
    [
        (12, torch.float32, True),
        (8, torch.float32, False),
        (6, torch.bfloat16, True),
        (4, torch.bfloat16, False),
    ],
)
def test_a_program_holds_a_heads_block_of_u_where_it_has_room(
    heads: int, dtype: torch.dtype, resident: bool
) -> None:
    """Otherwise, and with layer normalisation, kernels take the dense matrix."""
    plan = kernel_for(CELLS["lstm"], 768, 20, dtype, H100, heads, norm=False)
    assert plan.heads == (heads if resident else 1)
    assert (plan.sliced > 0 or plan.streamed) != resident
    if resident:
        layout = layout_for(plan, 768, 20, dtype, H100)
        assert layout.grid == (2, heads) and layout.constants["D"] == 768 // heads <= layout.constants["HP"]
    assert kernel_for(CELLS["lstm"], 768, 20, dtype, H100, heads, norm=True).heads == 1


@pytest.mark.parametrize("batch", [1, 16, 17, 128, 5000])
@pytest.mark.parametrize("hidden", [65, 256, 768, 1024])
def test_programs_that_wait_for_each_other_all_run_at_once(hidden: int, batch: int) -> None:
    layout = layout_for(STREAMED, hidden, batch, torch.bfloat16, H100)
    blocks, group = layout.grid
    assert blocks * layout.constants["BM"] >= batch and group == layout.constants["GROUP"]
    assert group == 1 or blocks * group <= H100.processors
    assert (group - 1) * layout.constants["BN"] < hidden


def test_few_rows_take_many_programs_and_many_rows_larger_blocks() -> None:
    assert layout_for(STREAMED, 768, 16, torch.float16, H100).grid == (1, 48)
    few = layout_for(STREAMED, 1024, 128, torch.float16, H100)
    assert few.grid == (2, 64) and few.constants["BM"] == 64 and few.stages == 4
    assert layout_for(STREAMED, 768, 8192, torch.float16, H100).grid == (128, 1)


@pytest.mark.parametrize("batch", [1, 16, 32, 64])
@pytest.mark.parametrize("hidden", [100, 256, 512, 768])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("backward", [False, True])
def test_a_slice_fits_and_all_slices_are_there_at_once(
    hidden: int, batch: int, dtype: torch.dtype, backward: bool
) -> None:
    plan = plan_for(CELLS["lstm"], backward=backward)
    parts = split(plan, hidden, batch, dtype, H100)
    if parts is None:
        return
    sliced = plan_for(CELLS["lstm"], backward=backward, sliced=parts.chunks, ways=parts.ways)
    layout = layout_for(sliced, hidden, batch, dtype, H100)
    assert layout.grid[0] * layout.grid[1] <= H100.processors and layout.warps == parts.ways
    assert layout.grid[1] * parts.units >= hidden and 1 <= parts.staged <= parts.loaded <= parts.chunks
    slice_bytes = 4 * hidden * parts.units * dtype.itemsize * (2 if dtype == torch.float32 else 1)
    assert slice_bytes + parts.staged * parts.ways * ROWS * PART * dtype.itemsize <= H100.shared


@pytest.mark.parametrize(("hidden", "batch"), [(256, 32), (512, 32), (768, 16)])
def test_what_was_measured_is_sliced(hidden: int, batch: int) -> None:
    for dtype, backward in itertools.product((torch.bfloat16, torch.float32), (False, True)):
        assert split(plan_for(CELLS["lstm"], backward=backward), hidden, batch, dtype, H100)


def test_what_an_h100_runs_fastest() -> None:
    """Measured there; see docs/engine.md."""
    backward = plan_for(CELLS["lstm"], backward=True)
    assert split(LSTM, 768, 16, torch.bfloat16, H100) == Split(8, 2, chunks=12, loaded=12, staged=4)
    assert split(backward, 768, 16, torch.bfloat16, H100) == Split(16, 4, chunks=24, loaded=19, staged=4)


def test_no_slice_for_normalised_rows_or_too_many() -> None:
    assert split(plan_for(CELLS["lstm"], norm=True), 256, 16, torch.bfloat16, H100) is None
    assert split(LSTM, 256, 4096, torch.bfloat16, H100) is None
    assert split(LSTM, 768, 16, torch.bfloat16, Gpu(132, 48 * 1024)) is None


def test_blocks_cover_rows_and_units_and_are_powers_of_two() -> None:
    for kind in ("lstm", "indrnn"):
        plan = plan_for(CELLS[kind])
        for hidden, batch in ((1, 1), (37, 20), (128, 3), (300, 9)):
            layout = layout_for(plan, hidden, batch, torch.float32, H100)
            (rows, units), grid = (layout.constants["BM"], layout.constants["HP"]), layout.grid
            assert grid[0] * rows >= batch and grid[1] * units >= hidden
            assert power(rows, 1) == rows and power(units) == units
            assert not plan.recurrent or grid[1] == 1


def test_the_interpreter_runs_one_program_at_a_time() -> None:
    gpu = gpu_of(torch.device("cpu"))
    assert layout_for(STREAMED, 768, 16, torch.float32, gpu).grid == (1, 1)
