"""Calls that were prepared for the latest requests."""

from typing import Any, Final, TypeVar

from elman.engine.forked import Lock

MAX_SHAPES: Final = 8  # prepared for a layer
V = TypeVar("V")
_LOCK: Final = Lock()


class Recent(dict[Any, V]):
    """Up to MAX_SHAPES calls by request, such as the shape of the input; several threads may add some."""

    def add(self, key: Any, call: V) -> V:
        """Add a call, in place of the oldest where there are as many as may be; return it."""
        with _LOCK:
            while len(self) >= MAX_SHAPES:
                del self[next(iter(self))]
            self[key] = call
        return call

    def clear(self) -> None:
        with _LOCK:
            super().clear()

    def __reduce__(self) -> Any:
        """Let copies start empty: calls hold addresses of this process."""
        return type(self), ()
