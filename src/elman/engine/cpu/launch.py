"""Fill argument blocks with the addresses of tensors and launch kernels: one layer in one direction.

T steps, B sequences, I inputs, H units, Hp units of whole panels, S slots, J states.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.engine.call import Arguments, Gradients, Result, Spec, Trace
from elman.engine.cpu import build, host, weights
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.routine import WORKSPACE
from elman.engine.memory import CPU, own
from elman.engine.slots import pad_units

# A call with fewer multiplications than this is faster on one thread.
MIN_TEAM_WORK: Final = 1_500_000
# A step with more multiplications than this, but few rows, is worth a barrier after every step.
MIN_SPLIT_WORK: Final = 200_000
# Rows of inputs that are multiplied at once, and bytes of their sums: half of a common L2 cache.
CHUNK_ROWS, CHUNK_BYTES = 48, 256 * 1024


class Schedule(NamedTuple):
    """Which thread computes which rows."""

    threads: int
    split: bool  # threads share the units of all rows instead
    slices: int
    largest: int  # rows of a slice
    begins: Any  # int64 (slices + 1)
    rows: Any  # int64 (B), within a slice by falling length
    lengths: Any  # int64 (B)
    addresses: tuple[int, ...]  # of the last three


def share_rows(steps: int, batch: int, lengths: Tensor | None, work: int, whole: bool = False) -> Schedule:
    """Share B rows among threads; `work` is a row's multiplications a step. A `whole` row has one thread."""
    threads = host.threads()
    split = batch < 2 * threads and work * batch >= MIN_SPLIT_WORK and not whole
    if steps * batch * work < MIN_TEAM_WORK or (batch < threads and not split):
        threads = 1
    split = split and threads > 1
    slices = 1 if split else max(1, min(threads, batch))
    if lengths is None:
        return _even(steps, batch, threads, split, slices)
    order = np.argsort(-lengths.numpy(), kind="stable")
    return _schedule(threads, split, [order[k::slices] for k in range(slices)], lengths.numpy())


@functools.lru_cache(256)
def _even(steps: int, batch: int, threads: int, split: bool, slices: int) -> Schedule:
    parts = np.array_split(np.arange(batch, dtype=np.int64), slices)
    return _schedule(threads, split, parts, np.full(batch, steps, np.int64))


def _schedule(threads: int, split: bool, parts: list[Any], lengths: Any) -> Schedule:
    begins = np.cumsum([0] + [len(p) for p in parts], dtype=np.int64)
    rows = np.ascontiguousarray(np.concatenate(parts), dtype=np.int64)
    largest = max(len(p) for p in parts)
    addresses = tuple([array.ctypes.data for array in (begins, rows, lengths)])
    return Schedule(threads, split, len(parts), largest, begins, rows, lengths, addresses)


def _addresses(**tensors: Tensor | None) -> dict[str, int]:
    """Return the fields of these tensors, but for None."""
    return {name: own(tensor) for name, tensor in tensors.items() if tensor is not None}


def scratch_bytes(schedule: Schedule, rows: int, row_bytes: int) -> int:
    """Return the scratch memory of a team whose threads have `rows` rows each."""
    return schedule.threads * rows * (3 * 8 + row_bytes) + 128


def fill(fields: dict[str, int], plan: Plan, schedule: Schedule, rows: int, scratch: int) -> host.Team:
    """Fill in who does what, in `scratch_bytes` of memory at this address; return the team to start."""
    team = host.openmp() if schedule.threads > 1 else build.alone()
    assert team is not None
    fields["pointers"], fields["scratch"] = places(schedule, rows, scratch)
    fields["room"] = rows
    fields["product"] = build.product_entry(plan.vector, plan.packing)
    fields["barrier"], fields["thread_num"] = team.barrier, team.thread_num
    fields["num_threads"] = team.num_threads
    fields["split"], fields["slices"] = schedule.split, schedule.slices
    fields["begins"], fields["rows"], fields["lengths"] = schedule.addresses
    return team


