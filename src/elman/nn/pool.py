"""Many streams of one layer in one block of memory: any of them take their steps in one kernel call."""

from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from torch import Tensor

from elman.engine.call import Call, Stack, State
from elman.engine.cpu.casts import CastPooled
from elman.engine.cpu.pooled import Pooled
from elman.engine.forked import Lock
from elman.engine.scan import scan
from elman.errors import UsageError
from elman.nn.arguments import INTEGERS, Layout, States
from elman.nn.call_cache import for_kernels
from elman.nn.stream import as_by_itself, described, fits_memory, frozen, rows_of


class Pushed(NamedTuple):
    """What `LayerPool.push` returns.

    Attributes:
        output: (N, P), or (T, N, P) for several steps, 0 beyond a stream's own.
        failed: the slots whose output became NaN, and whose state was set to zeros for that.
    """

    output: Tensor
    failed: list[int]


class LayerPool:
    """Room for C streams, each in a slot of its own. Made by `Recurrent.pool`.

    It has the weights that the layer had then. Where a kernel runs, streams give the same bits together as
    alone. Threads may share it: they take turns. It can't be copied or pickled, but states can.
    """

    def __init__(self, layout: Layout, stack: Stack, capacity: int) -> None:
        """Take the weights of `stack`, those of a layer in one direction with this layout."""
        self.capacity = rows_of("capacity", capacity)
        self._layout, self._lock = layout, Lock("pool")
        self._kind: dict[str, Any] = {"dtype": layout.dtype, "device": layout.device}
        memory = fits_memory(f"a pool of {self.capacity} streams", layout, self.capacity)
        with as_by_itself(layout), memory:
            self._stack = frozen(stack)
            self._make_states()
            self._is_open = torch.zeros(self.capacity, dtype=torch.bool)
        self._fresh, self._closed = 0, list[int]()  # the first slot that was never open, and those closed

    def _make_states(self) -> None:
        layout = self._layout
        self._pooled: Pooled | None = None
        kernels = for_kernels(self._stack, torch.empty(1, 1, layout.input_size, **self._kind))
        if kernels is self._stack:
            self._pooled = Pooled(kernels, self.capacity)
        elif kernels is not None:
            self._pooled = CastPooled(kernels, self.capacity, layout.dtype)
        if self._pooled is not None:
            self._states = self._pooled.states
            return
        sizes = [(layout.rows, self.capacity, width) for width in layout.widths]
        self._states = tuple(torch.zeros(size, **self._kind) for size in sizes)

    def __len__(self) -> int:
        """Return the number of open streams."""
        return self._fresh - len(self._closed)

    def open(self, state: States | None = None) -> int:
        """Begin a stream and return its slot.

        Args:
            state: of one sequence, as `state` and `Recurrent.step` return it, (L, 1, P) and (L, 1, H) each;
                zeros if None.

        Raises:
            UsageError: if all slots are taken, or for a state of another shape.
        """
        parts = self._checked(state)
        with self._lock:
            if len(self) == self.capacity:
                raise UsageError(f"all {self.capacity} slots of the pool are open: close one")
            slot = self._closed.pop() if self._closed else self._fresh
            self._fresh = max(self._fresh, slot + 1)
            self._is_open[slot] = True
            self._write(slot, parts)
        return slot

    def close(self, slot: int) -> None:
        """End a stream; its slot may be taken by the next one. Raises UsageError for one that is not open."""
        with self._lock:
            slot = int(self._slots([slot]))
            self._is_open[slot] = False
            self._closed.append(slot)

    def state(self, slot: int) -> States:
        """Return a copy of a stream's state. Raises UsageError for a slot that is not open."""
        with self._lock:
            rows = self._slots([slot])
            return self._layout.to_user(self._of_rows(rows), False)

    def set_state(self, slot: int, state: States | None) -> None:
        """Replace a stream's state, by zeros for None. Raises UsageError as `open` and `state` do."""
        parts = self._checked(state)
        with self._lock:
            self._write(int(self._slots([slot])), parts)

    def push(self, slots: Any, x: Tensor, lengths: Any = None) -> Pushed:
        """Advance any of the streams, each by its own number of steps.

        Args:
            slots: (N) different slots: a list, an array or a tensor.
            x: (N, I) for one step, or (T, N, I).
            lengths: (N) steps of each stream, for x (T, N, I); T for all if None.

        Raises:
            UsageError: for a slot that is not open or comes twice, or another shape. No stream has advanced
                then.
        """
        with self._lock, as_by_itself(self._layout):
            rows = self._slots(slots)
            single = isinstance(x, Tensor) and x.dim() == 2
            if single and lengths is not None:
                raise UsageError("lengths come with x (T, N, I), not with a single step (N, I)")
            steps, call = self._request(x.unsqueeze(0) if single else x, lengths, len(rows))
            if not len(rows):
                return Pushed(x.new_zeros(*x.shape[:-1], self._layout.widths[0]), [])
            output = self._advance(rows, steps, call)
            failed = self._cleared(rows, output)
            return Pushed(output[0] if single else output, failed)

    def _request(self, x: Any, lengths: Any, count: int) -> tuple[Tensor, Call]:
        layout = self._layout._replace(batch_first=False)
        if not isinstance(x, Tensor) or x.dim() != 3 or x.shape[1] != count:
            kind = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise UsageError(f"x must be a tensor (N, I) or (T, N, I) for N = {count} slots, not {kind}")
        steps, call = layout.parse(x.detach(), lengths, None, False)
        return steps, call

    def _advance(self, rows: Tensor, x: Tensor, call: Call) -> Tensor:
        """Take the steps x (T, N, I) of these rows; return their outputs (T, N, P)."""
        if self._pooled is not None and len(x) == 1 and call.lengths is None:
            return self._pooled.step(rows, x[0]).unsqueeze(0)
        result = scan(self._stack, x, self._of_rows(rows), call)
        for part, new in zip(self._states, result.state, strict=True):
            part.index_copy_(1, rows, new.to(part.dtype))
        return result.output

    def _of_rows(self, rows: Tensor) -> State:
        """Return a copy of every state of some rows, (L, N, P) and (L, N, H) each, in the layer's precision,
        although kernels may keep its numbers in float32."""
        return tuple(part.index_select(1, rows).to(self._layout.dtype) for part in self._states)

    def _cleared(self, rows: Tensor, output: Tensor) -> list[int]:
        """Clear the states of rows whose outputs (T, N, P) hold a NaN; return these rows."""
        if not bool(output.sum().isnan()):  # one pass, and mostly the last one
            return []
        failed = rows[output.isnan().any(2).any(0)]
        for part in self._states if len(failed) else ():
            part.index_fill_(1, failed, 0.0)
        return failed.tolist()

    def _checked(self, state: States | None) -> State:
        x = torch.empty(1, 1, self._layout.input_size, **self._kind)
        return self._layout.initial(state, x, Call(), single=False)

    def _write(self, slot: int, state: State) -> None:
        for part, value in zip(self._states, state, strict=True):
            part[:, slot] = value.detach()[:, 0]

    def _slots(self, slots: Any) -> Tensor:
        """Return slots as int64 (N). Raises UsageError unless all are open and none comes twice."""
        try:
            # an array may run backwards in memory, which no tensor can
            rows = torch.as_tensor(np.ascontiguousarray(slots) if isinstance(slots, np.ndarray) else slots)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            rows = torch.empty(0, 0)
        if rows.dim() != 1 or (len(rows) and rows.dtype not in INTEGERS) or rows.is_meta:
            raise UsageError(
                f"slots must be whole numbers from 0 to {self.capacity - 1}, a list of them or a tensor (N), "
                f"not {slots!r:.100}"
            )
        rows = rows.to("cpu", torch.int64, copy=True)
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= self.capacity):
            raise UsageError(
                f"slots must lie between 0 and {self.capacity - 1}: the pool has {self.capacity}"
            )
        closed = rows[~self._is_open[rows]]
        if len(closed):
            raise UsageError(f"slot {int(closed[0])} is not open: open() returns the slot of a new stream")
        if len(set(rows.tolist())) < len(rows):
            raise UsageError(
                "a slot is given twice: push takes each stream once, with several steps as (T, N, I)"
            )
        return rows.to(self._layout.device)

    def __repr__(self) -> str:
        return f"<a pool of {len(self)} of {self.capacity} streams of {described(self._layout)}>"

    def __reduce__(self) -> NoReturn:
        raise UsageError("a pool of a layer can't be copied or pickled: save the states of its streams")
