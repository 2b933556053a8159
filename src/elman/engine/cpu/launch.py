"""Tensors → argument blocks → kernels: one layer in one direction, forward and backward.

T steps, B sequences, I inputs, H units, Hp units of whole panels, S slots, J states.
"""

import functools
import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.engine.call import State, Weights
from elman.engine.cpu import build, host
from elman.engine.cpu import weights as pack
from elman.engine.cpu.emit.plan import Plan

# Fewer multiplications a call than this are done sooner alone than shared.
SERIAL: Final = 1_500_000
# A step with more multiplications than this, but few rows, is worth meeting for after every step.
SPLIT: Final = 200_000
# Rows of inputs that are multiplied at once, and bytes that their sums may take: half a usual L2 cache.
ROWS, BYTES = 48, 256 * 1024


class Options(NamedTuple):
    """Of one scan, beside x, the state and the weights."""

    lengths: Tensor | None = None  # (B) int64
    clear: Tensor | None = None  # (T, B) bool: the state is cleared before this step is taken
    reverse: bool = False
    mask: Tensor | None = None  # (B, H): U sees h times this
    zoneout: tuple[Tensor | float, ...] | None = None  # per state (T, B, H), or the share kept


class Trace(NamedTuple):
    """What the forward pass leaves: the states in T + 1 slots (or 1), and what the backward pass needs."""

    states: tuple[Tensor, ...]  # (T + 1, B, Hp)
    # (T, B, places, Hp): values of the forward pass, and in the same places the gradients of the sums: the
    # backward pass reads a unit's values before it writes its gradients
    kept: Tensor | None
    units: Tensor | None
    zoneout: Tensor | None
    mask: Tensor | None


class Schedule(NamedTuple):
    """Which rows run where."""

    threads: int
    split: bool
    slices: int
    largest: int  # rows of a slice
    begins: Any  # int64 (slices + 1)
    rows: Any  # int64 (B), within a slice by falling length
    lengths: Any  # int64 (B)


def schedule(steps: int, batch: int, lengths: Tensor | None, work: int, whole: bool = False) -> Schedule:
    """Share B rows out; `work` is a row's multiplications in one step. A `whole` row has one thread."""
    threads = host.threads()
    split = batch < 2 * threads and work * batch >= SPLIT and not whole
    if steps * batch * work < SERIAL or (batch < threads and not split):
        threads = 1
    split = split and threads > 1
    slices = 1 if split else max(1, min(threads, batch))
    if lengths is None:
        return _even(steps, batch, threads, split, slices)
    order = np.argsort(-lengths.numpy(), kind="stable")
    return _shared(threads, split, [order[k::slices] for k in range(slices)], lengths.numpy())


@functools.lru_cache(256)
def _even(steps: int, batch: int, threads: int, split: bool, slices: int) -> Schedule:
    parts = np.array_split(np.arange(batch), slices)
    return _shared(threads, split, parts, np.full(batch, steps, np.int64))


def _shared(threads: int, split: bool, parts: list[Any], lengths: Any) -> Schedule:
    begins = np.cumsum([0] + [len(p) for p in parts], dtype=np.int64)
    rows = np.ascontiguousarray(np.concatenate(parts), dtype=np.int64)
    largest = max(len(p) for p in parts)
    return Schedule(threads, split, len(parts), largest, begins, rows, lengths)


