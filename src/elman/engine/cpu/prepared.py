"""Calls without gradients, prepared once, so that a stream of single steps spends its time in kernels.

A prepared call holds packed weights, argument blocks and its own scratch memory for one shape; only a few
addresses change from call to call. T steps, B sequences, L layers, D directions, J states.
"""

import ctypes
import threading
from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Stack, State
from elman.engine.cpu import weights
from elman.engine.cpu.parts import Part, make_part
from elman.engine.memory import CPU, Shape, find, find_rows, own


class Prepared:
    """One stack on inputs of one shape."""

    def __init__(
        self, stack: Stack, steps: int, batch: int, dtype: torch.dtype, reverse: bool = False
    ) -> None:
        """`reverse` is for a stack of one layer in one direction, from the last step to the first."""
        self.lock = threading.Lock()
        self.steps, self.batch, self.directions = steps, batch, stack.directions
        self.width, self.count = weights.hidden_size(stack.cell, stack.weights[0]), len(stack.cell.state)
        self.plan = weights.forward_plan(stack, dtype)
        self.inputs, self.dtype = stack.weights[0].weight_ih.shape[1], dtype
        self.parts = []
        for k, w in enumerate(stack.weights):
            inputs = self.inputs if k < self.directions else self.directions * self.width
            back = reverse or k % self.directions == 1
            self.parts.append(make_part(self.plan, w, steps, batch, inputs, dtype, back, stack.heads))
        self.size = self.plan.vector.size
        self.row = batch * self.width * self.size  # bytes of one layer's state
        self.shape = (len(self.parts), batch, self.width)
        self.step_input, self.scan_input = (batch, self.inputs), (steps, batch, self.inputs)
        self.zeros = (torch.zeros(self.shape, dtype=dtype, device=CPU),) * self.count
        self.zero = self.zeros[0][:1]  # of one layer in one direction
        self.output = self.zero[0]

    @property
    def fills_panels(self) -> bool:
        """Whether units fill whole panels; states would need more room otherwise."""
        return weights.padded(self.width, self.plan) == self.width

    def states(self, hx: Any, shape: Shape = ()) -> tuple[State, list[int]] | None:
        """Return the states and where they lie, zeros for None; None if one doesn't fit.

        They are (L*D, B, H) each, or of another shape with as many numbers.
        """
        if hx is None:
            return self.zeros, [own(z) for z in self.zeros]
        if isinstance(hx, Tensor):
            hx = (hx,)
        elif type(hx) is not tuple:  # another iterable may own its tensors only for a moment
            return None
        addresses = [find(s, shape or self.shape, self.dtype) for s in hx]
        return (hx, addresses) if len(addresses) == self.count and 0 not in addresses else None

    def step(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        """Take x (B, I) and states (L, B, H) to output (B, H) and states.

        None if a tensor doesn't fit as it is, or if another thread is running: there is one set of memory.
        """
        if not self.lock.acquire(blocking=False):
            return None
        try:
            return self._step(x, hx)
        finally:
            self.lock.release()

    def advance(self, x: Tensor, hx: Any) -> State | None:
        """Take x (B, I) and one layer's states (B, H) to its next states; None as in `step`."""
        source = find_rows(x, self.step_input, self.dtype)
        state = self.states(hx, self.shape[1:])
        if not source or state is None or not self.lock.acquire(blocking=False):
            return None
        try:
            new = tuple([torch.empty_like(self.output) for _ in self.zeros])
            self._advance(source, x.stride(0) if self.batch > 1 else 0, state[1], new)
            return new
        finally:
            self.lock.release()

    def scan(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        """Take x (T, B, I) and states (L*D, B, H) to output (T, B, D*H) and states; None as in `step`."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            return self._scan(x, hx)
        finally:
            self.lock.release()

    def along(self, x: Tensor, state: State) -> tuple[Tensor, State] | None:
        """Do the same as `scan` for one layer in one direction, whose states are (B, H) each."""
        if not self.lock.acquire(blocking=False):
            return None
        try:
            source, states = find_rows(x, self.scan_input, self.dtype), self.states(state, self.shape[1:])
            if not source or states is None:
                return None
            output, final = self._along_layers(source, x.stride(), states[1])
            return output, tuple([s[0] for s in final])
        finally:
            self.lock.release()

    def _step(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        source, state = find_rows(x, self.step_input, self.dtype), self.states(hx)
        if not source or state is None:
            return None
        new = tuple([torch.empty_like(z) for z in self.zeros])
        last = self._advance(source, x.stride(0) if self.batch > 1 else 0, state[1], new)
        output = torch.empty_like(self.output)  # a copy: changing it must not change the state
        ctypes.memmove(own(output), last, self.row)
        return output, new

    def _scan(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        source, state = find_rows(x, self.scan_input, self.dtype), self.states(hx)
        if not source or state is None:
            return None
        return self._along_layers(source, x.stride(), state[1])

    def _advance(self, source: int, stride: int, ins: list[int], new: State) -> int:
        """Write the next states to `new`, all layers of a state in one; return where the last output is."""
        outs, offset = [own(s) for s in new], 0
        for part in self.parts:
            block, at = part.block, part.at
            block[at["x"]], block[at["x_row"]] = source, stride
            for (address_at, stride_at), old, out in zip(part.states, ins, outs, strict=True):
                # slot 1, the state after the step, is in the new tensor
                block[address_at], block[stride_at] = old + offset, (out - old) // self.size
            part.start()
            source, stride = outs[0] + offset, self.width
            offset += self.row
        return source

    def _along_layers(self, source: int, strides: tuple[int, ...], ins: list[int]) -> tuple[Tensor, State]:
        final: list[list[Tensor]] = [[] for _ in range(self.count)]
        for first in range(0, len(self.parts), self.directions):
            outputs = []
            for k in range(first, first + self.directions):
                begins = [address + k * self.row for address in ins]
                output, ends = self._along(self.parts[k], source, strides, begins)
                outputs.append(output)
                for layers, end in zip(final, ends, strict=True):
                    layers.append(end)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
            source, strides = own(x), x.stride()
        return x, tuple(ends[0] if len(ends) == 1 else torch.cat(ends) for ends in final)

    def _along(
        self, part: Part, source: int, strides: tuple[int, ...], begins: list[int]
    ) -> tuple[Tensor, list[Tensor]]:
        block, at, steps, row = part.block, part.at, self.steps, self.row
        block[at["x"]], block[at["x_step"]], block[at["x_row"]] = source, *strides[:2]
        h = torch.empty((steps + 1, self.batch, self.width), dtype=self.dtype, device=CPU)
        ends = [torch.empty_like(self.zero) for _ in begins]
        # h is kept at every step; the kernel overwrites the other states
        places = own(h), *map(own, ends[1:])
        begin, end = (steps, 0) if part.reverse else (0, steps)
        ctypes.memmove(places[0] + begin * row, begins[0], row)
        for to, old in zip(places[1:], begins[1:], strict=True):
            ctypes.memmove(to, old, row)
        slots = (self.batch * self.width, *[0] * (self.count - 1))
        for (address_at, stride_at), address, stride in zip(part.states, places, slots, strict=True):
            block[address_at], block[stride_at] = address, stride
        part.start()
        ctypes.memmove(own(ends[0]), places[0] + end * row, row)
        return (h[:-1] if part.reverse else h[1:]), ends
