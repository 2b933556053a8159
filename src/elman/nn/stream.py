"""A layer as a stream: single steps whose state lies in memory that the stream keeps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from elman.engine.call import Call, Stack, State, flatten, unflatten
from elman.engine.cpu.casts import CastStepped
from elman.engine.cpu.stepped import Stepped
from elman.engine.forked import Lock
from elman.engine.scan import scan
from elman.errors import UsageError
from elman.nn.arguments import Layout, States
from elman.nn.call_cache import for_kernels
from elman.settings import is_whole, plain

X = TypeVar("X")  # np.ndarray or Tensor
MAX_ROWS: Final = 2**31 - 1


class LayerStream:
    """Steps of B sequences side by side, from a state of zeros. Made by `Recurrent.stream`.

    It has the weights that the layer had then. Threads take turns with it, but all get their outputs in the
    same memory. It can't be copied or pickled, but its `state` can.
    """

    def __init__(self, layout: Layout, stack: Stack, batch: int) -> None:
        """Take the weights of `stack`, those of a layer in one direction with this layout."""
        self.batch = rows_of("batch", batch)
        self._layout, self._lock = layout, Lock("stream")
        with as_by_itself(layout), fits_memory(f"a stream of {self.batch} sequences", layout, self.batch):
            stack = frozen(stack)
            x = torch.zeros(1, self.batch, layout.input_size, dtype=layout.dtype, device=layout.device)
            self._steps = _steps(layout, stack, x[0])
        input, output = self._steps.input, self._steps.output
        # by their shape: where an input goes, and where its output comes from
        self._tensors = {tuple(input.shape): (input, output)}
        if self.batch == 1:
            self._tensors[tuple(input.shape[1:])] = (input[0], output[0])
        self._arrays: dict[tuple[int, ...], tuple[Any, Any]] = {}
        if input.is_cpu and input.dtype is not torch.bfloat16:  # which NumPy does not have
            self._arrays = {shape: (x.numpy(), y.numpy()) for shape, (x, y) in self._tensors.items()}

    def push(self, x: X) -> X:
        """Take one step.

        Args:
            x: (B, I), or (I) if B is 1: a tensor or a NumPy array of real numbers, which are rounded to the
                layer's precision.

        Returns:
            The output (B, P) or (P), of the kind of x and without gradient. The next call overwrites it.

        Raises:
            UsageError: for another shape or kind.
        """
        pair: Any = None
        copy: Any = np.copyto
        if isinstance(x, np.ndarray):
            pair = self._arrays.get(x.shape)
        elif isinstance(x, Tensor) and not x.is_complex():
            pair, copy = self._tensors.get(x.shape), _copy
        if pair is None:
            self._refuse(x)
        with self._lock:
            try:
                copy(pair[0], x)
            except (RuntimeError, TypeError):  # complex numbers, text, tensors without memory
                self._refuse(x)
            self._steps.run()
        return cast(X, pair[1])

    def _refuse(self, x: Any) -> NoReturn:
        shapes = " or ".join(map(str, self._tensors))
        kind = (
            f"{type(x).__name__} of {x.dtype} {tuple(x.shape)}" if hasattr(x, "dtype") else type(x).__name__
        )
        raise UsageError(f"push takes a tensor or an array of {self._layout.dtype} {shapes}, not a {kind}")

    @property
    def state(self) -> States:
        """The state as `Recurrent.step` has it: a copy, which can be saved, and assigned to any stream of as
        many sequences. Raises UsageError for another shape, dtype or device."""
        with self._lock:
            return self._layout.to_user(self._steps.state, single=False)

    @state.setter
    def state(self, state: States) -> None:
        checked = self._layout.initial(state, self._steps.input.unsqueeze(0), Call(), single=False)
        with self._lock, torch.no_grad():
            self._steps.state = checked

    def clear(self) -> None:
        """Begin new sequences: set the state to zeros."""
        with self._lock, torch.no_grad():
            self._steps.state = self._layout.initial(None, self._steps.input.unsqueeze(0), Call(), False)

    def __repr__(self) -> str:
        return f"<a stream of {self.batch} x {described(self._layout)}>"

    def __reduce__(self) -> NoReturn:
        raise UsageError("a stream of a layer can't be copied or pickled: save its state")


def _steps(layout: Layout, stack: Stack, input: Tensor) -> "Stepped | CastStepped | _Stepwise":
    kernels = for_kernels(stack, input.unsqueeze(0))
    if kernels is None:
        return _Stepwise(layout, stack, input)
    return Stepped(stack, len(input)) if kernels is stack else CastStepped(kernels, len(input), layout.dtype)


class _Stepwise:
    """The same as `Stepped` by PyTorch's operations, where a kernel alone won't do."""

    def __init__(self, layout: Layout, stack: Stack, input: Tensor) -> None:
        self._layout, self._stack, self.input = layout, stack, input
        self._state: State = layout.initial(None, input.unsqueeze(0), Call(), False)
        self.output = torch.zeros_like(self._state[0][-1])

    def run(self) -> None:
        with as_by_itself(self._layout):
            result = scan(self._stack, self.input.unsqueeze(0), self._state, Call())
        self._state = result.state
        self.output.copy_(result.output[0])

    @property
    def state(self) -> State:
        return tuple(part.clone() for part in self._state)

    @state.setter
    def state(self, state: State) -> None:
        self._state = tuple(part.clone() for part in state)


def _copy(to: Tensor, x: Tensor) -> None:
    to.copy_(x.detach() if x.requires_grad else x)


@contextmanager
def as_by_itself(layout: Layout) -> Iterator[None]:
    """Compute without gradients, and as if the caller were under neither autocast nor inference mode: what is
    made there could not be written outside it."""
    autocast = torch.autocast(layout.device.type, enabled=False)
    with torch.inference_mode(False), torch.no_grad(), autocast:
        yield


@contextmanager
def fits_memory(what: str, layout: Layout, rows: int) -> Iterator[None]:
    """Raise UsageError where the memory of so many rows can't be had."""
    # looked at first: the system may promise more than it has, and then end the process
    needed = layout.dtype.itemsize * rows * (layout.input_size + layout.rows * sum(layout.widths))
    try:
        if layout.device.type == "cpu" and needed > _memory_bytes():
            raise MemoryError
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        raise UsageError(f"{what} does not fit in memory") from error


def _memory_bytes() -> float:
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float("inf")  # unknown on Windows


def described(layout: Layout) -> str:
    """Say in a few words what layer takes the steps."""
    return f"{layout.cell.name}: {layout.input_size} inputs, {layout.widths[0]} outputs"


def frozen(stack: Stack) -> Stack:
    """Return the stack with copies of its weights, in eval mode."""
    copies = [None if w is None else w.detach().clone() for w in flatten(stack.weights)]
    return stack._replace(weights=unflatten(stack.weights, copies), training=False)


def rows_of(name: str, value: Any) -> int:
    """Return a number of rows. Raises UsageError for anything but a whole number from 1 to MAX_ROWS."""
    value = plain(value)
    if not is_whole(value) or not 1 <= value <= MAX_ROWS:
        raise UsageError(f"{name} must be a whole number from 1 to {MAX_ROWS}, not {value!r}")
    return cast(int, value)
