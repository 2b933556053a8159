"""A compiled scan that keeps little: the states between chunks of √T steps, from which the backward pass
recomputes each chunk. Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174.

T steps, B sequences, H units. Beside inputs and outputs, memory falls from T steps' gates and states to those
of about √T steps and √T states; every step is computed twice. Gradients agree up to the order of a sum over
chunks.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from elman.engine import eager, passes, plain, torch_internals
from elman.engine.call import Arguments, Result, Spec, State, Weights, flatten, unflatten
from elman.errors import UsageError


class Scan(torch.autograd.Function):
    """(spec, *flat Arguments) → flat Result, like the scan that keeps everything."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, *tensors: Any) -> tuple[Tensor, ...]:
        arguments = plain.arguments(spec, spec.arguments(tensors))
        shape, state = (*arguments.x.shape[:2], spec.hidden), arguments.state
        output = arguments.x.new_empty(shape)
        every = tuple(arguments.x.new_empty(shape) for _ in state) if spec.every_state else ()
        starts: list[State] = []
        for steps in _chunks(spec, arguments):
            starts.append(state)
            part, _ = passes.forward(spec, _cut(arguments, steps, state), keep=False)
            state = part.state
            output[steps] = part.output
            for whole, piece in zip(every, part.every, strict=True):
                whole[steps] = piece
        ctx.spec, ctx.count, ctx.shape = spec, len(tensors), arguments.x.shape
        ctx.save_for_backward(*tensors, *flatten(tuple(starts)))
        ctx.set_materialize_grads(False)
        return tuple(flatten(Result(output, state, every)))

    @staticmethod
    @torch_internals.without_autocast
    def backward(ctx: Any, *gradients: Any) -> Any:
        spec, saved = ctx.spec, ctx.saved_tensors
        arguments = spec.arguments(saved[: ctx.count])
        upstream, needed = spec.result(gradients), spec.arguments(ctx.needs_input_grad[1:])
        if torch.is_grad_enabled():
            return (None, *flatten(eager.gradients(spec, arguments, upstream, needed)))
        arguments = plain.arguments(spec, arguments)
        if arguments.x.shape != ctx.shape:  # a hook's doing
            raise UsageError(f"the input saved for the backward pass must be {tuple(ctx.shape)}")
        chunks = list(_chunks(spec, arguments))
        starts = unflatten((arguments.state,) * len(chunks), saved[ctx.count :])
        x = torch.empty_like(arguments.x) if needed.x else None
        final, weights = upstream.state, None
        for steps, state in reversed(list(zip(chunks, starts, strict=True))):
            chunk = _cut(arguments, steps, state)
            _, trace = passes.forward(spec, chunk, keep=True)
            # the chunk before always needs the gradient of this chunk's initial state
            needed_here = needed._replace(state=(True,) * len(state))
            part = passes.backward(spec, chunk, trace, _steps_of(upstream, steps, final), needed_here)
            final = part.state
            if x is not None and part.x is not None:
                x[steps] = part.x
            weights = part.weights if weights is None else _sum(weights, part.weights)
        assert weights is not None
        state = tuple(g if n else None for g, n in zip(final, needed.state, strict=True))
        return (None, *flatten(Arguments(x, state, weights, zoneout=(None,) * len(arguments.zoneout))))


def _chunks(spec: Spec, arguments: Arguments[Tensor]) -> Iterator[slice]:
    """Yield chunks of √T steps in the order of computation."""
    total = arguments.x.shape[0]
    size = max(1, math.isqrt(total))
    begins = range(0, total, size)
    for begin in reversed(begins) if spec.reverse else begins:
        yield slice(begin, min(begin + size, total))


def _cut(arguments: Arguments[Tensor], steps: slice, state: State) -> Arguments[Tensor]:
    """Return the same request for some steps, from another state."""
    lengths = arguments.lengths
    if lengths is not None:
        lengths = (lengths - steps.start).clamp(0, steps.stop - steps.start)
    return arguments._replace(
        x=arguments.x[steps],
        state=state,
        lengths=lengths,
        clear=None if arguments.clear is None else arguments.clear[steps],
        zoneout=tuple(mask[steps] for mask in arguments.zoneout),
    )


def _steps_of(upstream: Result[Any], steps: slice, final: tuple[Any, ...]) -> Result[Any]:
    """Return the gradients that reach some steps, from those of their final state."""
    output = None if upstream.output is None else upstream.output[steps]
    return Result(output, final, tuple(None if g is None else g[steps] for g in upstream.every))


def _sum(total: Weights[Any], part: Weights[Any]) -> Any:
    """Add the gradients of a chunk to the total, in place."""
    pairs = zip(flatten(total), flatten(part), strict=True)
    return unflatten(total, [a if b is None else a.add_(b) for a, b in pairs])
