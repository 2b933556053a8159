"""A scan's request and its result, the same for every engine: every tensor is reached by name.

T steps, B sequences, I inputs, H units, G gates, P outputs (P = H without a projection), N heads, L layers,
D directions.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from elman.cells import Cell

Engine = Literal["auto", "compiled", "vendor", "eager"]
State = tuple[Tensor, ...]
# The entry of a tensor: the tensor itself, its gradient or None, or whether a gradient is needed.
T = TypeVar("T")
S = TypeVar("S")


class Weights(NamedTuple, Generic[T]):
    """One layer in one direction, by the names of its parameters."""

    weight_ih: T  # (G*H, I)
    weight_hh: T | None = None  # (G*H, P), of heads (G*H, H/N); None for a cell that has no U
    bias_ih: T | None = None  # (G*H)
    bias_hh: T | None = None  # (G*H)
    weight_hr: T | None = None  # (P, H) projects h to the output
    gain_ih: T | None = None  # (G*H), with layer normalisation only
    gain_hh: T | None = None  # (G*H)
    units: tuple[T, ...] = ()  # (H) each, in the order of cell.weights


class Stack(NamedTuple):
    """L layers in D directions of one cell, and their options; see `elman.Recurrent`."""

    cell: Cell
    weights: tuple[Weights[Tensor], ...]  # L*D, a layer's directions side by side
    directions: int
    training: bool
    dropout: float
    recurrent_dropout: float
    weight_dropout: float
    zoneout: float
    recompute: bool = False
    int8: bool = False
    bf16: bool = False  # float32, but products may round their operands to bfloat16
    engine: Engine = "auto"
    heads: int = 1  # N, see `elman.engine.heads`


class Call(NamedTuple):
    """One call's data beside x (T, B, I) and the state.

    With `batch_sizes`, x and the output are the data (N, ·) of a PackedSequence, and there are no lengths.
    """

    lengths: Tensor | None = None  # (B) int64 on x's device; steps at or beyond them are not taken
    reset: Tensor | None = None  # (T, B) bool: a new sequence starts here
    batch_sizes: Tensor | None = None  # (T) int64 on the CPU
    every_state: bool = False
    gates: Cell | None = None  # an `elman.engine.gates.Observed`: return every gate of every step
    note: Any = None  # an `elman.engine.record.LayerPass` of one layer in one direction, with every_state


class Noise(NamedTuple):
    """The random masks of one layer in one direction, drawn before its first step."""

    recurrent: Tensor | None = None  # (B, P), multiplies h before U at every step
    zoneout: tuple[Tensor | float, ...] | None = None  # per state (T, B, ·): 1 = keep; or the share kept


class Result(NamedTuple, Generic[T]):
    """Outputs (T, B, D*P), zero beyond a sequence's length; final state; on request every state (T, ...), and
    every gate (T, ...), zero beyond a sequence's length.

    A stack's states are (L*D, B, ·), those of one layer in one direction (B, ·).
    """

    output: T
    state: tuple[T, ...]
    every: tuple[T, ...] = ()
    gates: tuple[T, ...] = ()  # in the order of cell.gates


class Arguments(NamedTuple, Generic[T]):
    """Every tensor that a kernel reads for one layer in one direction; gradients have the same form."""

    x: T  # (T, B, I)
    state: tuple[T, ...]  # (B, H) each
    weights: Weights[T]
    lengths: T | None = None  # (B) int64
    clear: T | None = None  # (T, B) bool: the state is cleared before this step
    mask: T | None = None  # (B, H): U sees h times this
    zoneout: tuple[T, ...] = ()  # per state (T, B, H), 1 = keep, if masks were drawn


class Trace(NamedTuple):
    """What a kernel's forward pass keeps for the backward pass. Hp: H rounded up to whole panels."""

    states: tuple[Tensor, ...]  # (T + 1, B, Hp), or (1, B, Hp) where only the last one is kept
    # (T, B, places, Hp): values of the forward pass, and in the same places the gradients of the sums: the
    # backward pass reads a unit's values before it writes its gradients
    kept: Tensor | None
    units: Tensor | None  # (weights, Hp)
    zoneout: Tensor | None  # (states, T or 1, B or 1, Hp)
    mask: Tensor | None  # (B, Hp)


class Form(NamedTuple):
    """What a tensor will be."""

    shape: tuple[int, ...]
    dtype: torch.dtype


class Gradients(NamedTuple):
    """What a kernel's backward pass computes beside the gradients of the sums, which it leaves in the Trace.

    S sums of a row, J states.
    """

    carry: Tensor  # (B, J, Hp): of the initial state, without what the first step passes back through U
    bias: Tensor  # (S, Hp), summed over steps and rows, as the next two are
    units: Tensor  # (weights, Hp)
    gain: Tensor  # (S, Hp), with layer normalisation
    noted: tuple[Tensor, ...] = ()  # on request, of every state by all ways (T, B, Hp)


class Spec(NamedTuple):
    """The options of a kernel beside its Arguments, whose form they determine."""

    cell: Cell
    hidden: int
    reverse: bool = False
    every_state: bool = False
    int8: bool = False
    bf16: bool = False
    shares: tuple[float, ...] = ()  # of every state that zoneout keeps, if it draws no masks
    zoneout_masks: bool = False
    heads: int = 1

    def arguments(self, leaves: Iterable[Any]) -> Arguments[Any]:
        """Return Arguments with these entries, in the order of `flatten`."""
        remaining = iter(leaves)
        x, state = next(remaining), self._states(remaining)
        plain = islice(remaining, len(Weights._fields) - 1)
        weights: Weights[Any] = Weights._make([*plain, tuple(islice(remaining, len(self.cell.weights)))])
        lengths, clear, mask = islice(remaining, 3)
        masks = self._states(remaining) if self.zoneout_masks else ()
        return Arguments(x, state, weights, lengths, clear, mask, masks)

    def result(self, leaves: Iterable[Any]) -> Result[Any]:
        """Return a Result with these entries, in the order of `flatten`."""
        remaining = iter(leaves)
        output, state = next(remaining), self._states(remaining)
        return Result(output, state, self._states(remaining) if self.every_state else ())

    def trace(self, leaves: Iterable[Any]) -> Trace:
        """Return a Trace with these entries, in the order of `flatten`."""
        remaining = iter(leaves)
        return Trace(self._states(remaining), *islice(remaining, 4))

    def _states(self, leaves: Iterator[Any]) -> tuple[Any, ...]:
        return tuple(islice(leaves, len(self.cell.state)))


def flatten(value: Any) -> list[Any]:
    """Return the entries of nested tuples, None included: autograd and operators take flat lists only."""
    if not isinstance(value, tuple):
        return [value]
    leaves: list[Any] = []
    for part in value:
        if isinstance(part, tuple):
            leaves += flatten(part)
        else:
            leaves.append(part)
    return leaves


def unflatten(form: S, leaves: Iterable[Any]) -> S:
    """Put leaves back into nested tuples of this form; the inverse of `flatten`."""
    remaining = iter(leaves)

    def fill(part: Any) -> Any:
        if not isinstance(part, tuple):
            return next(remaining)
        parts = [fill(p) for p in part]
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)

    filled: S = fill(form)
    return filled


def taken(lengths: Tensor, steps: int) -> Tensor:
    """Return which of T steps each of B sequences takes, (T, B) bool."""
    return torch.arange(steps, device=lengths.device).unsqueeze(1) < lengths