class _Workspace(threading.local):
    """Memory that a thread's kernels use again and again: fresh pages cost more than the work on them."""

    def __init__(self) -> None:
        self.bytes = torch.empty(0, dtype=torch.uint8)

    def get(self, count: int) -> int:
        if self.bytes.numel() < count:
            self.bytes = torch.empty(count + count // 2, dtype=torch.uint8)
        return self.bytes.data_ptr()


_WORKSPACE: Final = _Workspace()


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def room(on: Schedule, rows: int, width: int) -> int:
    """Bytes of memory for a team whose threads have `rows` rows of `width` bytes."""
    return on.threads * rows * (3 * 8 + width) + 128


def fill(fields: dict[str, int], plan: Plan, on: Schedule, rows: int, width: int, memory: int) -> host.Team:
    """The fields of who does what, in memory of `room` bytes; the team to start."""
    team = host.openmp() if on.threads > 1 else build.alone()
    assert team is not None
    fields["pointers"] = -(-memory // 64) * 64
    fields["scratch"] = -(-(fields["pointers"] + on.threads * 3 * rows * 8) // 64) * 64
    fields["room"] = rows
    fields["product"] = build.product_entry(plan.vector, plan.int8)
    fields["barrier"], fields["thread_num"] = team.barrier, team.thread_num
    fields["num_threads"], fields["split"], fields["slices"] = team.num_threads, on.split, on.slices
    fields["begins"], fields["rows"] = on.begins.ctypes.data, on.rows.ctypes.data
    fields["lengths"] = on.lengths.ctypes.data
    return team


def _launch(plan: Plan, on: Schedule, fields: dict[str, int], rows: int, width: int) -> None:
    """Run a kernel; `rows` rows of `width` bytes are a thread's own memory."""
    team = fill(fields, plan, on, rows, width, _WORKSPACE.get(room(on, rows, width)))
    block = np.array([fields.get(name, 0) for name in plan.fields], np.int64)
    if team.parallel is not None:
        team.parallel(build.entry(plan), block.ctypes.data, on.threads, 0)
    else:
        build.function(plan)(block.ctypes.data)


def constants(
    plan: Plan, steps: int, batch: int, hidden: int, reverse: bool, dtype: torch.dtype
) -> dict[str, int]:
    """The fields that both directions fill alike, as far as they are no tensors of the call."""
    hp = pack.padded(hidden, plan)
    zero = pack.zeros(hp * (1 + len(plan.cell.gates)), dtype).data_ptr()
    return {"T": steps, "B": batch, "H": hidden, "Hp": hp, "reverse": reverse, "zero": zero}


def weight_fields(packed: pack.Packed, inputs: int) -> dict[str, int]:
    """The fields of a forward kernel's weights."""
    fields = {"I": inputs, "W": packed.W.data_ptr(), "U": _address(packed.U)}
    fields |= {"W.scales": _address(packed.W_scales), "U.scales": _address(packed.U_scales)}
    fields |= {"bias": packed.bias.data_ptr(), "gain": _address(packed.gain)}
    return fields | {"units": _address(packed.units)}


def shared_out(
    plan: Plan, steps: int, batch: int, inputs: int, hidden: int, lengths: Tensor | None
) -> tuple[Schedule, int, int]:
    """Who runs what in a forward pass, steps of a chunk, and bytes of a row of sums."""
    by_input, by_state = plan.multiplications
    on = schedule(steps, batch, lengths, hidden * (hidden * by_state + inputs * by_input), plan.norm)
    row = plan.width * pack.padded(hidden, plan) * plan.vector.size
    return on, max(1, min(steps, ROWS // on.largest, BYTES // (on.largest * row))), row


def _common(plan: Plan, x: Tensor, hidden: int, options: Options, trace: Trace) -> dict[str, int]:
    """The fields that both directions fill alike."""
    steps, batch = x.shape[:2]
    fields = constants(plan, steps, batch, hidden, options.reverse, x.dtype)
    hp = fields["Hp"]
    fields["clear"], fields["kept"] = _address(options.clear), _address(trace.kept)
    fields["units"], fields["mask"] = _address(trace.units), _address(trace.mask)
    for name, buffer in zip(plan.cell.state, trace.states, strict=True):
        fields[f"s.{name}"] = buffer.data_ptr()
        fields[f"stride.{name}"] = batch * hp if buffer.shape[0] > 1 else 0
    if trace.zoneout is not None:
        z = trace.zoneout
        fields |= {"zoneout": z.data_ptr(), "z_state": z.stride(0)}
        fields |= {"z_step": z.stride(1) * (z.shape[1] > 1), "z_row": z.stride(2) * (z.shape[2] > 1)}
    return fields


def forward(
    plan: Plan, x: Tensor, state: State, packed: pack.Packed, hidden: int, options: Options, every: bool
) -> Trace:
    """Run along x (T, B, I), whose inputs stand side by side, from state ((B, H), ...)."""
    steps, batch, inputs = x.shape
    hp = pack.padded(hidden, plan)
    on, chunk, row = shared_out(plan, steps, batch, inputs, hidden, options.lengths)
    states = tuple(
        _buffer(s, steps if k == 0 or every or plan.keep else 0, hp, options) for k, s in enumerate(state)
    )
    kept = None
    if plan.keep:
        ragged = options.lengths is not None  # a step that isn't taken has no gradient
        kept = (x.new_zeros if ragged else x.new_empty)(steps, batch, plan.places, hp)
    mask = None if options.mask is None else pack.filled(options.mask, hp, 1).contiguous()
    trace = Trace(states, kept, packed.units, _zoneout(options, x, hp), mask)
    fields = _common(plan, x, hidden, options, trace)
    fields |= {"x": x.data_ptr(), "x_step": x.stride(0), "x_row": x.stride(1), "chunk": chunk}
    fields |= weight_fields(packed, inputs)
    _launch(plan, on, fields, max(chunk * on.largest, chunk + 1), row)
    return trace


def _buffer(initial: Tensor, steps: int, hp: int, options: Options) -> Tensor:
    """A state's slots, the initial value in its own: where a row's first step looks for it."""
    batch, width = initial.shape
    ragged = options.lengths is not None
    partial = ragged or hp != width  # some places are never written
    buffer = (initial.new_zeros if partial else initial.new_empty)(steps + 1, batch, hp)
    if options.reverse and ragged and steps:
        buffer[options.lengths, torch.arange(batch), :width] = initial
        return buffer
    first = buffer[steps if options.reverse else 0]
    (first if hp == width else first[:, :width]).copy_(initial)
    return buffer


def _zoneout(options: Options, x: Tensor, hp: int) -> Tensor | None:
    """The shares kept as (J, T or 1, B or 1, Hp)."""
    if options.zoneout is None:
        return None
    shares = [
        x.new_full((1, 1, hp), z) if isinstance(z, float) else pack.filled(z, hp, 2) for z in options.zoneout
    ]
    return torch.stack(shares)


class Gradients(NamedTuple):
    """What the backward kernel finds: of every slot's sum, of the state before the first step, of weights."""

    carry: Tensor  # (B, J, Hp), still without what the first step passes back through U
    bias: Tensor  # (S, Hp)
    units: Tensor  # (weights, Hp)
    gain: Tensor  # (S, Hp), with layer normalisation


def backward(
    plan: Plan,
    x: Tensor,
    trace: Trace,
    w: Weights,
    options: Options,
    up: Tensor,
    final: Sequence[Tensor | None],
    every: Sequence[Tensor] = (),
) -> Gradients:
    """From the gradients of the outputs (T, B, H), the final state, and of `every` state (T, B, Hp)."""
    steps, batch, _ = x.shape
    hidden, hp = w.hidden, pack.padded(w.hidden, plan)
    on = schedule(steps, batch, options.lengths, hidden * (hidden * plan.multiplications[1] + 1), plan.norm)
    carry = x.new_zeros(batch, len(final), hp)
    for k, gradient in enumerate(final):
        if gradient is not None:
            carry[:, k, :hidden] = gradient
    sums = x.new_zeros(on.slices, plan.sums, hp)
    packed = None if w.hh is None else pack.pack_backward(plan, w.hh, hidden)
    gain = pack.gain(plan, w)
    up = up if up.stride(2) == 1 or hidden == 1 else up.contiguous()
    fields = _common(plan, x, hidden, options, trace)
    fields |= {"up": up.data_ptr(), "up_step": up.stride(0), "up_row": up.stride(1)}
    fields |= {"U": _address(packed), "gain": _address(gain)}
    fields |= {"carry": carry.data_ptr(), "sums": sums.data_ptr()}
    fields |= {f"up.{c}": g.data_ptr() for c, g in zip(plan.cell.state, every, strict=False)}
    _launch(plan, on, fields, on.largest, plan.width * hp * plan.vector.size)
    total = sums.sum(0) if on.slices > 1 else sums[0]
    slots, last = len(plan.slots), len(plan.slots) + len(plan.cell.weights)
    return Gradients(carry, total[:slots], total[slots:last], total[last:])
