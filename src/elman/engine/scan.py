"""Apply a cell along a sequence: the one operator that layers call. It picks the engine."""

import functools
import warnings
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeVar, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elman.cells import Cell
from elman.engine import compiled, eager, gates, heads, plain, record, torch_kernels
from elman.engine.call import (
    Call,
    Engine,
    Noise,
    Result,
    Stack,
    State,
    Weights,
    flatten,
    taken,
    unflatten,
)
from elman.engine.cpu.widened import widened
from elman.engine.gpu import measured
from elman.errors import UsageError

ENGINES: Final = get_args(Engine)
DENSE_HEADS: Final = ", its heads as one dense matrix"
S = TypeVar("S")


class SlowPathWarning(UserWarning):
    """A layer runs step by step, because no fast engine can do what it asks for."""


class Choice(NamedTuple):
    """Which engine runs a call, and why."""

    engine: Literal["compiled", "vendor", "eager"]
    reason: str


def choose(stack: Stack, x: Tensor, call: Call, state: State = ()) -> Choice:
    """Pick the engine for a call; UsageError if the one that `stack.engine` insists on can't do it."""
    engine = stack.engine
    if engine == "eager":
        return Choice("eager", "asked for")
    obstacles = {}
    behind = engine == "auto" and x.is_cuda and not _is_ahead(stack, x, call)
    if behind and not torch_kernels.obstacle(stack, x, call):
        return Choice("vendor", _of_vendor(stack))
    if engine in ("auto", "compiled"):
        obstacles["compiled"] = compiled.obstacle(stack, x, call, state)
        if not obstacles["compiled"]:
            return Choice("compiled", _of_kernel(stack, x))
    if engine in ("auto", "vendor"):
        obstacles["vendor"] = torch_kernels.obstacle(stack, x, call)
        if not obstacles["vendor"]:
            why = obstacles.get("compiled")
            return Choice("vendor", _of_vendor(stack) + (f"; {why}" if why else ""))
    if engine != "auto":
        reason = obstacles[engine]
        raise UsageError(f'engine="{engine}" can\'t run this: {reason}; use engine="auto"')
    return Choice("eager", "; ".join(dict.fromkeys(obstacles.values())))


def _is_ahead(stack: Stack, x: Tensor, call: Call) -> bool:
    """Return whether our kernel was faster than PyTorch's for such a call on such a GPU."""
    if torch.compiler.is_compiling() or not measured.is_measured_on(x.device):
        return False  # while compiling, sizes may be symbols
    dtype = compiled.working_type(stack, x) or x.dtype
    units = stack.weights[0].weight_ih.shape[0] // len(stack.cell.gates)
    batch = x.shape[1] if call.batch_sizes is None else int(call.batch_sizes[0])  # which are on the CPU
    return measured.is_ahead(stack.cell.name, dtype, units, batch, len(stack.weights))


def _of_vendor(stack: Stack) -> str:
    return "PyTorch's fused kernel computes the same" + (DENSE_HEADS if stack.heads > 1 else "")


def _of_kernel(stack: Stack, x: Tensor) -> str:
    reason = "its equations are one fused kernel over the whole sequence"
    if x.is_cuda:
        reason += ", in Triton"
        if not measured.is_measured_on(x.device):
            reason += f", which was measured on an {measured.DEVICE} only"
    if compiled.has_dense_heads(stack, x):
        reason += DENSE_HEADS
    other = compiled.working_type(stack, x)
    if other is None:
        return reason
    reason += f", in {plain.named([other])}"
    return reason + (" with products of bfloat16" if compiled.has_bf16_products(x) else "")


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(f"a layer runs step by step, which is slow: {reason}", SlowPathWarning, stacklevel=6)


def scan(stack: Stack, x: Tensor, state: State, call: Call) -> Result[Tensor]:
    """Run a stack along x (T, B, I) from `state`, (L*D, B, P) and then (L*D, B, H) each.

    One set of weights serves all steps: this is the network unrolled over time.
    """
    choice = choose(stack, x, call, state)
    if choice.engine == "compiled" and (other := compiled.working_type(stack, x)) is not None:
        return _in_precision(other, stack, x, state, call)
    if call.gates is not None and call.gates is not stack.cell:
        return _with_gates(stack, x, state, call, call.gates)
    if stack.training and stack.weight_dropout:
        stack = _drop_weights(stack)
    recording = record.is_recording()
    if choice.engine == "vendor" and recording:  # PyTorch's kernels don't tell what happens at each step
        choice = Choice("eager", "recorded")
    blocks = stack.heads
    if choice.engine != "compiled" or recording:  # what is recorded is read by plain operations
        stack = heads.expanded(stack)
    if choice.engine == "vendor":
        return torch_kernels.scan(stack, x, state, call)
    if stack.engine == "auto" and choice.engine == "eager" and not recording and 0 not in x.shape[:2]:
        _warn(choice.reason)
    along: Callable[..., Result[Tensor]] = eager.scan
    if choice.engine == "compiled":
        along = functools.partial(
            compiled.scan,
            recomputed=stack.recompute,
            int8=stack.int8,
            bf16=stack.bf16,
            heads=stack.heads,
        )
    if recording:
        along = functools.partial(_noted, along, blocks)
    if call.batch_sizes is None:
        return _layer_by_layer(along, stack, x, state, call)
    padded, lengths = pad_packed_sequence(PackedSequence(x, call.batch_sizes))
    inner = call._replace(batch_sizes=None, lengths=lengths.to(x.device))
    result = _layer_by_layer(along, stack, padded, state, inner)
    return result._replace(output=pack_padded_sequence(result.output, lengths).data)


