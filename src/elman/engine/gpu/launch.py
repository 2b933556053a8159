"""Give kernels their tensors and launch them: one layer in one direction.

T steps, B sequences, I inputs, G gates, H units, S slots, N slots with a product with U, J states.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.engine.call import Arguments, Gradients, Result, Spec, Trace
from elman.engine.gpu import build, norm
from elman.engine.gpu.emit.plan import Plan
from elman.engine.gpu.sizes import Layout, gpu_of, is_exact, layout_for
from elman.engine.slots import by_slot


def launch(plan: Plan, spec: Spec, x: Tensor, tensors: dict[str, Any]) -> None:
    """Run a kernel on its tensors and strides by name; its other parameters follow from x (T, B, I)."""
    steps, batch = x.shape[:2]
    layout = layout_for(plan, spec.hidden, batch, x.dtype, gpu_of(x.device))
    if plan.streamed or plan.sliced:
        tensors["meetings"] = torch.zeros(layout.grid[:1], dtype=torch.int32, device=x.device)
    everything: dict[str, Any] = {**tensors, **layout.constants}
    everything |= {"T": steps, "B": batch, "H": spec.hidden}
    everything |= {"REVERSE": spec.reverse, "PRECISION": precision(x.dtype)}
    names = (*plan.tensors, *plan.numbers, *plan.constants)
    with _device(x):
        build.function(plan)[layout.grid](**{name: everything[name] for name in names}, **options(layout))


def options(layout: Layout) -> dict[str, Any]:
    """Return how a kernel is compiled and launched: programs that wait for each other all run at once."""
    chosen = {"num_warps": layout.warps, "num_stages": layout.stages}
    return chosen | ({"launch_cooperative_grid": True} if layout.constants.get("GROUP", 1) > 1 else {})


def precision(dtype: torch.dtype) -> str:
    """Return how float32 is multiplied: in TF32 if PyTorch's setting says so, otherwise by three TF32
    products, whose error is that of float32."""
    return "tf32x3" if dtype == torch.float32 and is_exact() else "tf32"


def _device(x: Tensor) -> AbstractContextManager[Any]:
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def forward(plan: Plan, spec: Spec, arguments: Arguments[Tensor]) -> Trace:
    """Run along x (T, B, I) from the initial state."""
    x, lengths, w = arguments.x, arguments.lengths, arguments.weights
    steps, batch, _ = x.shape
    every = plan.keep or spec.every_state
    states = tuple(
        _buffer(s, steps if k == 0 or every else 0, arguments, spec.reverse, k == 0)
        for k, s in enumerate(arguments.state)
    )
    kept = None
    if plan.keep:
        ragged = lengths is not None  # a step that isn't taken has no gradient
        kept = (x.new_zeros if ragged else x.new_empty)(steps, batch, plan.places, spec.hidden)
    units = torch.stack(w.units) if w.units else None
    trace = Trace(states, kept, units, _zoneout(spec, arguments), arguments.mask)
    tensors = _common(plan, arguments, trace)
    tensors |= {"sums": _sums(plan, spec, arguments), "ALL": int(every)}
    if w.weight_hh is not None:
        count = len(plan.products)
        tensors["U"] = _by_slot(plan, spec, w.weight_hh)
        bias = _of_gates(plan, spec, "au", w.bias_hh)
        tensors["bias"] = x.new_zeros(count * spec.hidden) if bias is None else bias
        tensors["gain"] = _of_gates(plan, spec, "au", w.gain_hh)
        if plan.norm and plan.streamed:
            tensors["raw"] = x.new_empty(batch, count, spec.hidden, dtype=torch.float32)
    launch(plan, spec, x, tensors)
    return trace


def _common(plan: Plan, arguments: Arguments[Tensor], trace: Trace) -> dict[str, Any]:
    """Return what both passes read."""
    tensors: dict[str, Any] = {"units": trace.units, "kept": trace.kept, "mask": trace.mask}
    if arguments.lengths is not None:
        tensors |= {
            "lengths": arguments.lengths,
            "order": arguments.lengths.argsort(descending=True, stable=True),
        }
    if arguments.clear is not None:
        tensors["clear"] = arguments.clear.view(torch.uint8)
    if trace.zoneout is not None:
        z = trace.zoneout
        tensors |= {"zoneout": z, "zoneout_state": z.stride(0)}
        tensors |= {"zoneout_step": z.stride(1) * (z.shape[1] > 1)}
        tensors |= {"zoneout_row": z.stride(2) * (z.shape[2] > 1)}
    return tensors | {f"s_{c}": s for c, s in zip(plan.cell.state, trace.states, strict=True)}


def _buffer(initial: Tensor, steps: int, arguments: Arguments[Tensor], reverse: bool, first: bool) -> Tensor:
    """Allocate a state's slots, the initial value in the one where a row's first step looks for it.

    Only the first state, which is the output, is rounded to half precision.
    """
    lengths, dtype = arguments.lengths, initial.dtype if first else torch.float32
    make = initial.new_empty if lengths is None else initial.new_zeros
    buffer = make(steps + 1, *initial.shape, dtype=dtype)
    if reverse and lengths is not None and steps:
        buffer[lengths, torch.arange(len(initial), device=initial.device)] = initial.to(dtype)
    else:
        buffer[steps if reverse else 0].copy_(initial)
    return buffer


def _zoneout(spec: Spec, arguments: Arguments[Tensor]) -> Tensor | None:
    """Return the shares kept, (J, T or 1, B or 1, H)."""
    if spec.shares:
        return torch.stack([arguments.x.new_full((1, 1, spec.hidden), share) for share in spec.shares])
    return torch.stack(arguments.zoneout) if arguments.zoneout else None


def _by_slot(plan: Plan, spec: Spec, weight_hh: Tensor) -> Tensor:
    """Return U (N, H, H), or (N, H, D) of heads."""
    hidden = spec.hidden
    return by_slot(weight_hh.detach().view(-1, hidden, hidden // plan.heads), plan, "au")


def _of_gates(plan: Plan, spec: Spec, letters: str, by_gate: Tensor | None) -> Tensor | None:
    """Arrange numbers of the gates' units (G*H) by slot (slots, H)."""
    return None if by_gate is None else by_slot(by_gate.detach().view(-1, spec.hidden), plan, letters)


