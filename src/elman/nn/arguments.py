"""A layer's weights and arguments: check them, and convert the user's
layout to the engine's (T, B, ·) and back.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.cells import Cell
from elman.engine import torch_internals
from elman.engine.call import Call, State
from elman.engine.memory import find, problem, storage_problem
from elman.errors import UsageError
from elman.nn.parameters import shapes
from elman.settings import is_whole, plain

States = Tensor | tuple[Tensor, ...]
Shape = tuple[int, ...]
SIGNED: Final = (torch.int64, torch.int32, torch.int16, torch.int8)
INTEGERS: Final = (*SIGNED, torch.uint8, torch.uint16, torch.uint32, torch.uint64)


class Layout(NamedTuple):
    """The shapes of a layer's tensors; its methods raise UsageError for other shapes."""

    cell: Cell
    input_size: int
    widths: tuple[int, ...]  # of each state
    rows: int  # L*D, the first axis of a state
    batch_first: bool
    dtype: torch.dtype
    device: torch.device

    def parse(
        self,
        input: Tensor | PackedSequence,
        lengths: Tensor | list[int] | None,
        reset: Tensor | None,
        every_state: bool = False,
        gates: Cell | None = None,
    ) -> tuple[Tensor, Call]:
        """Return x (T, B, I), or the data (N, I) of a PackedSequence, and the rest of the request."""
        if isinstance(input, PackedSequence):
            if lengths is not None or reset is not None or every_state or gates is not None:
                raise UsageError(
                    "a PackedSequence brings its own lengths and returns no more than torch.nn does: "
                    "pass lengths, reset, return_states and return_gates with a tensor"
                )
            return self.check(input.data), Call(batch_sizes=_batch_sizes(input))
        if not isinstance(input, Tensor):
            raise UsageError(f"input must be a tensor or a PackedSequence, not {type(input).__name__}")
        if input.dim() not in (2, 3):
            layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise UsageError(f"input must be {layout} or (T, I), not {tuple(input.shape)}")
        x = self.check(input)
        x = x.unsqueeze(1) if x.dim() == 2 else x.transpose(0, 1) if self.batch_first else x
        if lengths is None and reset is None:
            return x, Call(every_state=every_state, gates=gates)
        return x, Call(_lengths(lengths, x), self._resets(reset, input), every_state=every_state, gates=gates)

    def check(self, x: Tensor) -> Tensor:
        """Return x itself if its last axis, its dtype and its device fit the weights."""
        return check_input(x, self.input_size, self.dtype, self.device)

    def initial(self, hx: States | None, x: Tensor, call: Call, single: bool) -> State:
        """Return the initial state, (L*D, B, ·) for each state of the cell: zeros if hx is None."""
        batch: Any = x.shape[1] if call.batch_sizes is None else call.batch_sizes[0]
        if (
            isinstance(batch, Tensor) and not torch_internals.is_jit_traced()
        ):  # a trace would keep it as a constant
            batch = int(batch)
        if hx is None:
            return tuple(x.new_zeros(self.rows, batch, width) for width in self.widths)
        shapes = [(self.rows, width) if single else (self.rows, batch, width) for width in self.widths]
        state = check_states(self.cell, hx, shapes, x)
        return tuple(s.unsqueeze(1) for s in state) if single else state

    def to_user(self, state: State, single: bool) -> States:
        """Return a state as the user sees it: a tensor, or a tuple where the cell has several."""
        shaped = tuple(s.squeeze(-2) for s in state) if single else state
        return shaped if len(shaped) > 1 else shaped[0]

    def _resets(self, reset: Tensor | None, input: Tensor) -> Tensor | None:
        if reset is None:
            return None
        expected = tuple(input.shape[:-1])
        if not isinstance(reset, Tensor):
            raise UsageError(f"reset must be a tensor, bool {expected}, not {type(reset).__name__}")
        if tuple(reset.shape) != expected or reset.dtype != torch.bool:
            raise UsageError(f"reset must be bool {expected}, not {reset.dtype} {tuple(reset.shape)}")
        if reset.device != input.device:
            raise UsageError(
                f"reset is on {reset.device} but input is on {input.device}: use .to() on one of them"
            )
        _check_storage("reset", reset)
        if reset.dim() == 1:
            return reset.unsqueeze(1)
        return reset.transpose(0, 1) if self.batch_first else reset


