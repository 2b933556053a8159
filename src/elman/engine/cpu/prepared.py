"""Calls without gradients, prepared once: a stream of single steps spends its time in kernels, not on them.

A prepared call holds packed weights, argument blocks and its own scratch memory for one shape; what changes
from call to call are a few addresses. T steps, B sequences, L layers, D directions, J states.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elman.engine.call import Stack, State
from elman.engine.cpu import build, host
from elman.engine.cpu import launch as run
from elman.engine.cpu import weights as pack
from elman.engine.cpu.emit.plan import plan_for


class _Part(NamedTuple):
    """One layer in one direction, ready to start."""

    block: Any  # ctypes array: the argument block
    start: Callable[[], None]
    places: tuple[int, int, int]  # of x, x_step and x_row in the block
    states: tuple[tuple[int, int], ...]  # of s.c and stride.c
    reverse: bool
    alive: tuple[Any, ...]  # what the block's addresses point into


class Prepared:
    """One stack on inputs of one shape."""

    def __init__(self, stack: Stack, steps: int, batch: int, dtype: torch.dtype) -> None:
        self.lock = threading.Lock()
        self.steps, self.batch, self.directions = steps, batch, stack.directions
        self.width, self.count = stack.weights[0].hidden, len(stack.cell.state)
        norm = stack.weights[0].gain_ih is not None
        self.plan = plan_for(stack.cell, host.vector(dtype), int8=stack.int8, norm=norm)
        self.parts = [self._part(w, k % stack.directions == 1) for k, w in enumerate(stack.weights)]
        self.size = self.plan.vector.size
        self.row = batch * self.width * self.size  # bytes of one layer's state
        self.shape, self.dtype = (len(self.parts), batch, self.width), dtype
        self.zeros = (torch.zeros(self.shape, dtype=dtype),) * self.count

    def _part(self, w: Any, reverse: bool) -> _Part:
        plan, packed = self.plan, pack.remembered(self.plan, w)
        inputs = w.ih.shape[1]
        on, chunk, row = run.shared_out(plan, self.steps, self.batch, inputs, w.hidden, None)
        rows = max(chunk * on.largest, chunk + 1)
        fields = run.constants(plan, self.steps, self.batch, w.hidden, reverse, w.ih.dtype)
        fields |= run.weight_fields(packed, inputs) | {"chunk": chunk}
        memory = torch.empty(run.room(on, rows, row), dtype=torch.uint8)
        team = run.fill(fields, plan, on, rows, row, memory.data_ptr())
        block = (ctypes.c_int64 * len(plan.fields))(*[int(fields.get(name, 0)) for name in plan.fields])
        address = ctypes.addressof(block)
        if team.parallel is None:
            kernel = build.function(plan)

            def start() -> None:
                kernel(address)
        else:
            parallel, entry, threads = team.parallel, build.entry(plan), on.threads

            def start() -> None:
                parallel(entry, address, threads, 0)

        at = {name: k for k, name in enumerate(plan.fields)}
        states = tuple((at[f"s.{c}"], at[f"stride.{c}"]) for c in plan.cell.state)
        places = (at["x"], at["x_step"], at["x_row"])
        return _Part(block, start, places, states, reverse, (packed, on, memory))

    def _given(self, hx: Any) -> State | None:
        """A state (L*D, B, H), ... as a tuple, of zeros if it is None; None if it needs a closer look."""
        if hx is None:
            return self.zeros
        given = (hx,) if isinstance(hx, Tensor) else hx
        if len(given) != self.count:
            return None
        for s in given:
            if (
                type(s) is not Tensor
                or s.shape != self.shape
                or s.dtype is not self.dtype
                or not s.is_cpu
                or not s.is_contiguous()
            ):
                return None
        return tuple(given)

    def step(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        """x (B, I) and states (L, B, H) to output (B, H) and states; None if a state needs a closer look,
        or another thread is at it: there is one set of memory."""
        return self._alone(self._step, x, hx)

    def scan(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        """x (T, B, I) and states (L*D, B, H) to output (T, B, D*H) and states; None like `step`."""
        return self._alone(self._scan, x, hx)

    def _alone(
        self, work: Callable[[Tensor, State], tuple[Tensor, State]], x: Tensor, hx: Any
    ) -> tuple[Tensor, State] | None:
        state = self._given(hx)
        if state is None or not self.lock.acquire(blocking=False):
            return None
        try:
            return work(x, state)
        finally:
            self.lock.release()

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        new = tuple([torch.empty_like(s) for s in self.zeros])
        ins, outs = [s.data_ptr() for s in state], [s.data_ptr() for s in new]
        source, stride, offset = x.data_ptr(), x.stride(0), 0
        for part in self.parts:
            block = part.block
            block[part.places[0]], block[part.places[2]] = source, stride
            for (at, at_stride), given, out in zip(part.states, ins, outs, strict=True):
                # slot 1, the state after the step, is wherever the new tensor stands
                block[at], block[at_stride] = given + offset, (out - given) // self.size
            part.start()
            source, stride = outs[0] + offset, self.width
            offset += self.row
        return new[0][-1].clone(), new  # whoever changes the output leaves the state alone

    def _scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        final: list[list[Tensor]] = [[] for _ in range(self.count)]
        for first in range(0, len(self.parts), self.directions):
            outputs = []
            for k in range(first, first + self.directions):
                output, ends = self._along(self.parts[k], x, state, k)
                outputs.append(output)
                for place, end in zip(final, ends, strict=True):
                    place.append(end)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return x, tuple(ends[0] if len(ends) == 1 else torch.cat(ends) for ends in final)

    def _along(self, part: _Part, x: Tensor, state: State, k: int) -> tuple[Tensor, list[Tensor]]:
        block, steps = part.block, self.steps
        block[part.places[0]] = x.data_ptr()
        block[part.places[1]], block[part.places[2]] = x.stride(0), x.stride(1)
        h = x.new_empty(steps + 1, self.batch, self.width)
        begin, end = (steps, 0) if part.reverse else (0, steps)
        ends = [s[k : k + 1].clone() for s in state]  # the kernel writes over all but h
        h[begin].copy_(ends[0][0])
        strides = (self.batch * self.width, *[0] * (self.count - 1))  # only of h every step is kept
        for (at, at_stride), buffer, stride in zip(part.states, (h, *ends[1:]), strides, strict=True):
            block[at], block[at_stride] = buffer.data_ptr(), stride
        part.start()
        ends[0].copy_(h[end])
        return (h[:-1] if part.reverse else h[1:]), ends
