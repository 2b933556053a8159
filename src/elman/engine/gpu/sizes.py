"""How a kernel is laid out on a GPU: which kind, and how large its blocks are.

H units, N products with U, B rows. The limits are what Triton's compiler reports for compute capability 8.0
and 9.0; which layout is fastest was measured on an H100.
"""

import functools
from typing import Any, Final, NamedTuple

import torch

from elman.engine.gpu.emit.plan import Plan

ROWS: Final = 16  # of a program: the fewest that a product takes
UNITWISE_ROWS, UNITWISE_UNITS = 4, 256  # of a program without U
MANY_BYTES: Final = 512  # of a row of all products: with so many, a resident program has twice the warps
RESIDENT_REST: Final = 24 * 1024  # bytes that a resident kernel needs beside U

# Of a sliced program: units and ways, the first that fits, by direction and bytes of a number.
SLICES: Final = {
    ("forward", 2): ((8, 2), (16, 4), (32, 4)),
    ("forward", 4): ((8, 2), (16, 4), (32, 4)),
    ("backward", 2): ((16, 4), (8, 8), (32, 8)),
    ("backward", 4): ((8, 8), (16, 4), (32, 8)),
}
PART: Final = 32  # rows of U that a way takes in each chunk of a slice
STAGED: Final = 4  # chunks of what a slice is multiplied with that are in shared memory at a time
THREAD_BYTES: Final = 640  # of a thread's registers, for sums and for what is on its way from memory
SLICED_REST: Final = 4 * 1024  # bytes that a sliced kernel needs beside its slice and chunks

STREAMED_ROWS: Final = (16, 32, 64)
STREAMED_UNITS: Final = (16, 32, 64)
STREAMED_BYTES: Final = 32 * 1024  # of a streamed program's blocks of U
STAGES: Final = 4  # sets of blocks that are on their way to a streamed program, if it has room


class Gpu(NamedTuple):
    """What a device lends its programs."""

    processors: int  # each runs at least one program at once
    shared: int  # bytes of shared memory for a program


class Layout(NamedTuple):
    """A kernel's compiled-in sizes, its grid and its warps."""

    constants: dict[str, int]
    grid: tuple[int, int]
    warps: int
    stages: int = 2


class Split(NamedTuple):
    """How a sliced kernel splits U: BN units a program, and ways (warps) that take PART rows of U in each
    chunk of its slice; how many chunks are loaded, and are in shared memory, together."""

    units: int
    ways: int
    chunks: int
    loaded: int
    staged: int


@functools.cache
def gpu_of(device: torch.device) -> Gpu:
    """Return what a device lends; Triton's interpreter runs programs one after another, on the CPU."""
    if device.type != "cuda":
        return Gpu(processors=1, shared=160 * 1024)
    properties: Any = torch.cuda.get_device_properties(device)
    return Gpu(properties.multi_processor_count, properties.shared_memory_per_block_optin)


def power(count: int, least: int = 16) -> int:
    """Return the next power of two, of which Triton makes its blocks."""
    return max(least, 1 << (count - 1).bit_length())


def is_resident(plan: Plan, hidden: int, dtype: torch.dtype, gpu: Gpu) -> bool:
    """Return whether a program can hold U, the whole or a head's. Of float32 it holds two TF32 parts."""
    each = dtype.itemsize * (2 if dtype == torch.float32 else 1)
    return len(plan.products) * power(hidden // plan.heads) ** 2 * each + RESIDENT_REST <= gpu.shared


def split(plan: Plan, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu) -> Split | None:
    """Return how U is split among programs that all run at once; None if they can't hold it, or if rows are
    normalised over all units."""
    if plan.norm:
        return None
    direction = "backward" if plan.backward else "forward"
    for units, ways in SLICES[direction, min(dtype.itemsize, 4)]:
        if -(-batch // ROWS) * -(-hidden // units) <= gpu.processors:
            chosen = _chunks(plan, hidden, dtype, gpu.shared, units, ways)
            if chosen:
                return chosen
    return None


def _chunks(plan: Plan, hidden: int, dtype: torch.dtype, shared: int, units: int, ways: int) -> Split | None:
    """Divide a program's slice into chunks, unless there is no room for it."""
    itemsize, products = dtype.itemsize, 1 if plan.backward else len(plan.products)
    copies = 2 if dtype == torch.float32 and is_exact() else 1  # of U: what TF32 rounds to, and the rest
    chunks = -(-len(plan.products) * hidden // products // (ways * PART))
    chunk = ways * ROWS * PART * itemsize
    free = shared - SLICED_REST - chunks * products * ways * PART * units * itemsize * copies
    room = free // chunk if free >= products * ways * ROWS * units * 4 else 0  # the warps' sums come after
    loaded = (THREAD_BYTES - products * ROWS * units * 4 // 32) // (ROWS * PART * itemsize // 32)
    if room < 1 or loaded < 1:
        return None
    return Split(units, ways, chunks, min(loaded, chunks), min(STAGED, room, loaded, chunks))


def is_exact() -> bool:
    """Return whether float32 is multiplied as such, not as TF32."""
    return torch.get_float32_matmul_precision() == "highest"


def layout_for(plan: Plan, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu) -> Layout:
    """Return the layout for B rows."""
    if plan.sliced:
        return _sliced(plan, hidden, batch, dtype, gpu)
    if plan.streamed:
        return _streamed(plan, hidden, batch, dtype, gpu)
    units = hidden // plan.heads
    width = power(units) if plan.recurrent else min(power(units), UNITWISE_UNITS)
    rows = ROWS if plan.recurrent else UNITWISE_ROWS
    grid = (-(-batch // rows), plan.heads * -(-units // width))
    many = plan.recurrent and len(plan.products) * width * dtype.itemsize >= MANY_BYTES
    return Layout({"BM": rows, "HP": width, "D": units}, grid, warps=8 if many else 4)


def _sliced(plan: Plan, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu) -> Layout:
    chosen = split(plan, hidden, batch, dtype, gpu)
    assert chosen is not None
    group = -(-hidden // chosen.units)
    whole = hidden * (len(plan.products) if plan.backward else 1)
    constants = {"BM": ROWS, "BN": chosen.units, "BK": PART, "GROUP": group}
    constants["EVEN"] = int(whole % (chosen.ways * PART) == 0)
    return Layout(constants, (-(-batch // ROWS), group), chosen.ways)


def _streamed(plan: Plan, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu) -> Layout:
    """Share the units of some rows among programs if all can run at once, in the smallest blocks that do."""
    products, depth = 1 if plan.backward else len(plan.products), 128 // dtype.itemsize
    units = STREAMED_UNITS
    fitting = [n for n in units if n == units[0] or products * n * depth * dtype.itemsize <= STREAMED_BYTES]
    pairs = [(rows, n) for n in fitting for rows in STREAMED_ROWS]
    at_once = [p for p in pairs if -(-batch // p[0]) * -(-hidden // p[1]) <= gpu.processors]
    rows, block = at_once[0] if at_once else pairs[-1]
    blocks = -(-batch // rows)
    group = max(1, min(-(-hidden // block), gpu.processors // blocks))
    each = (rows + products * block) * depth * dtype.itemsize
    constants = {"BM": rows, "BN": block, "BK": depth, "GROUP": group}
    warps = 8 if rows * block > 1024 else 4  # 4 would spill registers there
    return Layout(constants, (blocks, group), warps, stages=max(2, min(STAGES, gpu.shared // each - 1)))