def places(schedule: Schedule, rows: int, scratch: int) -> tuple[int, int]:
    """Return where the pointers and the sums of a team's rows begin in its scratch memory."""
    pointers = -(-scratch // 64) * 64
    return pointers, -(-(pointers + schedule.threads * 3 * rows * 8) // 64) * 64


def argument_block(plan: Plan, fields: dict[str, int]) -> Any:
    """Return the ctypes array that a kernel takes; fields that are not given are 0."""
    return (ctypes.c_int64 * len(plan.fields))(*[int(fields.get(name, 0)) for name in plan.fields])


def starter(plan: Plan, team: host.Team, threads: int, block: Any) -> Callable[[], None]:
    """Return a function that runs the kernel on an argument block, which it holds."""
    run, address = _runner(plan, team, threads), ctypes.addressof(block)

    def start(_alive: Any = block) -> None:
        run(address)

    return start


def _runner(plan: Plan, team: host.Team, threads: int) -> Callable[[int], None]:
    """Return a function that runs the kernel on the argument block at an address."""
    if team.parallel is None:
        return build.function(plan)
    parallel, entry = team.parallel, build.entry(plan)
    return lambda address: parallel(entry, address, threads, 0)


def native(plan: Plan, threads: int, block: Any) -> tuple[Any, ...]:
    """Return the address of a function that runs the kernel on an argument block, and its arguments."""
    team = host.openmp() if threads > 1 else None
    return (build.entry(plan), block) if team is None else (team.start, build.entry(plan), block, threads, 0)


class Frame(NamedTuple):
    """What all launches of a kernel on inputs of one shape have in common."""

    schedule: Schedule
    rows: int  # of scratch memory
    scratch: int  # bytes
    block: Any  # the argument block, without what differs
    at: dict[str, int]  # field → its index in the block
    run: Callable[[int], None]  # on the address of a block


def _frame(plan: Plan, spec: Spec, x: Tensor, lengths: Tensor | None) -> Frame:
    """Return the frame of either pass on x (T, B, I)."""
    shape = (plan, spec.hidden, spec.reverse, x.shape, x.dtype)
    return _new_frame(*shape, lengths) if lengths is not None else even_frame(*shape, host.threads())


@functools.lru_cache(256)
def even_frame(
    plan: Plan, hidden: int, reverse: bool, shape: tuple[int, ...], dtype: torch.dtype, threads: int
) -> Frame:
    """Return the frame where all rows take all steps; `threads`, those of now, are only a part of the key."""
    return _new_frame(plan, hidden, reverse, shape, dtype, None)


def _new_frame(
    plan: Plan,
    hidden: int,
    reverse: bool,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    lengths: Tensor | None,
) -> Frame:
    steps, batch, inputs = shape
    fields = constants(plan, steps, batch, hidden, reverse, dtype)
    if plan.backward:
        work = hidden * (hidden // plan.heads * plan.multiplications[1] + 1)
        schedule = share_rows(steps, batch, lengths, work, plan.norm)
        rows, row_bytes = schedule.largest, plan.width * fields["Hp"] * plan.vector.size
    else:
        schedule, chunk, row_bytes = forward_schedule(plan, steps, batch, inputs, hidden, lengths)
        rows = max(chunk * schedule.largest, chunk + 1)
        fields |= {"I": inputs, "chunk": chunk}
    team = fill(fields, plan, schedule, rows, 0)
    block, run = argument_block(plan, fields), _runner(plan, team, schedule.threads)
    at = {name: k for k, name in enumerate(plan.fields)}
    return Frame(schedule, rows, scratch_bytes(schedule, rows, row_bytes), block, at, run)


def _launch(frame: Frame, fields: dict[str, int]) -> None:
    scratch = WORKSPACE.get(frame.scratch)  # held until the kernel returns
    block, at = type(frame.block).from_buffer_copy(frame.block), frame.at
    block[at["pointers"]], block[at["scratch"]] = places(frame.schedule, frame.rows, own(scratch))
    for name, value in fields.items():
        block[at[name]] = value
    frame.run(ctypes.addressof(block))


def constants(
    plan: Plan, steps: int, batch: int, hidden: int, reverse: bool, dtype: torch.dtype
) -> dict[str, int]:
    """Return the fields of both passes that hold no tensors of the call."""
    hp = weights.padded(hidden, plan)
    zero = own(weights.zeros(hp * (1 + len(plan.cell.gates)), dtype))
    fields = {"T": steps, "B": batch, "H": hidden, "Hp": hp, "reverse": reverse, "zero": zero}
    return fields | {"D": hidden // plan.heads}


def weight_fields(packed: weights.Packed, inputs: int) -> dict[str, int]:
    """Return the fields of a forward kernel's weights."""
    fields = {"I": inputs, **_addresses(W=packed.W, U=packed.U, bias=packed.bias, units=packed.units)}
    if packed.W_scales is not None:
        fields |= _addresses(**{"W.scales": packed.W_scales, "U.scales": packed.U_scales})
    return fields | _addresses(gain=packed.gain)


def step_work(plan: Plan, inputs: int, hidden: int) -> int:
    """Return the multiplications of a row's step, forward."""
    by_input, by_state = plan.multiplications
    return hidden * (hidden // plan.heads * by_state + inputs * by_input)


def forward_schedule(
    plan: Plan, steps: int, batch: int, inputs: int, hidden: int, lengths: Tensor | None
) -> tuple[Schedule, int, int]:
    """Return the schedule of a forward pass, the steps of a chunk, and the bytes of a row of sums."""
    schedule = share_rows(steps, batch, lengths, step_work(plan, inputs, hidden), plan.norm)
    row_bytes = plan.width * weights.padded(hidden, plan) * plan.vector.size
    most = min(steps, CHUNK_ROWS // schedule.largest, CHUNK_BYTES // (schedule.largest * row_bytes))
    return schedule, max(1, most), row_bytes


def _tensors(plan: Plan, arguments: Arguments[Tensor], trace: Trace) -> dict[str, int]:
    """Return the fields of both passes that differ from call to call."""
    fields = {}
    for name, buffer in zip(plan.cell.state, trace.states, strict=True):
        fields[f"s.{name}"] = own(buffer)
        fields[f"stride.{name}"] = buffer.stride(0) if buffer.shape[0] > 1 else 0
    fields |= _addresses(clear=arguments.clear, kept=trace.kept, units=trace.units, mask=trace.mask)
    if trace.zoneout is not None:
        z = trace.zoneout
        fields |= {"zoneout": own(z), "z_state": z.stride(0)}
        fields |= {"z_step": z.stride(1) * (z.shape[1] > 1), "z_row": z.stride(2) * (z.shape[2] > 1)}
    return fields


def forward(plan: Plan, spec: Spec, arguments: Arguments[Tensor], packed: weights.Packed) -> Trace:
    """Run along x (T, B, I), whose inputs are contiguous, from the initial state."""
    x, lengths = arguments.x, arguments.lengths
    steps, batch, inputs = x.shape
    hp = weights.padded(spec.hidden, plan)
    states = tuple(
        _buffer(s, steps if k == 0 or spec.every_state or plan.keep else 0, hp, lengths, spec.reverse)
        for k, s in enumerate(arguments.state)
    )
    kept = None
    if plan.keep:
        ragged = lengths is not None  # a step that isn't taken has no gradient
        kept = (x.new_zeros if ragged else x.new_empty)(steps, batch, plan.places, hp)
    mask = None if arguments.mask is None else pad_units(arguments.mask, hp, 1).contiguous()
    trace = Trace(states, kept, packed.units, _zoneout(spec, arguments, hp), mask)
    fields = _tensors(plan, arguments, trace) | weight_fields(packed, inputs)
    fields |= {"x": own(x), "x_step": x.stride(0), "x_row": x.stride(1)}
    _launch(_frame(plan, spec, x, lengths), fields)
    return trace


def _buffer(initial: Tensor, steps: int, hp: int, lengths: Tensor | None, reverse: bool) -> Tensor:
    """Allocate a state's slots, the initial value in the one where a row's first step looks for it."""
    batch, width = initial.shape
    partial = lengths is not None or hp != width  # some values are never written
    buffer = (initial.new_zeros if partial else initial.new_empty)(steps + 1, batch, hp)
    if reverse and lengths is not None and steps:
        buffer[lengths, torch.arange(batch, device=CPU), :width] = initial
        return buffer
    first = buffer[steps if reverse else 0]
    (first if hp == width else first[:, :width]).copy_(initial)
    return buffer


def _zoneout(spec: Spec, arguments: Arguments[Tensor], hp: int) -> Tensor | None:
    """Return the shares kept, (J, T or 1, B or 1, Hp)."""
    if spec.shares:
        return torch.stack([arguments.x.new_full((1, 1, hp), share) for share in spec.shares])
    if arguments.zoneout:
        return torch.stack([pad_units(mask, hp, 2) for mask in arguments.zoneout])
    return None


def backward(
    plan: Plan, spec: Spec, arguments: Arguments[Tensor], trace: Trace, upstream: Result[Any]
) -> Gradients:
    """Run back from the gradients of the output (T, B, H), the final state and `every` state (T, B, Hp)."""
    x, w, hidden, hp = arguments.x, arguments.weights, spec.hidden, weights.padded(spec.hidden, plan)
    frame = _frame(plan, spec, x, arguments.lengths)
    carry = x.new_zeros(x.shape[1], len(upstream.state), hp)
    for k, gradient in enumerate(upstream.state):
        if gradient is not None:
            carry[:, k, :hidden] = gradient
    sums = x.new_zeros(frame.schedule.slices, plan.sums, hp)
    packed = None if w.weight_hh is None else weights.pack_backward(plan, w.weight_hh, hidden, spec.heads)
    gain, up = weights.gain(plan, w), upstream.output
    fields = _tensors(plan, arguments, trace) | _addresses(carry=carry, sums=sums, U=packed, gain=gain)
    fields |= {"up": own(up), "up_step": up.stride(0), "up_row": up.stride(1)}
    fields |= {f"up.{c}": own(g) for c, g in zip(plan.cell.state, upstream.every, strict=False)}
    _launch(frame, fields)
    total = functools.reduce(torch.add, sums)  # in this order, as every other way to train has it
    slots, last = len(plan.slots), len(plan.slots) + len(plan.cell.weights)
    return Gradients(carry, total[:slots], total[slots:last], total[last:])