def check_input(x: Tensor, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return x itself if its last axis has this size, and its dtype and device are those of the weights."""
    _check_storage("input", x)
    if x.shape[-1] != size:
        raise UsageError(f"the last axis of input must be input_size {size}, not {x.shape[-1]}")
    if x.dtype != dtype and not _is_cast(x, dtype):
        raise UsageError(f"input is {x.dtype} but the weights are {dtype}: use .to() on one of them")
    if x.device != device:
        raise UsageError(f"input is on {x.device} but the weights are on {device}: use .to() on one of them")
    return x


def check_states(cell: Cell, hx: Any, expected: Sequence[Shape], x: Tensor) -> State:
    """Return a cell's states as a tuple if they have these shapes, and the dtype and device of x."""
    if not isinstance(hx, (Tensor, tuple, list)) or not all(isinstance(s, Tensor) for s in hx):
        raise UsageError(f"the state must be a tensor or a tuple of tensors, not {type(hx).__name__}")
    state = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    names = ", ".join(cell.state)
    if len(state) != len(expected):
        tensors = f"one tensor {names}" if len(expected) == 1 else f"the tensors ({names})"
        raise UsageError(f"the state of {cell.name} is {tensors}, not {len(state)}")
    for name, tensor, shape in zip(cell.state, state, expected, strict=True):
        _check_storage(f"state {name}", tensor)
        if tuple(tensor.shape) != shape:
            raise UsageError(f"state {name} must be {shape}, not {tuple(tensor.shape)}")
        if tensor.dtype != x.dtype and not _is_cast(tensor, x.dtype):
            raise UsageError(
                f"state {name} is {tensor.dtype} but input is {x.dtype}: use .to() on one of them"
            )
        if tensor.device != x.device:
            raise UsageError(
                f"state {name} is on {tensor.device} but input is on {x.device}: use .to() on one of them"
            )
    return state


def _is_cast(x: Tensor, dtype: torch.dtype) -> bool:
    """Return whether autocast will bring x and tensors of this type to one precision."""
    mixable = (torch.float32, torch.float16, torch.bfloat16)
    return torch.is_autocast_enabled(x.device.type) and x.dtype in mixable and dtype in mixable


def _check_storage(name: str, tensor: Tensor) -> None:
    if torch_internals.has_memory() and (reason := storage_problem(tensor)):
        raise UsageError(f"{name} {reason}")


def _lengths(lengths: Any, x: Tensor) -> Tensor | None:
    """Return a copy of the lengths on x's device, which nobody else can change."""
    if lengths is None:
        return None
    steps, batch = x.shape[:2]
    sentence = f"lengths must be whole numbers, one for each of the {batch} sequences"
    if isinstance(lengths, Tensor):
        if lengths.is_meta != x.is_meta:
            raise UsageError(f"{sentence}, and on {x.device} rather than {lengths.device}")
        _check_storage("lengths", lengths)
        result = lengths.to(x.device)
    else:
        try:
            if isinstance(lengths, list | tuple):
                lengths = [plain(length) for length in lengths]
            result = torch.as_tensor(lengths, device=x.device)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise UsageError(sentence) from error
    if result.shape != (batch,) or (batch and result.dtype not in INTEGERS):
        raise UsageError(sentence)
    result = result.to(torch.int64, copy=True, memory_format=torch.contiguous_format)
    if not x.is_meta and bool(((result < 0) | (result > steps)).any()):
        raise UsageError(f"lengths must lie between 0 and the {steps} steps of input")
    return result


def _batch_sizes(packed: PackedSequence) -> Tensor:
    """Return how many sequences take each step, if a PackedSequence made by hand says what can be."""
    sizes = packed.batch_sizes
    if not torch_internals.has_memory():
        return sizes
    counts = sizes.tolist() if sizes.dtype == torch.int64 and sizes.dim() == 1 else []
    falling = all(a >= b for a, b in itertools.pairwise(counts)) and bool(counts) and counts[-1] > 0
    if not falling or sum(counts) != len(packed.data):
        raise UsageError(
            f"batch_sizes of a PackedSequence must be decreasing whole numbers above 0 that add up to its "
            f"{len(packed.data)} steps: use torch.nn.utils.rnn.pack_padded_sequence"
        )
    every = torch.arange(counts[0], device=packed.data.device)
    for order in (packed.sorted_indices, packed.unsorted_indices):
        if order is not None and not (order.shape == every.shape and torch.equal(order.sort()[0], every)):
            raise UsageError(f"indices of a PackedSequence must be a permutation of {counts[0]} sequences")
    return sizes


class Sizes(Protocol):
    """What a layer's sizes and options say about its weights; see `elman.nn.Recurrent`."""

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    proj_size: int
    bias: bool
    layer_norm: bool
    heads: int


def check_heads(layer: Sizes) -> None:
    """Raise UsageError unless the layer's units can be divided among its heads."""
    heads, hidden = layer.heads, layer.hidden_size
    if heads == 1:
        return
    if not layer.cell.recurrent:
        raise UsageError(f"{layer.cell.name} has no recurrent matrix to divide among heads={heads}")
    if not is_whole(heads) or heads < 1 or hidden % heads:
        raise UsageError(f"heads must divide hidden_size {hidden}, which {heads!r} doesn't")
    if layer.proj_size:
        raise UsageError("heads divide the units, which proj_size mixes: use one of the two")


def check_weights(
    layer: Sizes, names: Sequence[dict[str, str]], by_layer: Sequence[dict[str, Tensor]]
) -> None:
    """Raise UsageError unless the weights have the shapes of the layer's sizes, one dtype and one device.

    Both change after the layer was made: weights by assignment, sizes as attributes.
    """
    check_heads(layer)
    if not torch_internals.has_memory():
        return
    first, directions = by_layer[0]["weight_ih"], 2 if layer.bidirectional else 1
    dtype, options = first.dtype, (layer.hidden_size, layer.proj_size, layer.bias, layer.layer_norm)
    if len(names) != layer.num_layers * directions:
        raise UsageError("num_layers and bidirectional can't change once a layer is built: build another one")
    for k, (full, weights) in enumerate(zip(names, by_layer, strict=True)):
        inputs = layer.input_size if k < directions else directions * (layer.proj_size or layer.hidden_size)
        expected = shapes(layer.cell, inputs, *options, layer.heads)
        if expected.keys() != weights.keys():
            raise UsageError(
                "cell, bias, layer_norm and proj_size can't change once a layer is built: build another one"
            )
        for name, weight in weights.items():
            if find(weight, expected[name], dtype):
                continue  # most are as they were made
            if reason := _weight_problem(weight, expected[name], first):
                sizes = f"input_size is {layer.input_size}, hidden_size {layer.hidden_size}"
                raise UsageError(f"{full[name]} {reason}; {sizes}")


def _weight_problem(weight: Any, shape: Shape, first: Tensor) -> str:
    if not isinstance(weight, Tensor):
        return f"must be a tensor {shape}, not {type(weight).__name__}"
    mixed = weight.dtype is not first.dtype and _is_cast(weight, first.dtype)
    return problem(weight, shape, weight.dtype if mixed else first.dtype, first.device)
