"""Single steps of any rows out of many, in one kernel call a layer: the kernel takes its rows by an index.

C rows in all, N of them that take a step, I inputs, H units, L layers.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.engine import plain
from elman.engine.call import Stack, State
from elman.engine.cpu import host, launch, weights
from elman.engine.cpu.launch import Schedule
from elman.engine.cpu.stepped import Memory
from elman.engine.memory import CPU, own


class Pooled:
    """One stack in one direction, with the weights that it has now.

    Attributes:
        states: every state (L, C, H), where it lies.
    """

    def __init__(self, stack: Stack, capacity: int) -> None:
        self._memory = memory = Memory(stack, capacity)
        self.states: State = memory.states(0)
        self._ones = np.ones(capacity, np.int64)  # steps of every row
        self._layers = [_Layer(memory, layer, self._ones) for layer in range(len(stack.weights))]
        self._top = memory.h[-1, 1, :, : memory.hidden]

    def step(self, rows: Tensor, x: Tensor) -> Tensor:
        """Take one step of different rows (N) int64 below C on x (N, I); return their outputs (N, H)."""
        self._memory.input.index_copy_(0, rows, x)
        self._run(rows)
        for h in self._memory.h:
            h[0].index_copy_(0, rows, h[1].index_select(0, rows))
        return self._top.index_select(0, rows)

    def _run(self, rows: Tensor) -> None:
        for layer in self._layers:
            layer.run(rows)


class FirstRows(Pooled):
    """Steps of the first N rows of C, in memory that the caller fills and reads as arrays.

    Attributes:
        inputs: (C, I), which a step reads.
        outputs: (C, H), which it writes.
        before: every state (L, C, H), from which the next step goes on.
    """

    def __init__(self, stack: Stack, capacity: int) -> None:
        super().__init__(stack, capacity)
        self.inputs, self.outputs = self._memory.input.numpy(), self._top.numpy()
        self.before = [part.numpy() for part in self.states]
        self._rows, self._h = torch.arange(capacity), self._memory.h.numpy()

    def run(self, count: int) -> None:
        """Compute the outputs of the first rows, without going on: h stays as it was before."""
        self._run(self._rows[:count])

    def advance(self, count: int) -> None:
        """Take a step of the first rows."""
        self.run(count)
        self._h[:, 0, :count] = self._h[:, 1, :count]


class _Layer:
    """A layer's kernel: one argument block for a single thread and one for several."""

    def __init__(self, memory: Memory, layer: int, lengths: Any) -> None:
        w = memory.stack.weights[layer]
        inputs = w.weight_ih.shape[1]
        heads = memory.stack.heads
        w = plain.weights(memory.plan.cell, w, inputs, memory.hidden, memory.dtype, heads)
        self._memory, self._lengths = memory, lengths
        self._packed = weights.remembered(memory.plan, w, heads)
        self._work = launch.step_work(memory.plan, inputs, memory.hidden)
        self._fields = launch.constants(memory.plan, 1, memory.batch, memory.hidden, False, memory.dtype)
        self._fields |= launch.weight_fields(self._packed, inputs) | {"chunk": 1}
        self._layer = layer
        self._runs: dict[int, tuple[Any, Any, Callable[[], None]]] = {}  # by the number of threads

    def run(self, rows: Tensor) -> None:
        threads = host.threads() if len(rows) * self._work >= launch.MIN_TEAM_WORK else 1
        if threads not in self._runs:
            self._runs[threads] = self._prepare(threads)
        block, _, start = self._runs[threads]
        at = _places(self._memory.plan)
        begins = _begins(len(rows), threads)
        block[at["begins"]], block[at["slices"]] = begins.ctypes.data, len(begins) - 1
        block[at["rows"]] = own(rows)
        start()

    def _prepare(self, threads: int) -> tuple[Any, Any, Callable[[], None]]:
        memory, plan, rows = self._memory, self._memory.plan, launch.CHUNK_ROWS
        row_bytes = plan.width * weights.padded(memory.hidden, plan) * plan.vector.size
        addresses = (0, 0, self._lengths.ctypes.data)
        schedule = Schedule(threads, False, 0, rows, None, None, self._lengths, addresses)
        scratch = torch.empty(launch.scratch_bytes(schedule, rows, row_bytes), dtype=torch.uint8, device=CPU)
        fields = dict(self._fields)
        team = launch.fill(fields, plan, schedule, rows, own(scratch))
        block = launch.argument_block(plan, fields)
        memory.aim(block, _places(plan), self._layer, 0)
        return block, scratch, launch.starter(plan, team, threads, block)


@functools.cache
def _places(plan: Any) -> dict[str, int]:
    return {name: k for k, name in enumerate(plan.fields)}


@functools.lru_cache(64)
def _begins(count: int, threads: int) -> Any:
    """Divide rows into slices that fit a thread's memory, as equal as possible; int64 (slices + 1)."""
    slices = max(min(threads, count), -(-count // launch.CHUNK_ROWS))
    slices = -(-slices // threads) * threads if slices > threads else slices
    return np.arange(slices + 1, dtype=np.int64) * count // slices
