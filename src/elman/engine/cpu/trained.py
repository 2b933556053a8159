"""Both passes of a training step, each as one native routine: packing of the weights, the kernel, copies of
states and biases, and, where they are small, the products that give the gradients of weights and input.
Prepared once for a shape of input.

T steps, B sequences, I inputs, H units, G gates, J states.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.engine.call import Arguments, Form, Result, Spec, State, Trace, Weights, flatten
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.pass_routine import BackwardPass, ForwardPass
from elman.engine.cpu.routine import Routine
from elman.engine.memory import CPU, find, find_rows, held, own
from elman.engine.weight_gradients import Products
from elman.errors import UsageError

# A product with more multiplications than this, divided by the threads, is left to PyTorch, which shares it
# among them.
MAX_PRODUCT: Final = 16_000_000


class TrainedPasses:
    """One layer in one direction: all rows take all steps, units fill whole panels, and nothing is masked or
    normalised.

    Attributes:
        threads: what both passes were prepared for.
        multiplies: whether the backward pass computes the gradients of the matrices and of the input.
    """

    def __init__(
        self, spec: Spec, plan: Plan, back: Plan, x: Form, weight_names: tuple[str, ...], threads: int
    ) -> None:
        """Take the kernels of both passes, the form of x (T, B, I), and the names of the weights that there
        are: fields of Weights, then w.name for the cell's own."""
        self._spec, self._x, self._weight_names, self.threads = spec, x, weight_names, threads
        self._plan = back
        steps, batch, inputs = x.shape
        hidden, states, rows = spec.hidden, len(spec.cell.state), len(spec.cell.gates) * spec.hidden
        most = steps * batch * max(back.multiplications) * hidden * max(inputs, hidden // spec.heads)
        self.multiplies = most * self.threads <= MAX_PRODUCT and inputs % plan.vector.lanes == 0
        self._forward, self._backward = (
            ForwardPass(spec, plan, x, weight_names, threads).routine,
            dict[Any, Routine](),
        )
        self._nothing = torch.zeros((1, batch, hidden), dtype=x.dtype, device=CPU)
        kept = [*[(steps + 1, batch, hidden)] * states, (steps, batch, plan.places, hidden)]
        kept += [(len(spec.cell.weights), hidden)] if spec.cell.weights else []
        self._kept, self._final = [self._like(shape) for shape in kept], [self._nothing] * states
        sizes = {
            "weight_ih": (rows, inputs),
            "weight_hh": (rows, hidden // spec.heads),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        shapes = [x.shape, *[sizes.get(name, (hidden,)) for name in weight_names], (batch, states, hidden)]
        self._gradients = [self._like(shape) for shape in shapes]
        self._states = [self._like((batch, hidden))] * states

    def _like(self, shape: Sequence[int]) -> Tensor:
        """Return a tensor of this shape in the memory of one number: `empty_like` is faster than `empty`."""
        return self._nothing.view(-1)[:1].expand(shape)

    def forward(self, x: Tensor, addresses: Sequence[int]) -> tuple[Tensor, State, list[Tensor]]:
        """Run on x (T, B, I); return the output (T, B, H), the final states (1, B, H), and what to keep: a
        Trace without what is None.

        The addresses are those of x, of the weights and of the initial states.
        """
        kept, final = [_new(one) for one in self._kept], tuple([_new(one) for one in self._final])
        step, row, _ = x.stride()
        self._forward.run(step, row, *[own(one) for one in kept], *[own(one) for one in final], *addresses)
        h, *_ = kept
        return h[:-1] if self._spec.reverse else h[1:], final, kept

    def result(self, arguments: Arguments[Any]) -> tuple[Result[Tensor], Trace]:
        """Do the same as `elman.engine.passes.run` for a backward pass."""
        read, addresses = self._read(arguments)
        x, *_ = read
        output, final, kept = self.forward(x, addresses)
        states, (gates, *units) = kept[: len(final)], kept[len(final) :]
        trace = Trace(tuple(states), gates, units[0] if units else None, None, None)
        return Result(output, tuple([one[0] for one in final])), trace

    def _read(self, arguments: Arguments[Any]) -> tuple[list[Tensor], list[int]]:
        """Return x, the weights that there are and the states, held, and their addresses. Raises UsageError
        where another thread has put other tensors there since they were looked at."""
        weights = [one for one in flatten(arguments.weights) if one is not None]
        read = held((arguments.x, *weights, *arguments.state))
        x, *rest = read
        of_x, *shapes = [one.shape for one in (*self._gradients[:-1], *self._states)]
        addresses = [find_rows(x, of_x, self._x.dtype)]
        addresses += [find(one, shape, self._x.dtype) for one, shape in zip(rest, shapes, strict=True)]
        if not all(addresses):
            raise UsageError("another thread has replaced a tensor while a layer reads it")
        return read, addresses

    def backward(
        self, x: Tensor, upstream: Sequence[Tensor | None], addresses: Sequence[int], needed: tuple[bool, ...]
    ) -> list[Tensor | None]:
        """Return the gradients of x, of the weights and, (B, J, H), those of the initial states without what
        the first step passes back through U; None for those that aren't needed.

        Args:
            upstream: gradients of the output, (T, B, H) of any strides, and of the final states, None for 0.
            addresses: of what `forward` read and of what it kept.
            needed: those of matrices and of x only if `multiplies`.
        """
        up, *ends = upstream
        assert up is not None
        new = [_new(one) if need else None for one, need in zip(self._gradients, needed, strict=True)]
        above, below = up.stride(), x.stride()
        key = needed, above[-1] != 1, not x.is_contiguous()
        if key not in self._backward:
            self._backward[key] = BackwardPass(
                self._spec, self._plan, self._x, self._weight_names, self.threads, *key
            ).routine
        last = [own(self._nothing if end is None else end) for end in ends]
        gradients = [0 if one is None else own(one) for one in new]
        self._backward[key].run(*above, *below, own(up), *last, *gradients, *addresses)
        return new

    def gradients(
        self, arguments: Arguments[Any], trace: Trace, upstream: Result[Any], needed: Arguments[Any]
    ) -> Arguments[Tensor | None]:
        """Return all gradients; that of the output may have any strides."""
        present = [one is not None for one in flatten(arguments.weights)]
        wants = itertools.compress(flatten(needed.weights), present)
        read, addresses = self._read(arguments)
        kept = held([one for one in flatten(trace) if one is not None])
        addresses += [own(one) for one in kept]
        names = ("x", *self._weight_names, "carry")
        needs = dict(zip(names, (needed.x, *wants, any(needed.state)), strict=True))
        left = () if self.multiplies else ("x", "weight_ih", "weight_hh")
        here = tuple([bool(need) and name not in left for name, need in needs.items()])
        results = upstream.output, *upstream.state
        x, *_ = read
        gradients = dict(zip(names, self.backward(x, results, addresses, here), strict=True))
        products = Products(self._plan, self._spec, arguments, trace, gradients.pop("carry"))
        for name in left:
            if needs.get(name):
                gradients[name] = getattr(products, name)()
        units = tuple([gradients.pop(f"w.{name}") for name in self._spec.cell.weights])
        state = products.state() if any(needed.state) else (None,) * len(arguments.state)
        return Arguments(gradients.pop("x"), state, Weights(**gradients, units=units))


def _new(like: Tensor) -> Tensor:
    """Return a contiguous tensor of the same shape."""
    return torch.empty_like(like, memory_format=torch.contiguous_format)
