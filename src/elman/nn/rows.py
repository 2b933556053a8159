"""A network's parts for the rows of many sequences, alone or together: where a kernel runs, with the same
bits. Numbers are NumPy arrays: to cut and join small ones takes a tenth of the time of tensors.

T steps, R rows of a request, N rows in all, I inputs, P outputs, L layers.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from elman.engine.call import Call
from elman.engine.cpu.affine import AffineRows, affine_stack
from elman.engine.cpu.pooled import FirstRows
from elman.engine.cpu.stepped import Stepped
from elman.engine.forked import Lock
from elman.engine.scan import scan
from elman.nn.call_cache import is_kernel_alone
from elman.nn.recurrent import Recurrent
from elman.nn.stream import as_by_itself, frozen

BLOCK_ROWS: Final = 256  # that take a step at once
SHORT_STEPS: Final = 8  # up to so many are taken one by one: a scan costs more to prepare
MAX_ROW_STEPS: Final = 16_384  # of a scan: bounds the memory of its inputs and outputs

Array = NDArray[Any]
States = tuple[Array, ...]  # (L, R, ·) for each state of the cell


class RowSteps:
    """A layer's steps, with the weights that it has now, in eval mode and without gradients. States are
    values: a call leaves them as they are.

    Attributes:
        stack: the layer as the engine takes it.
    """

    def __init__(self, layer: Recurrent) -> None:
        """Prepare a layer in one direction."""
        stack, self._lock = layer.stack(), Lock()
        self._layout = layer.layout(stack)._replace(batch_first=False)
        with as_by_itself(self._layout):
            self.stack = frozen(stack)
            x = torch.empty(1, 1, layer.input_size, dtype=self._layout.dtype, device=self._layout.device)
            self._one = _Single(self.stack) if is_kernel_alone(self.stack, x) else None
        self._many: FirstRows | None = None  # its memory is made when there are several rows
        self._zeros = tuple(_array(zero) for zero in self._layout.initial(None, x, Call(), False))

    def zeros(self, rows: int = 1) -> States:
        """Return the state of rows that begin."""
        return tuple(np.repeat(zero, rows, 1) for zero in self._zeros)

    def run(
        self, x: Array, states: Sequence[States], lengths: Sequence[int] | None = None
    ) -> tuple[Array, list[States]]:
        """Take some steps of every row.

        Args:
            x: (T, N, I), with the rows of all requests, one request after another.
            states: of each request's rows, R at least 1.
            lengths: steps of each row, falling; T if None.

        Returns:
            Outputs (T, N, P), 0 beyond a row's steps, and the new states.
        """
        steps, total = x.shape[:2]
        with self._lock:
            if self._one and total == 1 and steps <= SHORT_STEPS:
                outputs, state = self._one.run(x, states[0])
                return outputs, [state]
            joined = [np.concatenate(parts, 1) for parts in zip(*states, strict=True)]
            if self._one and total <= BLOCK_ROWS and steps <= SHORT_STEPS:
                outputs, new = self._step_by_step(x, joined, lengths or [steps] * total)
            else:
                outputs, new = self._scan(x, joined, lengths)
        # copies: a part would keep the memory of all
        rows = slices([state[0].shape[1] for state in states])
        return outputs, [tuple([part[:, row].copy() for part in new]) for row in rows]

    def _step_by_step(
        self, x: Array, joined: list[Array], lengths: Sequence[int]
    ) -> tuple[Array, list[Array]]:
        if self._many is None:
            self._many = FirstRows(self.stack, BLOCK_ROWS)
        many, total = self._many, x.shape[1]
        for part, values in zip(many.before, joined, strict=True):
            part[:, :total] = values
        outputs = np.zeros((len(x), total, many.outputs.shape[1]), x.dtype)
        for t, step in enumerate(x):
            count = total if lengths[-1] > t else sum(length > t for length in lengths)
            many.inputs[:count] = step[:count]
            many.advance(count)
            outputs[t, :count] = many.outputs[:count]
        return outputs, [part[:, :total] for part in many.before]

    def _scan(
        self, x: Array, joined: list[Array], lengths: Sequence[int] | None
    ) -> tuple[Array, list[Array]]:
        kind: dict[str, Any] = {"dtype": self._layout.dtype, "device": self._layout.device}
        call = Call() if lengths is None else Call(torch.tensor(lengths, device=self._layout.device))
        with as_by_itself(self._layout):
            state = tuple(torch.from_numpy(part).to(**kind) for part in joined)
            result = scan(self.stack, torch.from_numpy(x).to(**kind), state, call)
        return _array(result.output), [_array(part) for part in result.state]


class _Single:
    """Steps of one row."""

    def __init__(self, stack: Any) -> None:
        self._steps = steps = Stepped(stack, 1)
        self._input, self._output = steps.input.numpy(), steps.output.numpy()

    def run(self, x: Array, state: States) -> tuple[Array, States]:
        steps = self._steps
        for part, value in zip(steps.arrays(), state, strict=True):
            np.copyto(part, value)
        outputs = np.empty((len(x), 1, self._output.shape[1]), x.dtype)
        for t, step in enumerate(x):
            np.copyto(self._input, step)
            steps.run()
            outputs[t] = self._output
        return outputs, tuple([part.copy() for part in steps.arrays()])


class RowProduct:
    """x Wᵀ + b for rows x: a linear layer, with the weights that it has now."""

    def __init__(self, weight: Tensor, bias: Tensor | None, int8: bool = False) -> None:
        self._weight, self._bias = weight.detach(), None if bias is None else bias.detach()
        stack = affine_stack(weight, bias, int8)
        x = torch.empty(1, 1, weight.shape[1], dtype=weight.dtype, device=weight.device)
        self._rows = AffineRows(stack) if is_kernel_alone(stack, x) else None

    def __call__(self, x: Array) -> Array:
        """Return (N, O) of x (N, I)."""
        if self._rows is not None:
            product: Array = self._rows(x)
            return product
        with torch.no_grad():
            return _array(F.linear(torch.from_numpy(x).to(self._weight), self._weight, self._bias))


def joined(arrays: Sequence[Array]) -> Array:
    """Join arrays (T, R, ...) of requests along the rows, with zeros beyond the steps of each."""
    longest = max(map(len, arrays))
    if all(len(one) == longest for one in arrays):
        return np.concatenate(arrays, 1)
    first = arrays[0]
    whole = np.zeros((longest, sum(one.shape[1] for one in arrays), *first.shape[2:]), first.dtype)
    at = 0
    for one in arrays:
        whole[: len(one), at : at + one.shape[1]] = one
        at += one.shape[1]
    return whole


def slices(counts: Sequence[int]) -> list[slice]:
    """Return where the rows of each request are among all, given their counts."""
    return [slice(*ends) for ends in pairwise(accumulate(counts, initial=0))]


def groups(shapes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield the numbers of requests, (T, R) each, to answer at once: of similar length, the longest first, as
    many as memory should hold."""
    group, rows, most = list[int](), 0, 0
    for k in sorted(range(len(shapes)), key=lambda k: -shapes[k][0]):
        steps, more = shapes[k]
        if not group or rows + more > most or (steps <= SHORT_STEPS < shapes[group[0]][0]):
            if group:
                yield group
            group, rows = [], 0
            most = BLOCK_ROWS if steps <= SHORT_STEPS else max(MAX_ROW_STEPS // steps, 1)
        group.append(k)
        rows += more
    if group:
        yield group


def _array(x: Tensor) -> Array:
    x = x.detach().cpu()
    array: Array = (x if x.dtype in (torch.float32, torch.float64) else x.float()).numpy()
    return array
