"""One layer in one direction, ready to run: its packed weights, argument block and scratch memory for calls
without gradients of one shape. Only a few addresses change from call to call.

T steps, B sequences, I inputs, H units.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from elman.engine import plain
from elman.engine.call import Weights
from elman.engine.cpu import launch, weights
from elman.engine.cpu.emit.plan import Plan
from elman.engine.memory import CPU, own


class Part(NamedTuple):
    """A kernel and its argument block."""

    block: Any  # ctypes array: the argument block
    start: Callable[[], None]
    at: dict[str, int]  # field → its index in the block
    states: tuple[tuple[int, int], ...]  # indices of s.c and stride.c
    reverse: bool
    starter: Callable[[Any], Callable[[], None]]  # of a block
    threads: int
    alive: tuple[Any, ...]  # owners of the memory behind the block's addresses

    def twin(self) -> Self:
        """Return the same with a block of its own, which shares weights and scratch memory."""
        block = type(self.block).from_buffer_copy(self.block)
        return self._replace(block=block, start=self.starter(block))


def make_part(
    plan: Plan,
    w: Weights[Tensor],
    steps: int,
    batch: int,
    inputs: int,
    dtype: torch.dtype,
    reverse: bool = False,
    heads: int = 1,
) -> Part:
    """Prepare T steps of B rows on inputs of I numbers, all in one piece of memory each."""
    hidden = weights.hidden_size(plan.cell, w)
    w = plain.weights(plan.cell, w, inputs, hidden, dtype, heads)
    packed = weights.remembered(plan, w, heads)
    schedule, chunk, row_bytes = launch.forward_schedule(plan, steps, batch, inputs, hidden, None)
    rows = max(chunk * schedule.largest, chunk + 1)
    fields = launch.constants(plan, steps, batch, hidden, reverse, dtype)
    fields |= launch.weight_fields(packed, inputs) | {"chunk": chunk}
    scratch = torch.empty(launch.scratch_bytes(schedule, rows, row_bytes), dtype=torch.uint8, device=CPU)
    team = launch.fill(fields, plan, schedule, rows, own(scratch))
    block = launch.argument_block(plan, fields)

    def starter(block: Any) -> Callable[[], None]:
        return launch.starter(plan, team, schedule.threads, block)

    at = {name: k for k, name in enumerate(plan.fields)}
    states = tuple((at[f"s.{c}"], at[f"stride.{c}"]) for c in plan.cell.state)
    alive = (packed, schedule, scratch)
    return Part(block, starter(block), at, states, reverse, starter, schedule.threads, alive)
