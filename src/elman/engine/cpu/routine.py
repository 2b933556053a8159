"""A list of native calls with the memory that they need, which Python starts with one call.

All addresses are words: offsets from bases, of which a few differ from start to start, such as the address
of the input.
"""

import ctypes
import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from elman.engine.cpu import build
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.routine import CALL
from elman.engine.memory import CPU, own

ALIGNMENT: Final = 64  # bytes: of vectors, and of a cache's lines
MAX_KEPT: Final = 1 << 26  # bytes of scratch memory that a thread keeps
SCRATCH: Final = "scratch"
Place = tuple[str, int]  # a base, and an offset in bytes
Word = int | Place


class _Workspace(threading.local):
    """A thread's scratch memory, reused by its kernels: fresh pages cost more than the work on them.
    Where much is needed, the work takes longer, and the memory is given back."""

    def __init__(self) -> None:
        self.bytes = torch.empty(0, dtype=torch.uint8, device=CPU)

    def get(self, count: int) -> torch.Tensor:
        if count > MAX_KEPT:
            return torch.empty(count, dtype=torch.uint8, device=CPU)
        if self.bytes.numel() < count:
            self.bytes = torch.empty(count + count // 2, dtype=torch.uint8, device=CPU)
        return self.bytes


WORKSPACE: Final = _Workspace()


def after(place: Place, count: int) -> Place:
    """Return the place of `count` bytes later."""
    base, offset = place
    return base, offset + count


def aligned(count: int) -> int:
    return -(-count // ALIGNMENT) * ALIGNMENT


class Routine:
    """Calls of native functions by address, in order; build it with `room`, `call` and `finish`."""

    def __init__(self, vector: Vector, bases: Sequence[str]) -> None:
        """The bases are named in the order in which `run` takes them."""
        self._vector = vector
        self._index = {name: k for k, name in enumerate((SCRATCH, "", *bases))}
        self._type = ctypes.c_int64 * len(self._index)
        self._calls: list[Word] = []
        self._tables: list[tuple[Word, ...]] = []
        self._room = 0

    def room(self, count: int) -> Place:
        """Return where in the scratch memory there are `count` bytes."""
        offset, self._room = self._room, self._room + aligned(count)
        return "room", offset

    def table(self, words: Sequence[Word]) -> Place:
        """Return where these words will be."""
        offset = 8 * sum(map(len, self._tables))
        self._tables.append(tuple(words))
        return "table", offset

    def call(self, function: int, *arguments: Word) -> None:
        assert len(arguments) < CALL
        self._calls += [function, *arguments, *[0] * (CALL - 1 - len(arguments))]

    def finish(self, alive: Any) -> None:
        """Lay out the scratch memory: the words, then what was given as room. `alive` owns addresses."""
        words = [*self._calls, *[word for table in self._tables for word in table]]
        starts = {"table": 8 * len(self._calls), "room": aligned(8 * len(words))}
        self._size = starts["room"] + self._room + ALIGNMENT
        pairs = [word if isinstance(word, tuple) else ("", word) for word in words]
        here = [(SCRATCH, starts[base] + k) if base in starts else (base, k) for base, k in pairs]
        which = np.array([self._index[base] for base, _ in here], np.int64)
        offsets = np.array([offset for _, offset in here], np.int64)
        self._fixed = offsets.ctypes.data, which.ctypes.data
        self._counts = len(words), len(self._calls) // CALL
        self._perform = build.performer(self._vector)
        self._alive = offsets, which, alive

    def run(self, *bases: int) -> None:
        """Make all calls with these bases."""
        assert len(bases) == len(self._index) - 2
        scratch = WORKSPACE.get(self._size)  # held until they are made
        start = aligned(own(scratch))
        self._perform(*self._fixed, self._type(start, 0, *bases), start, *self._counts)
