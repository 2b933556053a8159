"""Where a kernel of ours is faster than PyTorch's own layer on a GPU: the ratios of the table in
docs/engine.md, or those that `bench/gpu.py --choose` writes.

H units, B sequences.
"""

import json
import math
from pathlib import Path
from typing import Any, Final

import torch

from elman.engine import torch_internals
from elman.engine.gpu.sizes import gpu_of, is_exact

FILE: Final = Path(__file__).with_name("measured.json")
AHEAD: Final = 1.1  # times faster, so that a kernel is worth compiling
OVERLAP: Final = 2.0  # cuDNN runs two layers, or both directions, at once; we, one after the other
UNITS, SEQUENCES = 1.5, 2.0  # a measurement stands for sizes within these factors, larger or smaller

_TABLE: Final[dict[str, Any]] = json.loads(FILE.read_text())
DEVICE: Final[str] = _TABLE["device"]


@torch_internals.constant
def is_measured_on(device: torch.device) -> bool:
    """Return whether the table is of such a GPU: of its compute capability, with as many multiprocessors."""
    alike = list(torch.cuda.get_device_capability(device)) == _TABLE["capability"]
    return bool(alike and gpu_of(device).processors == _TABLE["processors"])


def is_ahead(cell: str, dtype: torch.dtype, hidden: int, batch: int, passes: int) -> bool:
    """Return whether our kernel was faster at sizes like these, by much if a call has several passes: layers
    times directions."""
    rows = _TABLE["ratios"].get(cell, {}).get(precision(dtype), [])
    near = [(_far(hidden, h, UNITS) + _far(batch, b, SEQUENCES), ratio) for h, b, ratio in rows]
    distance, ratio = min(near, default=(math.inf, 0.0))
    return bool(distance < math.inf and ratio >= AHEAD * (OVERLAP if passes > 1 else 1.0))


def precision(dtype: torch.dtype) -> str:
    """Return the table's name of how numbers are multiplied."""
    if dtype == torch.float32:
        return "float32" if is_exact() else "TF32"
    return str(dtype).removeprefix("torch.")


def _far(size: int, other: int, most: float) -> float:
    """Return how far two sizes are apart, infinitely if one is more than `most` times the other."""
    times = max(size, other) / max(1, min(size, other))
    return math.log(times) if times <= most else math.inf