def _sums(plan: Plan, spec: Spec, arguments: Arguments[Tensor]) -> Tensor:
    """Return W x (T*B, slots x and a * H) in one product, with all biases but those of slots u."""
    x, w = arguments.x, arguments.weights
    rows = x.reshape(-1, x.shape[2])
    if plan.norm:
        assert w.gain_ih is not None
        return F.layer_norm(rows.mm(w.weight_ih.detach().t()), w.gain_ih.shape, w.gain_ih, w.bias_ih).detach()
    weight = by_slot(w.weight_ih.detach().view(-1, spec.hidden, x.shape[2]), plan, "xa").flatten(0, 1)
    if w.bias_ih is None:
        return rows.mm(weight.t())
    return torch.addmm(_early_bias(plan, spec, w.bias_ih, w.bias_hh), rows, weight.t())


def _early_bias(plan: Plan, spec: Spec, ih: Tensor, hh: Tensor | None) -> Tensor:
    """Return the biases of slots x, and the sums of both of slots a (slots * H)."""
    low, high = plan.range("xa")
    parts = []
    for letter, name in plan.slots[low:high]:
        first = plan.cell.gates.index(name) * spec.hidden
        part = ih.detach()[first : first + spec.hidden]
        if letter == "a" and hh is not None:
            part = part + hh.detach()[first : first + spec.hidden]
        parts.append(part)
    return torch.cat(parts)


def backward(
    plan: Plan, spec: Spec, arguments: Arguments[Tensor], trace: Trace, upstream: Result[Any]
) -> Gradients:
    """Run back from the gradients of the output, the final state and `every` state (T, B, H)."""
    x, w, hidden = arguments.x, arguments.weights, spec.hidden
    batch = x.shape[1]
    assert trace.kept is not None
    carry = x.new_zeros(batch, len(upstream.state), hidden, dtype=torch.float32)
    for k, gradient in enumerate(upstream.state):
        if gradient is not None:
            carry[:, k] = gradient
    above = upstream.output
    if above is None:
        above = x.new_zeros(hidden).expand(*x.shape[:2], hidden)
    blocks = layout_for(plan, hidden, batch, x.dtype, gpu_of(x.device)).grid[0]
    totals = x.new_zeros(blocks, len(plan.cell.weights), hidden, dtype=torch.float32)
    tensors = _common(plan, arguments, trace) | {"carry": carry, "totals": totals, "above": above}
    tensors |= {"above_step": above.stride(0), "above_row": above.stride(1)}
    tensors |= {f"up_{c}": g for c, g in zip(plan.cell.state, upstream.every, strict=False)}
    if w.weight_hh is not None:
        U = _by_slot(plan, spec, w.weight_hh)
        tensors["U"] = U.permute(2, 0, 1).contiguous() if plan.streamed else U
    sides = norm.sides(plan, spec, arguments, trace) if plan.norm else ()
    for side in sides:
        if side.letter == "u":
            tensors |= {"hat": side.hat, "rate": side.rate, "gain": side.gain}
    launch(plan, spec, x, tensors)
    bias = trace.kept[:, :, : len(plan.slots)].sum((0, 1), dtype=torch.float32)
    gain = torch.cat([side.finish(trace.kept) for side in sides]) if sides else bias[:0]
    dtype = x.dtype
    return Gradients(carry.to(dtype), bias.to(dtype), totals.sum(0).to(dtype), gain.to(dtype))
