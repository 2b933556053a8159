"""Calls without gradients, prepared once, so that a stream of single steps spends its time in kernels.

A prepared call holds packed weights, argument blocks and its own scratch memory for one shape; only a few
addresses change from call to call. T steps, B sequences, L layers, D directions, J states.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elman.engine.call import Stack, State, Weights
from elman.engine.cpu import build, host, launch, weights
from elman.engine.cpu.emit.plan import plan_for


class _Part(NamedTuple):
    block: Any  # ctypes array: the argument block
    start: Callable[[], None]
    at: dict[str, int]  # field → its index in the block
    states: tuple[tuple[int, int], ...]  # indices of s.c and stride.c
    reverse: bool
    alive: tuple[Any, ...]  # owners of the memory behind the block's addresses


class Prepared:
    """One stack on inputs of one shape."""

    def __init__(self, stack: Stack, steps: int, batch: int, dtype: torch.dtype) -> None:
        self.lock = threading.Lock()
        self.steps, self.batch, self.directions = steps, batch, stack.directions
        self.width, self.count = weights.hidden_size(stack.cell, stack.weights[0]), len(stack.cell.state)
        norm = stack.weights[0].gain_ih is not None
        self.plan = plan_for(stack.cell, host.vector(dtype), int8=stack.int8, norm=norm)
        self.parts = [self._part(w, k % stack.directions == 1) for k, w in enumerate(stack.weights)]
        self.size = self.plan.vector.size
        self.row = batch * self.width * self.size  # bytes of one layer's state
        self.shape, self.dtype = (len(self.parts), batch, self.width), dtype
        self.zeros = (torch.zeros(self.shape, dtype=dtype),) * self.count

    def _part(self, w: Weights[Tensor], reverse: bool) -> _Part:
        plan, packed, inputs = self.plan, weights.remembered(self.plan, w), w.weight_ih.shape[1]
        schedule, chunk, row_bytes = launch.forward_schedule(
            plan, self.steps, self.batch, inputs, self.width, None
        )
        rows = max(chunk * schedule.largest, chunk + 1)
        dtype = w.weight_ih.dtype
        fields = launch.constants(plan, self.steps, self.batch, self.width, reverse, dtype)
        fields |= launch.weight_fields(packed, inputs) | {"chunk": chunk}
        scratch = torch.empty(launch.scratch_bytes(schedule, rows, row_bytes), dtype=torch.uint8)
        team = launch.fill(fields, plan, schedule, rows, scratch.data_ptr())
        block = (ctypes.c_int64 * len(plan.fields))(*[int(fields.get(name, 0)) for name in plan.fields])
        address = ctypes.addressof(block)
        if team.parallel is None:
            kernel = build.function(plan)

            def start() -> None:
                kernel(address)
        else:
            parallel, entry, threads = team.parallel, build.entry(plan), schedule.threads

            def start() -> None:
                parallel(entry, address, threads, 0)

        at = {name: k for k, name in enumerate(plan.fields)}
        states = tuple((at[f"s.{c}"], at[f"stride.{c}"]) for c in plan.cell.state)
        return _Part(block, start, at, states, reverse, (packed, schedule, scratch))

    def _state(self, hx: Any) -> State | None:
        """Return a state (L*D, B, H), ... as a tuple, zeros for None; None if it doesn't fit as it is."""
        if hx is None:
            return self.zeros
        state = (hx,) if isinstance(hx, Tensor) else hx
        if len(state) != self.count:
            return None
        for s in state:
            if (
                type(s) is not Tensor
                or s.shape != self.shape
                or s.dtype is not self.dtype
                or not s.is_cpu
                or not s.is_contiguous()
            ):
                return None
        return tuple(state)

    def step(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        """Take x (B, I) and states (L, B, H) to output (B, H) and states.

        None if a state doesn't fit as it is, or if another thread is running: there is one set of memory.
        """
        return self._alone(self._step, x, hx)

    def scan(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        """Take x (T, B, I) and states (L*D, B, H) to output (T, B, D*H) and states; None as in `step`."""
        return self._alone(self._scan, x, hx)

    def _alone(
        self, work: Callable[[Tensor, State], tuple[Tensor, State]], x: Tensor, hx: Any
    ) -> tuple[Tensor, State] | None:
        state = self._state(hx)
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
            block, at = part.block, part.at
            block[at["x"]], block[at["x_row"]] = source, stride
            for (address_at, stride_at), old, out in zip(part.states, ins, outs, strict=True):
                # slot 1, the state after the step, is in the new tensor
                block[address_at], block[stride_at] = old + offset, (out - old) // self.size
            part.start()
            source, stride = outs[0] + offset, self.width
            offset += self.row
        return new[0][-1].clone(), new  # changing the output must not change the state

    def _scan(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        final: list[list[Tensor]] = [[] for _ in range(self.count)]
        for first in range(0, len(self.parts), self.directions):
            outputs = []
            for k in range(first, first + self.directions):
                output, ends = self._along(self.parts[k], x, state, k)
                outputs.append(output)
                for layers, end in zip(final, ends, strict=True):
                    layers.append(end)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
        return x, tuple(ends[0] if len(ends) == 1 else torch.cat(ends) for ends in final)

    def _along(self, part: _Part, x: Tensor, state: State, k: int) -> tuple[Tensor, list[Tensor]]:
        block, at, steps = part.block, part.at, self.steps
        block[at["x"]], block[at["x_step"]], block[at["x_row"]] = x.data_ptr(), x.stride(0), x.stride(1)
        h = x.new_empty(steps + 1, self.batch, self.width)
        begin, end = (steps, 0) if part.reverse else (0, steps)
        ends = [s[k : k + 1].clone() for s in state]  # the kernel overwrites all but h
        h[begin].copy_(ends[0][0])
        strides = (self.batch * self.width, *[0] * (self.count - 1))  # only h is kept at every step
        for (address_at, stride_at), buffer, stride in zip(part.states, (h, *ends[1:]), strides, strict=True):
            block[address_at], block[stride_at] = buffer.data_ptr(), stride
        part.start()
        ends[0].copy_(h[end])
        return (h[:-1] if part.reverse else h[1:]), ends
