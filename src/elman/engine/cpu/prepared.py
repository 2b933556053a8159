"""Calls without gradients, prepared once: a stream of single steps spends its time in kernels, not on them.

A prepared call holds packed weights, argument blocks and its own scratch memory for one shape; what changes
from call to call are a few addresses. T steps, B sequences, L layers, D directions, J states.
"""

import ctypes
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from elman.engine.call import Stack, State
from elman.engine.cpu import build, host, pack, run
from elman.engine.cpu.plan import plan_for

# So many shapes of input are kept ready for a layer.
SHAPES: Final = 8


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
        self.plan = plan_for(stack.cell, host.vector(dtype), int8=stack.int8)
        self.parts = [self._part(w, k % stack.directions == 1) for k, w in enumerate(stack.weights)]
        self.size = self.plan.vector.size
        self.row = batch * self.width * self.size  # bytes of one layer's state
        self.shape = (len(self.parts), batch, self.width)
        self.none = [pack.zeros(batch * self.width, dtype).data_ptr()] * self.count

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
        for c in plan.cell.state[1:]:
            block[at[f"stride.{c}"]] = 0
        block[at[f"stride.{plan.cell.state[0]}"]] = self.batch * w.hidden
        states = tuple((at[f"s.{c}"], at[f"stride.{c}"]) for c in plan.cell.state)
        places = (at["x"], at["x_step"], at["x_row"])
        return _Part(block, start, places, states, reverse, (packed, on, memory))

    def step(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """x (B, I) and states (L, B, H), contiguous, to output (B, H) and states."""
        new = tuple([x.new_empty(self.shape) for _ in range(self.count)])
        outs = [s.data_ptr() for s in new]
        ins = self.none if state is None else [s.data_ptr() for s in state]
        source, stride, offset = x.data_ptr(), x.stride(0), 0
        for part in self.parts:
            block = part.block
            block[part.places[0]], block[part.places[2]] = source, stride
            for j, (at, at_stride) in enumerate(part.states):
                out = outs[j] + offset
                given = ins[j] if state is None else ins[j] + offset
                # slot 1, the state after the step, is wherever the new tensor stands
                block[at], block[at_stride] = given, (out - given) // self.size
            part.start()
            source, stride = outs[0] + offset, self.width
            offset += self.row
        return new[0][-1], new

    def scan(self, x: Tensor, state: State | None) -> tuple[Tensor, State]:
        """x (T, B, I) and states (L*D, B, H) to output (T, B, D*H) and states."""
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

    def _along(self, part: _Part, x: Tensor, state: State | None, k: int) -> tuple[Tensor, list[Tensor]]:
        block, steps = part.block, self.steps
        block[part.places[0]] = x.data_ptr()
        block[part.places[1]], block[part.places[2]] = x.stride(0), x.stride(1)
        h = x.new_empty(steps + 1, self.batch, self.width)
        begin = steps if part.reverse else 0
        buffers = [h[begin : begin + 1]]
        buffers += [x.new_empty(1, self.batch, self.width) for _ in range(self.count - 1)]
        for j, buffer in enumerate(buffers):
            if state is None:
                buffer.zero_()
            else:
                buffer.copy_(state[j][k])
        block[part.states[0][0]] = h.data_ptr()
        for (at, _), buffer in zip(part.states[1:], buffers[1:], strict=True):
            block[at] = buffer.data_ptr()
        part.start()
        end = h[:1] if part.reverse else h[steps:]
        return (h[:-1] if part.reverse else h[1:]), [end.clone(), *buffers[1:]]


class _Known(NamedTuple):
    """A prepared call, and the weights that it was prepared with."""

    call: Prepared
    weights: tuple[tuple[str, Tensor, int, int], ...]  # name, tensor, version, address
    sample: Callable[[], int]
    sampled: int

    def holds(self, parameters: dict[str, Any]) -> bool:
        """Whether the layer's weights are still those, and unchanged. PyTorch doesn't count changes made
        through `.data`: a sample of the numbers tells those."""
        for name, tensor, version, address in self.weights:
            if (
                parameters.get(name) is not tensor
                or tensor._version != version
                or tensor.data_ptr() != address
            ):
                return False
        return self.sample() == self.sampled


# What a layer keeps: for a shape of input the call, or None where there can't be one.
Calls = dict[Any, _Known | None]


def prepared(
    layer: nn.Module, calls: Calls, key: tuple[Any, ...], stack: Callable[[], Stack | None]
) -> Prepared | None:
    """The call of a layer for `key` (steps, batch, dtype, ...), prepared now if it is not yet.

    `stack` gives what to prepare, or None for what can't be.
    """
    known = calls.get(key)
    if known is not None:
        if known.holds(layer._parameters):
            return known.call
    elif key in calls:
        return None
    while len(calls) >= SHAPES:
        del calls[next(iter(calls))]
    calls[key] = found = _prepare(layer, key, stack())
    return found.call if found else None


def _prepare(layer: nn.Module, key: tuple[Any, ...], stack: Stack | None) -> _Known | None:
    weights = tuple((name, p) for name, p in layer._parameters.items() if p is not None)
    if stack is None or any(p.is_inference() for _, p in weights):
        return None
    if len(weights) != sum(1 for _ in layer.parameters()):
        return None  # weights are computed from others at every call
    call = Prepared(stack, *key[:3])
    if pack.padded(call.width, call.plan) != call.width:
        return None  # states would need room for units that fill a panel
    sample = pack.sampler(call.plan, [p for _, p in weights])
    marked = tuple((name, p, p._version, p.data_ptr()) for name, p in weights)
    return _Known(call, marked, sample, sample())
