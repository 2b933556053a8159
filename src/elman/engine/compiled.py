"""The compiled engine: the equations fused into one kernel over the whole sequence, forward and backward.

T steps, B sequences, I inputs, H units.
"""

from typing import Any, Final

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine import eager, operator, passes, plain, recompute, torch_internals
from elman.engine.call import (
    Arguments,
    Call,
    Noise,
    Result,
    Spec,
    Stack,
    State,
    Trace,
    Weights,
    flatten,
    taken,
)
from elman.engine.cpu import host
from elman.engine.gpu import support
from elman.engine.record import LayerPass

HALVES: Final = (torch.float16, torch.bfloat16)


def working_type(stack: Stack, x: Tensor) -> torch.dtype | None:
    """Return the precision of a call that is not computed in that of x, None for any other: float32 for half
    precision on the CPU, and under autocast that of autocast on a GPU."""
    kind, weight = x.device.type, stack.weights[0].weight_ih.dtype
    if kind in plain.TYPES and torch.is_autocast_enabled(kind):
        if not {x.dtype, weight} <= {torch.float32, *HALVES}:
            return None
        return torch.float32 if kind == "cpu" else torch.get_autocast_dtype(kind)
    return torch.float32 if kind == "cpu" and x.dtype in HALVES and x.dtype == weight else None


def is_in_bf16(x: Tensor) -> bool:
    """Return whether the caller wants the precision of bfloat16, by autocast or by the type of x."""
    kind = x.device.type
    return torch.bfloat16 == (torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype)


def has_bf16_products(x: Tensor) -> bool:
    """Return whether kernels then round the operands of their products."""
    return x.device.type == "cpu" and is_in_bf16(x) and _rounds_operands()


def has_dense_heads(stack: Stack, x: Tensor) -> bool:
    """Return whether the kernel for x takes heads as the dense matrix that they stand for."""
    if stack.heads == 1 or torch.compiler.is_compiling():
        return False
    inner = stack._replace(bf16=has_bf16_products(x))
    return passes.kernel_heads(inner, x, working_type(stack, x) or x.dtype) == 1


@torch_internals.constant
def _rounds_operands() -> bool:
    return host.packing(torch.float32, bf16=True) != "float"


def obstacle(stack: Stack, x: Tensor, call: Call, state: State = ()) -> str:
    """Return why no kernel can be compiled for this call, "" if one can."""
    weights, kind = stack.weights[0], x.device.type
    types, other = plain.TYPES.get(kind, ()), working_type(stack, x)
    reasons = (
        (not types, f"kernels are compiled for the CPU and for CUDA, not for {kind}"),
        ((other or x.dtype) not in types, f"kernels are {plain.named(types)}, not {x.dtype}"),
        (other is None and weights.weight_ih.dtype != x.dtype, "kernels don't mix precisions"),
        (0 in x.shape[:2], "there is nothing to compute"),
        (weights.weight_hr is not None, "kernels have no projection"),
        (
            torch_internals.is_exporting() and torch.onnx.is_in_onnx_export(),
            "ONNX knows PyTorch's operators only",
        ),
    )
    reason = next((reason for holds, reason in reasons if holds), "")
    if reason or torch.compiler.is_compiling():
        return reason or _of_this_machine(x.device)
    if torch_internals.is_jit_traced():
        return "torch.jit.trace records PyTorch's own operations"
    return _of_this_machine(x.device) or torch_internals.obstacle(
        x, call.reset, *state, *flatten(stack.weights)
    )


@torch_internals.constant
def _of_this_machine(device: torch.device) -> str:
    if device.type == "cuda":
        return support.obstacle(device)
    target = host.host()
    return target if isinstance(target, str) else ""


