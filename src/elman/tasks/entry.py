"""Where a caller's Python enters a task: NumPy's numbers become Python's, and PyTorch computes as if nothing
had been set, whatever the caller has set for programs of their own."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

import torch

from elman.engine.torch_internals import has_function_mode
from elman.settings import plain

P = ParamSpec("P")
R = TypeVar("R")
DEVICES: Final = ("cpu", "cuda")
# One training at a time in a process: all draw from PyTorch's one generator, and a seed fixes their results.
_TRAINING: Final = threading.RLock()


def entry(method: Callable[P, R]) -> Callable[P, R]:
    """Run a method, or each step of a generator, with Python's numbers and PyTorch's defaults."""

    @wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with nullcontext() if _is_default() else default_torch():
            result = method(*map(plain, args), **{name: plain(value) for name, value in kwargs.items()})
        return cast(R, _stepped(result)) if isinstance(result, Generator) else result

    return called


def training_entry(method: Callable[P, R]) -> Callable[P, R]:
    """Run a training as `entry` does, one at a time, and give the caller the random numbers back that would
    have come next."""
    enter = entry(method)

    @wraps(method)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with _TRAINING, kept_generators():
            return enter(*args, **kwargs)

    return called


@contextmanager
def default_torch() -> Iterator[None]:
    """Compute with gradients, in float32, on the CPU where no other device is named, and without autocast."""
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in DEVICES:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if has_function_mode() and torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        yield


def _is_default() -> bool:
    """Return whether there is nothing to do for `default_torch`, in less time than that takes."""
    return (
        torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not any(map(torch.is_autocast_enabled, DEVICES))
        and not has_function_mode()
        and torch.get_default_dtype() == torch.float32
    )


@contextmanager
def kept_generators() -> Iterator[None]:
    """Restore the state of PyTorch's generators at the end."""
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=gpus):
        yield


def _stepped(steps: Generator[Any, Any, Any]) -> Iterator[Any]:
    """Yield the values of a generator; the caller's settings are back between them."""
    with closing(steps):
        while True:
            try:
                with nullcontext() if _is_default() else default_torch():
                    value = next(steps)
            except StopIteration:
                return
            yield value
