"""The compiled engine: the equations fused into one kernel over the whole sequence, forward and backward.

T steps, B sequences, I inputs, H units.
"""

from typing import Any

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine import eager, operator, recompute
from elman.engine import torch_internals as transforms
from elman.engine.call import Call, Noise, Result, Stack, State, Weights, taken
from elman.engine.cpu import host, passes
from elman.engine.spec import Spec, read


def obstacle(stack: Stack, x: Tensor, call: Call) -> str:
    """Why no kernel can be compiled for this call; "" if one can."""
    weights = stack.weights[0]
    reasons = (
        (x.device.type != "cpu", f"kernels are compiled for the CPU, not for {x.device.type}"),
        (x.dtype not in (torch.float32, torch.float64), f"kernels are float32 or float64, not {x.dtype}"),
        (weights.ih.dtype != x.dtype, "kernels don't mix precisions"),
        (0 in x.shape[:2], "there is nothing to compute"),
        (weights.hr is not None, "kernels have no projection"),
        (torch.is_autocast_enabled("cpu"), "autocast chooses its own precision"),
    )
    found = next((reason for holds, reason in reasons if holds), "")
    if found or torch.compiler.is_compiling():
        return found or _of_this_machine()
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace records PyTorch's own operations"
    return _of_this_machine() or transforms.obstacle(x)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _of_this_machine() -> str:
    target = host.host()
    return target if isinstance(target, str) else ""


def scan(
    cell: Cell,
    x: Tensor,
    state: State,
    weights: Weights,
    call: Call,
    noise: Noise,
    reverse: bool = False,
    chunked: bool = False,
    int8: bool = False,
) -> Result:
    """Like `elman.engine.eager.scan`, by a kernel; `chunked` by one that keeps little, with `int8` and
    without gradients by one that reads 8-bit weights."""
    shares = tuple(z for z in noise.zoneout or () if isinstance(z, float))
    masks = tuple(z for z in noise.zoneout or () if isinstance(z, Tensor))
    spec = Spec(
        cell,
        weights.hidden,
        reverse,
        shares or None,
        (len(state), len(weights.units)),
        call.every_state,
        int8,
    )
    clear = None if call.reset is None else _starts(call, reverse)
    x = x if x.stride(2) == 1 or x.shape[2] == 1 else x.contiguous()
    tensors = (call.lengths, clear, noise.recurrent, x, weights.ih, weights.hh, weights.b_ih, weights.b_hh)
    gains = (weights.gain_ih, weights.gain_hh)
    everything = (*tensors, *gains, *state, *weights.units, *masks)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in everything)
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack():
        results = operator.scan(spec, everything, keep)  # somebody looks at every operation
    elif keep and chunked:
        results = recompute.Scan.apply(spec, *everything)  # type: ignore[no-untyped-call]
    elif keep:
        results = _Scan.apply(spec, *everything)  # type: ignore[no-untyped-call]
    else:
        results = passes.forward(spec, read(everything), keep=False)[0]
    output, final, every = results[0], results[1 : 1 + len(state)], results[1 + len(state) :]
    return Result(output, tuple(final), tuple(every) if call.every_state else None)


def _starts(call: Call, reverse: bool) -> Tensor:
    """Where the state is cleared, (T, B)."""
    assert call.reset is not None
    active = None if call.lengths is None else taken(call.lengths, call.reset.shape[0])
    return eager.starts(call.reset, active, reverse).contiguous()


class _Scan(torch.autograd.Function):
    """(spec, *tensors) → output (T, B, H), final states (B, H), then every state (T, B, H) if asked for."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, *tensors: Any) -> tuple[Tensor, ...]:
        results, trace = passes.forward(spec, read(tensors), keep=True)
        ctx.spec, ctx.given, ctx.spent = spec, len(tensors), False
        ctx.save_for_backward(*tensors, *trace)
        ctx.set_materialize_grads(False)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        saved = ctx.saved_tensors  # once: reading it may compute it
        given, trace = saved[: ctx.given], saved[ctx.given :]
        needed = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():  # somebody differentiates the gradients: kernels have no third act
            return (None, *passes.differentiable(ctx.spec, given, gradients, needed))
        if ctx.spent:  # the first backward pass wrote over what the forward pass had kept
            trace = passes.forward(ctx.spec, read(given), keep=True)[1]
        ctx.spent = True
        return (None, *passes.backward(ctx.spec, read(given), trace, gradients, needed))
