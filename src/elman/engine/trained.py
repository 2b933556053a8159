"""Training calls of the plainest kind, prepared once for a shape: small trainings then spend their time in
kernels instead of on the way to them.

T steps, B sequences, I inputs, H units, J states.
"""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import torch
from torch import Tensor

from elman.engine import compiled, passes, plain, torch_internals
from elman.engine.call import Arguments, Result, Spec, State, Trace, Weights, flatten
from elman.engine.cpu import host
from elman.engine.memory import find, find_rows, find_strided, held, own
from elman.engine.plain import Slot


class PreparedTraining:
    """One layer in one direction on inputs of one shape: all rows take all steps, nothing is masked.

    Its tensors are x, the weights that there are, in the order of Weights, and the initial states unless they
    are zeros.
    """

    def __init__(self, spec: Spec, x: Tensor, weights: Weights[Tensor]) -> None:
        """`x` (T, B, I) and the weights are examples, which a kernel can read."""
        self._spec, count = spec, len(spec.cell.state)
        self._zeros = (torch.zeros(x.shape[1], spec.hidden, dtype=x.dtype, device=x.device),) * count
        arguments = Arguments(x, self._zeros, weights)
        self._present = [weight is not None for weight in flatten(weights)]
        of_x, *rest = plain.slots(spec, arguments)
        of_states, of_weights = rest[:count], rest[count : count + len(self._present)]
        self._slots = [of_x, *compress(of_weights, self._present), *of_states]
        self._kept = [slot for slot in plain.trace_slots(passes.kept_forms(spec, arguments)) if slot.needed]
        self._output, self._final = (*x.shape[:2], spec.hidden), (1, x.shape[1], spec.hidden)
        self._native = passes.trained(spec, arguments)

    @property
    def state(self) -> State:
        """Return zeros (B, H) for each state."""
        return self._zeros

    def run(self, x: Tensor, weights: Sequence[Any], state: State = ()) -> tuple[Tensor, State] | None:
        """Take x (T, B, I), the weights that there are and a state (B, H) each, or none for zeros, to the
        output (T, B, H) and the final states (1, B, H).

        None if a kernel can't read a tensor as it is, or if no gradient is needed.
        """
        tensors = (x, *weights, *state)
        if len(tensors) != len(self._slots) - (0 if state else len(self._zeros)):
            return None
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            return None
        read = held(tensors)
        addresses = _addresses(read, self._slots)
        if not addresses or not any(tensor.requires_grad for tensor in tensors):
            return None
        output, *final = _Scan.apply(self, addresses, read, *tensors)  # type: ignore[no-untyped-call]
        return output, tuple(final)

    def forward(self, addresses: list[int], tensors: Sequence[Tensor]) -> tuple[Tensor, State, list[Tensor]]:
        """Return the output, the final states, and a Trace without what is None; the caller holds the tensors
        at these addresses."""
        native = self._native
        if native is not None and native.threads == host.threads():
            x, *_ = tensors
            return native.forward(x, self._with_zeros(addresses))
        result, trace = passes.run(self._spec, self._arguments(tensors, self._zeros), keep=True)
        final = tuple([state.unsqueeze(0) for state in result.state])
        return result.output, final, [one for one in flatten(trace) if one is not None]

    def backward(
        self,
        tensors: Sequence[Tensor],
        kept: Sequence[Tensor],
        upstream: Sequence[Any],
        needed: Sequence[bool],
        fresh: bool,
    ) -> Sequence[Tensor | None]:
        """Return the gradients of the tensors; `fresh` if no backward pass has overwritten what was kept."""
        # hooks may have replaced what was saved
        read, written = held(tensors), held(kept)
        addresses, saved = _addresses(read, self._slots), _addresses(written, self._kept)
        fresh = fresh and bool(addresses and saved)
        native, at_zero = self._native, len(tensors) < len(self._slots)
        if (
            fresh
            and at_zero
            and native is not None
            and native.multiplies
            and self._fit(native.threads, upstream)
        ):
            x, *_ = read
            places = [*self._with_zeros(addresses), *saved]
            return native.backward(x, upstream, places, (*needed, False))[:-1]
        output, *final = upstream
        request = Result(output, tuple([None if one is None else one.squeeze(0) for one in final]))
        needs = self._arguments(needed, (False,) * len(self._zeros))
        if fresh:
            arguments = self._arguments(read, self._zeros)
            request = plain.upstream(self._spec, request, arguments.x)
            gradients = passes.run_back(self._spec, arguments, self._trace(written), request, needs)
        else:
            arguments = self._arguments(tensors, self._zeros)
            gradients = compiled.differentiated(self._spec, arguments, None, request, needs)
        of_weights = compress(flatten(gradients.weights), self._present)
        return [gradients.x, *of_weights, *gradients.state][: len(tensors)]

    def _fit(self, threads: int, upstream: Sequence[Any]) -> bool:
        """Return whether a native routine for these threads can read the gradients of the results."""
        output, *final = upstream
        dtype = self._zeros[0].dtype
        if threads != host.threads() or not find_strided(output, self._output, dtype):
            return False
        return all(one is None or find(one, self._final, dtype) for one in final)

    def _with_zeros(self, addresses: list[int]) -> list[int]:
        """Add the addresses of the initial states unless they are there."""
        return addresses if len(addresses) == len(self._slots) else addresses + [own(z) for z in self._zeros]

    def _arguments(self, entries: Sequence[Any], zeros: Sequence[Any]) -> Arguments[Any]:
        """Return Arguments with an entry for each tensor; `zeros` stand for initial states that are zeros."""
        x, *rest = entries
        count = sum(self._present)
        remaining, state = iter(rest), tuple(rest[count:]) or zeros
        weights = [next(remaining) if present else None for present in self._present]
        return self._spec.arguments([x, *state, *weights, None, None, None])

    def _trace(self, kept: Sequence[Tensor]) -> Trace:
        count = len(self._zeros)
        values = kept[count:]
        return Trace(tuple(kept[:count]), *values, *[None] * (len(Trace._fields) - 1 - len(values)))


def _addresses(tensors: Sequence[Any], slots: Sequence[Slot]) -> list[int]:
    """Return the addresses of tensors that a kernel can read as they are, [] if there is another one."""
    addresses = list[int]()
    for tensor, (_, shape, dtype, _, rows) in zip(tensors, slots, strict=False):
        address = (find_rows if rows else find)(tensor, shape, dtype)
        if not address:
            return []
        addresses.append(address)
    return addresses


class _Scan(torch.autograd.Function):
    """(prepared call, addresses of its tensors, the same held, *tensors) → output and final states."""

    @staticmethod
    def forward(
        ctx: Any, training: PreparedTraining, addresses: list[int], read: list[Tensor], *tensors: Any
    ) -> tuple[Tensor, ...]:
        output, final, kept = training.forward(addresses, read)
        ctx.training, ctx.count, ctx.fresh = training, len(tensors), [True]
        ctx.save_for_backward(*tensors, *kept)
        ctx.set_materialize_grads(False)
        return output, *final

    @staticmethod
    @torch_internals.without_autocast
    def backward(ctx: Any, *upstream: Any) -> Any:
        saved, count = ctx.saved_tensors, ctx.count  # once: reading it may compute it
        fresh = not torch.is_grad_enabled() and compiled.is_fresh(ctx.fresh)
        needed = ctx.needs_input_grad[3:]
        return None, None, None, *ctx.training.backward(saved[:count], saved[count:], upstream, needed, fresh)