def scan(
    cell: Cell,
    x: Tensor,
    state: State,
    weights: Weights[Tensor],
    call: Call,
    noise: Noise,
    reverse: bool = False,
    recomputed: bool = False,
    int8: bool = False,
    bf16: bool = False,
    heads: int = 1,
) -> Result[Tensor]:
    """Do the same as `elman.engine.eager.scan`, by a kernel.

    `recomputed` trains in little memory; with `int8` calls without gradients read 8-bit weights;
    with `bf16` products may round their operands to bfloat16. The recurrent matrix of N `heads` is that of
    `elman.engine.heads`.
    """
    shares = tuple(z for z in noise.zoneout or () if isinstance(z, float))
    masks = tuple(z for z in noise.zoneout or () if isinstance(z, Tensor))
    hidden = weights.weight_ih.shape[0] // len(cell.gates)
    spec = Spec(cell, hidden, reverse, call.every_state, int8, bf16, shares, bool(masks), heads)
    clear = None if call.reset is None else _starts(call, reverse)
    arguments = Arguments(x, state, weights, call.lengths, clear, noise.recurrent, masks)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in flatten(arguments))
    if torch.compiler.is_compiling() or torch_internals.is_dispatched():
        return operator.scan(spec, arguments, keep)
    if not keep:
        return passes.forward(spec, arguments, keep=False)[0]
    if call.note is not None:
        return spec.result(_NotedScan.apply(spec, call.note, *flatten(arguments)))  # type: ignore[no-untyped-call]
    function = recompute.Scan if recomputed else _Scan
    return spec.result(function.apply(spec, *flatten(arguments)))  # type: ignore[no-untyped-call]


def _starts(call: Call, reverse: bool) -> Tensor:
    assert call.reset is not None
    active = None if call.lengths is None else taken(call.lengths, call.reset.shape[0])
    return eager.starts(call.reset, active, reverse).contiguous()


class _Scan(torch.autograd.Function):
    """(spec, *flat Arguments) → flat Result."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, *tensors: Any) -> tuple[Tensor, ...]:
        result, trace = passes.forward(spec, spec.arguments(tensors), keep=True)
        save(ctx, spec, tensors, trace)
        return tuple(flatten(result))

    @staticmethod
    @torch_internals.without_autocast
    def backward(ctx: Any, *upstream: Any) -> Any:
        return (None, *flatten(gradients(ctx, upstream, ctx.needs_input_grad[1:])))


def save(ctx: Any, spec: Spec, tensors: tuple[Any, ...], trace: Trace) -> None:
    """Keep what `gradients` needs."""
    ctx.spec, ctx.count, ctx.fresh = spec, len(tensors), [True]
    ctx.save_for_backward(*tensors, *flatten(trace))
    ctx.set_materialize_grads(False)


class _NotedScan(torch.autograd.Function):
    """(spec, where to note, *flat Arguments) → flat Result."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, note: LayerPass, *tensors: Any) -> tuple[Tensor, ...]:
        ctx.note = note
        return _Scan.forward(ctx, spec, *tensors)

    @staticmethod
    @torch_internals.without_autocast
    def backward(ctx: Any, *upstream: Any) -> Any:
        needed, noted = ctx.needs_input_grad[2:], list[Tensor]()
        result = gradients(ctx, upstream, needed, None if torch.is_grad_enabled() else noted)
        if noted:
            ctx.note.note(tuple(noted))
        return (None, None, *flatten(result))


def gradients(
    ctx: Any, upstream: tuple[Any, ...], needed: tuple[bool, ...], noted: list[Tensor] | None = None
) -> Arguments[Tensor | None]:
    spec, saved = ctx.spec, ctx.saved_tensors  # once: reading it may compute it
    arguments, trace = spec.arguments(saved[: ctx.count]), spec.trace(saved[ctx.count :])
    request = spec.result(upstream), spec.arguments(needed)
    fresh = not torch.is_grad_enabled() and is_fresh(ctx.fresh)
    return differentiated(spec, arguments, trace if fresh else None, *request, noted)


def is_fresh(uses: list[bool]) -> bool:
    """Return whether this is the first backward pass, which overwrites what the forward pass kept."""
    try:
        uses.pop()  # which one of several threads can do
    except IndexError:
        return False
    return True


def differentiated(
    spec: Spec,
    arguments: Arguments[Tensor],
    trace: Trace | None,
    upstream: Result[Any],
    needed: Arguments[bool],
    noted: list[Tensor] | None = None,
) -> Arguments[Tensor | None]:
    """Return the gradients by a kernel, or by plain operations where they will be differentiated; without a
    trace the forward pass is repeated."""
    if torch.is_grad_enabled():
        return eager.gradients(spec, arguments, upstream, needed)
    if trace is None:
        trace = passes.forward(spec, arguments, keep=True)[1]
    return passes.backward(spec, arguments, trace, upstream, needed, noted=noted)
