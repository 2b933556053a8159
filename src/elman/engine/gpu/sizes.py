"""How a kernel is laid out on a GPU: which kind, and how large its blocks are.

H units, N products with U, B rows. The limits are what Triton's compiler reports for compute capability 8.0
and 9.0; which layout is fastest has not been measured on hardware.
"""

import functools
from typing import Any, Final, NamedTuple

import torch

from elman.engine.gpu.emit.plan import Plan

ROWS: Final = 16  # of a program: the fewest that a product takes
UNITWISE_ROWS, UNITWISE_UNITS = 4, 256  # of a program without U
UNITS: Final = (16, 32, 64)  # of a streamed program's block
STREAMED_BYTES: Final = 32 * 1024  # of a streamed program's blocks of U, of which it holds two sets
RESIDENT_REST: Final = 24 * 1024  # bytes that a resident kernel needs beside U
MANY_BYTES: Final = 256  # of a row of units: with so many, a resident program has twice the warps


class Gpu(NamedTuple):
    """What a device lends its programs."""

    processors: int  # each runs at least one program at once
    shared: int  # bytes of shared memory for a program


class Layout(NamedTuple):
    """A kernel's compiled-in sizes, its grid and its warps."""

    constants: dict[str, int]
    grid: tuple[int, int]
    warps: int


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
    """Return whether a program can hold the whole of U. Of float32 it holds two TF32 parts."""
    each = dtype.itemsize * (2 if dtype == torch.float32 else 1)
    return len(plan.products) * power(hidden) ** 2 * each + RESIDENT_REST <= gpu.shared


def layout_for(plan: Plan, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu) -> Layout:
    """Return the layout for B rows."""
    if plan.streamed:
        return _streamed(plan, hidden, batch, dtype, gpu)
    width = power(hidden) if plan.recurrent else min(power(hidden), UNITWISE_UNITS)
    rows = ROWS if plan.recurrent else UNITWISE_ROWS
    grid = (-(-batch // rows), -(-hidden // width))
    warps = 8 if plan.recurrent and width * dtype.itemsize >= MANY_BYTES else 4
    return Layout({"BM": rows, "HP": width}, grid, warps)


def _streamed(plan: Plan, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu) -> Layout:
    """Share the units of 16 rows among programs if all can run at once, in the smallest blocks that do."""
    blocks, depth = -(-batch // ROWS), 128 // dtype.itemsize
    products = 1 if plan.backward else len(plan.products)
    fitting = [n for n in UNITS if n == UNITS[0] or products * n * depth * dtype.itemsize <= STREAMED_BYTES]
    shared = [n for n in fitting if blocks * -(-hidden // n) <= gpu.processors]
    block = shared[0] if shared else fitting[-1]
    group = max(1, min(-(-hidden // block), gpu.processors // blocks))
    return Layout({"BM": ROWS, "BN": block, "BK": depth, "GROUP": group}, (blocks, group), 4)
