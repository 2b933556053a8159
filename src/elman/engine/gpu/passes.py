"""The kernels of a GPU: the face of this folder to `elman.engine.passes`.

T steps, B sequences, H units.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Arguments, Gradients, Result, Spec, Trace
from elman.engine.gpu import launch
from elman.engine.gpu.emit.plan import Plan, plan_for
from elman.engine.gpu.sizes import gpu_of, is_resident, split
from elman.engine.plan import options_of, trace_forms


def _options(spec: Spec, arguments: Arguments[Tensor]) -> dict[str, bool]:
    return options_of(spec, arguments) | {"ragged": arguments.lengths is not None}


def plan_of(spec: Spec, arguments: Arguments[Tensor], **more: bool) -> Plan:
    """Return the kernel for a request: resident where a program can hold U, sliced where several can."""
    options = _options(spec, arguments) | more
    plan, x = plan_for(spec.cell, **options), arguments.x
    gpu = gpu_of(x.device)
    if not plan.recurrent or is_resident(plan, spec.hidden, x.dtype, gpu):
        return plan
    parts = split(plan, spec.hidden, x.shape[1], x.dtype, gpu)
    if parts:
        chunks = {"sliced": parts.chunks, "loaded": parts.loaded, "staged": parts.staged}
        return plan_for(spec.cell, ways=parts.ways, **chunks, **options)
    return plan_for(spec.cell, streamed=True, **options)


def forward(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> Trace:
    """Run the forward kernel on tensors that it can read; with `keep` for a backward pass."""
    return launch.forward(plan_of(spec, arguments, keep=keep), spec, arguments)


def kept_forms(spec: Spec, arguments: Arguments[Tensor]) -> Any:
    """Return a Trace of what `forward` keeps, as Forms, None for what it doesn't keep."""
    kernel = plan_for(spec.cell, keep=True, **_options(spec, arguments))
    return trace_forms(kernel, spec, arguments.x, spec.hidden, torch.float32)


def backward(
    spec: Spec, arguments: Arguments[Tensor], trace: Trace, upstream: Result[Any], noted: bool
) -> tuple[Plan, Gradients]:
    """Run the backward kernel on the gradients of the output, the final state and, with `every_state`, every
    state, where it notes what reaches them by all ways if `noted`."""
    plan = plan_of(spec, arguments, backward=True, every=spec.every_state, noted=noted)
    upstream = upstream._replace(every=tuple(g.contiguous() for g in upstream.every))
    gradients = launch.backward(plan, spec, arguments, trace, upstream)
    return plan, gradients._replace(noted=upstream.every if noted else ())
