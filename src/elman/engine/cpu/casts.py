"""Prepared calls, streams and pools in half precision: computed in float32, with a cast at either end.

A call rounds what it returns, so that the next one begins from rounded states: the bits are those of
`elman.engine.scan`. T steps, B sequences, I inputs, H units, L layers, C rows of a pool.
"""

from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman.engine.call import Stack, State
from elman.engine.cpu.pooled import Pooled
from elman.engine.cpu.prepared import Prepared
from elman.engine.cpu.stepped import Stepped
from elman.engine.memory import CPU, Shape, find, find_rows, own

MIXED: Final = (torch.float32, torch.float16, torch.bfloat16)  # what autocast brings to one precision
ROUND: Final = {torch.float16: Tensor.half, torch.bfloat16: Tensor.bfloat16}  # quicker than Tensor.to


class Types(NamedTuple):
    """The precision of a call's tensors."""

    input: torch.dtype
    states: tuple[torch.dtype, ...]  # what they may be
    result: torch.dtype


class CastPrepared(Prepared):
    """The same as `Prepared`, with results in half precision, from inputs and states of other types."""

    def __init__(self, stack: Stack, steps: int, batch: int, types: Types) -> None:
        """`stack` has weights in float32."""
        super().__init__(stack, steps, batch, torch.float32)
        self._types, self._round = types, ROUND[types.result]
        with torch.inference_mode(False):  # what is made in that mode can't be written outside it
            self._x = torch.empty(self.step_input, dtype=torch.float32, device=CPU)
            self._old, self._new = (tuple([torch.empty_like(z) for z in self.zeros]) for _ in range(2))
        self._top = self._new[0][-1]  # the output of a step

    def states(self, hx: Any, shape: Shape = ()) -> tuple[State, list[int]] | None:
        """Do the same as `Prepared.states` while the lock is held: states are widened in one memory."""
        if hx is None:
            return super().states(None)
        states = (hx,) if isinstance(hx, Tensor) else hx
        if type(states) is not tuple or len(states) != self.count:
            return None
        wide = []
        for state, room in zip(states, self._old, strict=True):
            kind = state.dtype if isinstance(state, Tensor) else None
            if kind not in self._types.states or not find(state, self.shape, kind):
                return None
            wide.append(state if kind is torch.float32 else room.copy_(state))
        return tuple(wide), [own(state) for state in wide]

    def _step(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        state = self.states(hx) if find_rows(x, self.step_input, self._types.input) else None
        if state is None:
            return None
        x = x if x.dtype is torch.float32 else self._x.copy_(x)
        self._advance(own(x), x.stride(0) if self.batch > 1 else 0, state[1], self._new)
        return self._round(self._top), tuple([self._round(s) for s in self._new])

    def _scan(self, x: Tensor, hx: Any) -> tuple[Tensor, State] | None:
        state = self.states(hx) if find_rows(x, self.scan_input, self._types.input) else None
        if state is None:
            return None
        x = x.float()
        output, final = self._along_layers(own(x), x.stride(), state[1])
        return self._round(output), tuple([self._round(s) for s in final])


class CastStepped:
    """The same as `Stepped`, with input, output and state in half precision."""

    def __init__(self, stack: Stack, batch: int, dtype: torch.dtype) -> None:
        """`stack` has weights in float32."""
        self._steps, self._dtype = Stepped(stack, batch), dtype
        self.input = torch.zeros(self._steps.input.shape, dtype=dtype, device=CPU)
        self.output = torch.zeros(self._steps.output.shape, dtype=dtype, device=CPU)
        self._rounded = self.state  # memory in which a step rounds it

    def run(self) -> None:
        """Take one step on `input`."""
        self._steps.input.copy_(self.input)
        self._steps.run()
        self.output.copy_(self._steps.output)
        for part, rounded in zip(self._steps.parts(), self._rounded, strict=True):
            part.copy_(rounded.copy_(part))

    @property
    def state(self) -> State:
        """Return a copy of every state, (L, B, H)."""
        return tuple(part.to(self._dtype) for part in self._steps.parts())

    @state.setter
    def state(self, state: State) -> None:
        self._steps.state = state


class CastPooled(Pooled):
    """The same as `Pooled`, with inputs and outputs in half precision, and numbers of it in its states."""

    def __init__(self, stack: Stack, capacity: int, dtype: torch.dtype) -> None:
        """`stack` has weights in float32."""
        super().__init__(stack, capacity)
        self._dtype = dtype

    def step(self, rows: Tensor, x: Tensor) -> Tensor:
        """Take one step of different rows (N) int64 below C on x (N, I); return their outputs (N, H)."""
        output = super().step(rows, x.float()).to(self._dtype)
        for part in self.states:
            rounded = part.index_select(1, rows).to(self._dtype)
            part.index_copy_(1, rows, rounded.float())
        return output