def _with_gates(stack: Stack, x: Tensor, state: State, call: Call, cell: Cell) -> Result[Tensor]:
    """Run the cell that has its gates as further states, and tell the two apart."""
    shape = (len(stack.weights), x.shape[1], stack.weights[0].weight_ih.shape[0] // len(cell.gates))
    began = (*state, *[x.new_zeros(shape) for _ in cell.gates])
    result = scan(stack._replace(cell=cell), x, began, call._replace(every_state=True))
    count, values = len(state), result.every[len(state) :]
    if call.lengths is not None:
        active = taken(call.lengths, x.shape[0])[:, None, :, None]
        values = tuple(torch.where(active, value, 0.0) for value in values)
    every = result.every[:count] if call.every_state else ()
    return Result(result.output, result.state[:count], every, values)


def _in_precision(dtype: torch.dtype, stack: Stack, x: Tensor, state: State, call: Call) -> Result[Tensor]:
    """Compute in another precision and round the results: a cast at either end is cheap beside a loop of
    roundings. On a GPU results under autocast have its precision, as those of PyTorch's own layers."""
    bf16 = compiled.is_in_bf16(x)
    rounded = dtype if x.is_cuda else torch_kernels.result_type(stack, x, call)
    with torch.autocast(x.device.type, enabled=False):
        weights = _cast(stack.weights, dtype) if x.is_cuda else widened(stack.weights)
        inner = stack._replace(weights=weights, bf16=bf16)
        return _cast(scan(inner, x.to(dtype), _cast(state, dtype), call), rounded)


def _cast(value: S, dtype: torch.dtype) -> S:
    """Return nested tuples of tensors and None in another precision."""
    return unflatten(value, [None if t is None else t.to(dtype) for t in flatten(value)])


def _layer_by_layer(
    along: Callable[..., Result[Tensor]], stack: Stack, x: Tensor, state: State, call: Call
) -> Result[Tensor]:
    results: list[Result[Tensor]] = []
    for first in range(0, len(stack.weights), stack.directions):
        if first and stack.dropout:
            x = F.dropout(x, stack.dropout, stack.training)
        for k in range(first, first + stack.directions):
            start = tuple(s[k] for s in state)
            noise = _noise(stack, x, start[: len(gates.base_of(stack.cell).state)])
            noise = _for_gates(noise, start)
            results.append(along(stack.cell, x, start, stack.weights[k], call, noise, reverse=k > first))
        outputs = [result.output for result in results[first:]]
        x = torch.cat(outputs, 2) if len(outputs) > 1 else outputs[0]
    final = tuple(_stacked(s) for s in zip(*(r.state for r in results), strict=True))
    every = tuple(torch.stack(s, 1) for s in zip(*(r.every for r in results), strict=True))
    return Result(x, final, every)


def _noted(
    along: Callable[..., Result[Tensor]],
    blocks: int,
    cell: Cell,
    x: Tensor,
    state: State,
    weights: Weights[Tensor],
    call: Call,
    noise: Noise,
    reverse: bool,
) -> Result[Tensor]:
    """Do the same as `along`, and note it."""
    active = None if call.lengths is None else taken(call.lengths, len(x))
    clear = None if call.reset is None else eager.starts(call.reset, active, reverse)
    base = gates.base_of(cell)
    count = len(base.state)
    noted = noise._replace(zoneout=noise.zoneout and noise.zoneout[:count])
    note = record.LayerPass(base, weights, x, state[:count], noted, reverse, active, clear, blocks)
    record.begin(note)
    result = along(cell, x, state, weights, call._replace(every_state=True, note=note), noise, reverse)
    note.states = tuple(s.detach() for s in result.every[:count])
    return result if call.every_state else result._replace(every=())


def _stacked(states: tuple[Tensor, ...]) -> Tensor:
    """Stack one state a layer and direction, without a copy where there is only one."""
    return torch.stack(states) if len(states) > 1 else states[0].unsqueeze(0)


def _drop_weights(stack: Stack) -> Stack:
    """Drop entries of every U, the same for all steps."""
    p = stack.weight_dropout
    dropped = (None if w.weight_hh is None else F.dropout(w.weight_hh, p) for w in stack.weights)
    pairs = zip(stack.weights, dropped, strict=True)
    return stack._replace(weights=tuple(w._replace(weight_hh=hh) for w, hh in pairs))


def _noise(stack: Stack, x: Tensor, state: State) -> Noise:
    """Draw one mask of h for all steps, and one of every state for each step."""
    steps, batch = x.shape[:2]
    widths = [s.shape[1] for s in state]
    recurrent: Tensor | None = None
    zoneout: tuple[Tensor | float, ...] | None = None
    if stack.training and stack.recurrent_dropout:
        recurrent = F.dropout(x.new_ones(batch, widths[0]), stack.recurrent_dropout)
    if stack.zoneout:
        zoneout = (float(stack.zoneout),) * len(widths)
    if stack.zoneout and stack.training:
        zoneout = tuple(torch.bernoulli(x.new_full((steps, batch, w), stack.zoneout)) for w in widths)
    return Noise(recurrent, zoneout)


def _for_gates(noise: Noise, state: State) -> Noise:
    """Let zoneout keep no old value of a gate."""
    if noise.zoneout is None:
        return noise
    more: list[Tensor | float] = []
    for s in state[len(noise.zoneout) :]:
        first = noise.zoneout[0]
        more.append(0.0 if isinstance(first, float) else first.new_zeros(*first.shape[:2], s.shape[1]))
    return noise._replace(zoneout=(*noise.zoneout, *more))
