"""Work that leaves some of its steps to its caller: generators that yield requests and get the answers."""

from collections.abc import Callable, Generator
from typing import Any, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


def driven(steps: Generator[Q, A, R], answer: Callable[[Q], A]) -> R:
    """Return what a generator returns, given the answer to each of its requests."""
    value: Any = None
    while True:
        try:
            request = steps.send(value)
        except StopIteration as end:
            result: R = end.value
            return result
        value = answer(request)


def within(
    steps: Generator[Q, A, R], answer: Callable[[Q], Generator[Any, Any, A]]
) -> Generator[Any, Any, R]:
    """Do the same where the answer to a request takes requests of another kind, which are yielded."""
    value: Any = None
    while True:
        try:
            request = steps.send(value)
        except StopIteration as end:
            result: R = end.value
            return result
        value = yield from answer(request)
