"""A layer's arguments: check them, and convert the user's layout to the engine's (T, B, ·) and back."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.cells import Cell
from elman.engine import torch_internals
from elman.engine.call import Call, State
from elman.errors import UsageError
from elman.settings import plain

States = Tensor | tuple[Tensor, ...]


class Layout(NamedTuple):
    """The shapes of a layer's tensors; its methods raise UsageError for other shapes."""

    cell: Cell
    input_size: int
    widths: tuple[int, ...]  # of each state
    rows: int  # L*D, the first axis of a state
    batch_first: bool
    dtype: torch.dtype

    def parse(
        self,
        input: Tensor | PackedSequence,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        every_state: bool,
    ) -> tuple[Tensor, Call]:
        """Return x (T, B, I), or the data (N, I) of a PackedSequence, and the rest of the request."""
        if isinstance(input, PackedSequence):
            if lengths is not None or reset is not None or every_state:
                raise UsageError(
                    "a PackedSequence brings its own lengths and returns no more than torch.nn does: "
                    "pass lengths, reset and return_states with a tensor"
                )
            return self.check(input.data), Call(batch_sizes=input.batch_sizes)
        if input.dim() == 3:
            x = self.check(input.transpose(0, 1) if self.batch_first else input)
        elif input.dim() == 2:
            x = self.check(input.unsqueeze(1))
        else:
            layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise UsageError(f"input must be {layout} or (T, I), not {tuple(input.shape)}")
        if lengths is None and reset is None:
            return x, Call(every_state=every_state)
        return x, Call(_lengths(lengths, x), self._resets(reset, input), every_state=every_state)

    def check(self, x: Tensor) -> Tensor:
        """Return x itself if its last axis and its dtype fit the weights."""
        if x.shape[-1] != self.input_size:
            raise UsageError(
                f"the last axis of input must be input_size {self.input_size}, not {x.shape[-1]}"
            )
        if x.dtype != self.dtype and not _is_cast(x, self.dtype):
            raise UsageError(f"input is {x.dtype} but the weights are {self.dtype}: use .to() on one of them")
        return x

    def initial(self, hx: States | None, x: Tensor, call: Call, single: bool) -> State:
        """Return the initial state, (L*D, B, ·) for each state of the cell: zeros if hx is None."""
        batch: Any = x.shape[1] if call.batch_sizes is None else call.batch_sizes[0]
        if (
            isinstance(batch, Tensor) and not torch_internals.is_jit_traced()
        ):  # a trace would keep it as a constant
            batch = int(batch)
        if hx is None:
            return tuple(x.new_zeros(self.rows, batch, width) for width in self.widths)
        state = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        names = ", ".join(self.cell.state)
        if len(state) != len(self.widths):
            expected = f"one tensor {names}" if len(self.widths) == 1 else f"the tensors ({names})"
            raise UsageError(f"the state of {self.cell.name} is {expected}, not {len(state)}")
        for name, tensor, width in zip(self.cell.state, state, self.widths, strict=True):
            shape = (self.rows, width) if single else (self.rows, batch, width)
            if tuple(tensor.shape) != shape:
                raise UsageError(f"state {name} must be {shape}, not {tuple(tensor.shape)}")
            if tensor.dtype != x.dtype and not _is_cast(tensor, x.dtype):
                raise UsageError(
                    f"state {name} is {tensor.dtype} but input is {x.dtype}: use .to() on one of them"
                )
        return tuple(s.unsqueeze(1) for s in state) if single else state

    def to_user(self, state: State, single: bool) -> States:
        """Return a state as the user sees it: a tensor, or a tuple where the cell has several."""
        shaped = tuple(s.squeeze(-2) for s in state) if single else state
        return shaped if len(shaped) > 1 else shaped[0]

    def _resets(self, reset: Tensor | None, input: Tensor) -> Tensor | None:
        if reset is None:
            return None
        expected = tuple(input.shape[:-1])
        if tuple(reset.shape) != expected or reset.dtype != torch.bool:
            raise UsageError(f"reset must be bool {expected}, not {reset.dtype} {tuple(reset.shape)}")
        if reset.dim() == 1:
            return reset.unsqueeze(1)
        return reset.transpose(0, 1) if self.batch_first else reset


def _is_cast(x: Tensor, dtype: torch.dtype) -> bool:
    """Return whether autocast will bring x and tensors of this type to one precision."""
    mixable = (torch.float32, torch.float16, torch.bfloat16)
    return torch.is_autocast_enabled(x.device.type) and x.dtype in mixable and dtype in mixable


def _lengths(lengths: Tensor | list[int] | None, x: Tensor) -> Tensor | None:
    if lengths is None:
        return None
    steps, batch = x.shape[:2]
    if isinstance(lengths, list | tuple):
        lengths = [plain(length) for length in lengths]
    result = torch.as_tensor(lengths, device=x.device)
    if result.shape != (batch,) or (batch and (result.is_floating_point() or result.dtype == torch.bool)):
        raise UsageError(f"lengths must be whole numbers, one for each of the {batch} sequences")
    result = result.long()  # first: unsigned numbers can't be compared
    if bool(((result < 0) | (result > steps)).any()):
        raise UsageError(f"lengths must lie between 0 and the {steps} steps of input")
    return result
