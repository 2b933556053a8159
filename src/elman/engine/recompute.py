"""A compiled scan that keeps little: the states between chunks of √T steps, from which the backward pass
computes each chunk anew. Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174.

T steps, B sequences, H units. Beside inputs and outputs, memory falls from T steps' gates and states to those
of about √T steps and √T states; every step is taken twice. Gradients agree up to the order of a sum over
chunks.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from elman.engine.cpu import passes
from elman.engine.spec import HEAD, Spec, Tensors, read


class Scan(torch.autograd.Function):
    """(spec, *tensors) → output and final states, like the scan that keeps everything."""

    @staticmethod
    def forward(ctx: Any, spec: Spec, *tensors: Any) -> tuple[Tensor, ...]:
        given = read(tensors)
        count = spec.counts[0]
        state = given.rest[:count]
        results = [given.x.new_empty(*given.x.shape[:2], spec.hidden) for _ in range(1 + count * spec.every)]
        starts: list[Tensor] = []
        for steps in _chunks(given, spec):
            starts += state
            found, _ = passes.forward(spec, _cut(given, steps, state, spec), keep=False)
            state = found[1 : 1 + count]
            for whole, part in zip(results, (found[0], *found[1 + count :]), strict=True):
                whole[steps] = part
        ctx.spec, ctx.given = spec, len(tensors)
        ctx.save_for_backward(*tensors, *starts)
        ctx.set_materialize_grads(False)
        return (results[0], *state, *results[1:])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        spec, needed, saved = ctx.spec, ctx.needs_input_grad[1:], ctx.saved_tensors
        tensors, starts = saved[: ctx.given], saved[ctx.given :]
        if torch.is_grad_enabled():
            return (None, *passes.differentiable(spec, tensors, gradients, needed))
        given, count = read(tensors), spec.counts[0]
        up, final, every = gradients[0], list(gradients[1 : 1 + count]), gradients[1 + count :]
        total: list[Tensor | None] = [None] * len(tensors)
        if needed[3]:
            total[3] = torch.empty_like(given.x)
        # the gradient of a chunk's initial state is wanted for the chunk before, whoever else wants it
        wanted = [*needed[:HEAD], *[True] * count, *needed[HEAD + count :]]
        for k, steps in reversed(list(enumerate(_chunks(given, spec)))):
            state = starts[k * count : (k + 1) * count]
            chunk = _cut(given, steps, state, spec)
            _, trace = passes.forward(spec, chunk, keep=True)
            own = [None if g is None else g[steps] for g in (up, *every)]
            found = passes.backward(spec, chunk, trace, (own[0], *final, *own[1:]), wanted)
            final = found[HEAD : HEAD + count]
            _add(total, found, steps, count)
        own = needed[HEAD : HEAD + count]
        total[HEAD : HEAD + count] = [g if n else None for g, n in zip(final, own, strict=True)]
        return (None, *total)


def _chunks(given: Tensors, spec: Spec) -> Iterator[slice]:
    """Of √T steps, in the order in which they are taken."""
    total = given.x.shape[0]
    size = max(1, math.isqrt(total))
    begins = range(0, total, size)
    for begin in reversed(begins) if spec.reverse else begins:
        yield slice(begin, min(begin + size, total))


def _cut(given: Tensors, steps: slice, state: Sequence[Tensor], spec: Spec) -> Tensors:
    """The same call on some steps, from another state."""
    lengths = given.lengths
    if lengths is not None:
        lengths = (lengths - steps.start).clamp(0, steps.stop - steps.start)
    states, units = spec.counts
    masks = tuple(z[steps] for z in given.rest[states + units :])
    return given._replace(
        lengths=lengths,
        clear=None if given.clear is None else given.clear[steps],
        x=given.x[steps],
        rest=(*state, *given.rest[states : states + units], *masks),
    )


def _add(total: list[Tensor | None], found: Sequence[Tensor | None], steps: slice, states: int) -> None:
    """A chunk's gradients to the sums; that of x has its own place, and states are passed on instead."""
    for k, gradient in enumerate(found):
        mine = total[k]
        if gradient is None or HEAD <= k < HEAD + states:
            continue
        if k == 3:
            assert mine is not None
            mine[steps] = gradient
        else:
            total[k] = gradient if mine is None else mine.add_(gradient)
