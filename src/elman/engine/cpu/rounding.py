"""Packed weights with fewer bits: 8-bit integers with a scale for each column, or bfloat16 numbers.

N columns, K numbers that a product sums over, C columns of a panel, D groups of a chunk.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.engine.cpu import build
from elman.engine.cpu.emit.grouped import DEPTH
from elman.engine.cpu.emit.operands import OFFSET, Bytes, Halves
from elman.engine.cpu.emit.plan import Plan
from elman.engine.memory import own


def rounded(panels: Tensor, plan: Plan) -> tuple[Tensor, Tensor | None]:
    """Return panels (N / C, K, C) of floats as `plan` packs them, and the scales of their columns (N)."""
    if plan.packing == "bf16 groups":
        return _in_pairs(panels, plan), None
    integers, scales = to_bytes(panels)
    return _in_fours(integers) if plan.grouped else integers, scales


def to_bytes(panels: Tensor) -> tuple[Tensor, Tensor]:
    """Round panels (N / C, K, C) to int8, so that a column's largest number is 127; return the scales (N)."""
    scales = panels.abs().amax(1, keepdim=True).clamp(min=torch.finfo(panels.dtype).tiny) / 127
    return (panels / scales).round().to(torch.int8), scales.flatten()


def _in_fours(panels: Tensor) -> Tensor:
    """Arrange integers in groups, (N / C, groups, C, 4). Before every D groups come the first values of the
    sums, int32: what remains of a column if the row has only the integers that mean 0."""
    whole = F.pad(panels, (0, 0, 0, -panels.shape[1] % Bytes.values))
    groups = whole.view(len(whole), -1, Bytes.values, whole.shape[2]).transpose(2, 3)
    parts = []
    for chunk in torch.split(groups, DEPTH, 1):
        first = -OFFSET * chunk.sum((1, 3), dtype=torch.int32)
        parts += [first.unsqueeze(2).view(torch.int8).unsqueeze(1), chunk]
    return torch.cat(parts, 1) if parts else groups.contiguous()


def _in_pairs(panels: Tensor, plan: Plan) -> Tensor:
    """Round to bfloat16, in groups: (N / C, groups, C, 2)."""
    count, depth, columns = panels.shape
    groups = -(-depth // Halves.values)
    pairs = panels.new_empty(count, groups, columns, Halves.values, dtype=torch.bfloat16)
    build.pairs_entry(plan.vector)(own(panels), own(pairs), count, depth)
    return pairs
