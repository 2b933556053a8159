"""The kernels of a GPU: the face of this folder to `elman.engine.passes`.

T steps, B sequences, H units.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine.call import Arguments, Gradients, Result, Spec, Stack, Trace
from elman.engine.gpu import launch
from elman.engine.gpu.emit.plan import Plan, plan_for
from elman.engine.gpu.sizes import Gpu, gpu_of, is_resident, split
from elman.engine.heads import dense_weights
from elman.engine.plan import options_of, trace_forms

R = TypeVar("R")
# Sliced kernels, their units and precision, for which a program turned out to have too little memory: that is
# estimated before Triton has compiled them.
_too_large: set[tuple[Plan, int, torch.dtype]] = set()


def _options(spec: Spec, arguments: Arguments[Tensor]) -> dict[str, bool]:
    return options_of(spec, arguments) | {"ragged": arguments.lengths is not None}


def kernel_for(
    cell: Cell, hidden: int, batch: int, dtype: torch.dtype, gpu: Gpu, heads: int = 1, **options: bool
) -> Plan:
    """Return the kernel for B rows: resident where a program can hold U, sliced where several can.

    A resident one takes heads one by one, any other as one dense matrix, and so does layer normalisation.
    """
    if heads > 1 and not options["norm"]:
        of_heads = plan_for(cell, heads=heads, **options)
        if is_resident(of_heads, hidden, dtype, gpu):
            return of_heads
    plan = plan_for(cell, **options)
    if not plan.recurrent or is_resident(plan, hidden, dtype, gpu):
        return plan
    parts = split(plan, hidden, batch, dtype, gpu)
    if parts:
        chunks = {"sliced": parts.chunks, "loaded": parts.loaded, "staged": parts.staged}
        sliced = plan_for(cell, ways=parts.ways, **chunks, **options)
        if (sliced, hidden, dtype) not in _too_large:
            return sliced
    return plan_for(cell, streamed=True, **options)


def kernel_heads(stack: Stack, x: Tensor, dtype: torch.dtype) -> int:
    """Return how many heads have programs of their own for x, 1 if kernels take them as a dense matrix."""
    weights, gpu = stack.weights[0], gpu_of(x.device)
    hidden, norm = weights.weight_ih.shape[0] // len(stack.cell.gates), weights.gain_ih is not None
    return kernel_for(stack.cell, hidden, 1, dtype, gpu, stack.heads, norm=norm).heads


def _run(
    run: Callable[[Plan, Arguments[Tensor]], R], spec: Spec, arguments: Arguments[Tensor], **more: bool
) -> tuple[Plan, R]:
    """Return a kernel and what `run` returns for it: a streamed one where a sliced one can't be launched."""
    x, options = arguments.x, _options(spec, arguments) | more
    plan = kernel_for(spec.cell, spec.hidden, x.shape[1], x.dtype, gpu_of(x.device), spec.heads, **options)
    heads = spec.heads if plan.heads == 1 else 1
    dense = arguments._replace(weights=dense_weights(arguments.weights, heads))
    try:
        return plan, run(plan, dense)
    except Exception as error:
        if not plan.sliced or type(error).__name__ != "OutOfResources":  # of Triton, before anything ran
            raise
        _too_large.add((plan, spec.hidden, x.dtype))
        return _run(run, spec, arguments, **more)


def forward(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> Trace:
    """Run the forward kernel on tensors that it can read; with `keep` for a backward pass."""
    return _run(lambda plan, read: launch.forward(plan, spec, read), spec, arguments, keep=keep)[1]


def kept_forms(spec: Spec, arguments: Arguments[Tensor]) -> Any:
    """Return a Trace of what `forward` keeps, as Forms, None for what it doesn't keep."""
    kernel = plan_for(spec.cell, keep=True, **_options(spec, arguments))
    return trace_forms(kernel, spec, arguments.x, spec.hidden, torch.float32)


def backward(
    spec: Spec, arguments: Arguments[Tensor], trace: Trace, upstream: Result[Any], noted: bool
) -> tuple[Plan, Gradients]:
    """Run the backward kernel on the gradients of the output, the final state and, with `every_state`, every
    state, where it notes what reaches them by all ways if `noted`."""
    upstream = upstream._replace(every=tuple(g.contiguous() for g in upstream.every))
    options = {"backward": True, "every": spec.every_state, "noted": noted}
    plan, gradients = _run(
        lambda plan, read: launch.backward(plan, spec, read, trace, upstream), spec, arguments, **options
    )
    return plan, gradients._replace(noted=upstream.every if noted else ())
