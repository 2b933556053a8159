"""The kernels of a GPU: the face of this folder to `elman.engine.passes`.

T steps, B sequences, H units.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Arguments, Form, Gradients, Result, Spec, Trace
from elman.engine.gpu import launch
from elman.engine.gpu.emit.plan import Plan, plan_for
from elman.engine.gpu.sizes import gpu_of, is_resident


def _options(spec: Spec, arguments: Arguments[Tensor]) -> dict[str, bool]:
    return {
        "resets": arguments.clear is not None,
        "zoneout": bool(spec.shares or arguments.zoneout),
        "masked": arguments.mask is not None,
        "norm": arguments.weights.gain_ih is not None,
        "ragged": arguments.lengths is not None,
    }


def plan_of(spec: Spec, arguments: Arguments[Tensor], **more: bool) -> Plan:
    """Return the kernel for a request: resident where a program can hold U."""
    plan = plan_for(spec.cell, **_options(spec, arguments), **more)
    x = arguments.x
    if not plan.recurrent or is_resident(plan, spec.hidden, x.dtype, gpu_of(x.device)):
        return plan
    return plan_for(spec.cell, streamed=True, **_options(spec, arguments), **more)


def forward(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> Trace:
    """Run the forward kernel on tensors that it can read; with `keep` for a backward pass."""
    return launch.forward(plan_of(spec, arguments, keep=keep), spec, arguments)


def kept_forms(spec: Spec, arguments: Arguments[Tensor]) -> Any:
    """Return a Trace of what `forward` keeps, as Forms, None for what it doesn't keep."""
    plan, dtype = plan_for(spec.cell, keep=True, **_options(spec, arguments)), arguments.x.dtype
    (steps, batch), hidden, states = arguments.x.shape[:2], spec.hidden, len(spec.cell.state)
    per_step = (1, 1) if spec.shares else (steps, batch)

    def form(*shape: int) -> Form:
        return Form(shape, dtype)

    slots = (steps + 1, batch, hidden)
    forms: Any = Trace
    return forms(
        states=(form(*slots), *[Form(slots, torch.float32)] * (states - 1)),
        kept=form(steps, batch, plan.places, hidden),
        units=form(len(spec.cell.weights), hidden) if spec.cell.weights else None,
        zoneout=form(states, *per_step, hidden) if plan.zoneout else None,
        mask=form(batch, hidden) if plan.masked else None,
    )


def backward(
    spec: Spec, arguments: Arguments[Tensor], trace: Trace, upstream: Result[Any], noted: bool
) -> tuple[Plan, Gradients]:
    """Run the backward kernel on the gradients of the output, the final state and, with `every_state`, every
    state, where it notes what reaches them by all ways if `noted`."""
    plan = plan_of(spec, arguments, backward=True, every=spec.every_state, noted=noted)
    upstream = upstream._replace(every=tuple(g.contiguous() for g in upstream.every))
    gradients = launch.backward(plan, spec, arguments, trace, upstream)
    return plan, gradients._replace(noted=upstream.every if noted else ())
