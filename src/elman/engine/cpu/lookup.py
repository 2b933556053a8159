"""Single steps of one sequence whose inputs are rows of a table, such as the embeddings of letters: the
products of W with all rows are computed once, so that a step is left with the product of U.

V rows of I inputs, H units, Hp units of whole panels, S slots.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Stack, Weights
from elman.engine.cpu import host, weights
from elman.engine.cpu.affine import AffineRows, affine_stack
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.prepared import Prepared
from elman.engine.memory import own


class Lookup(Prepared):
    """One layer in one direction, without layer normalisation, whose weights don't change.

    The table's sums are those that the kernel would reach before U, so that outputs have the bits of `step`.
    """

    def __init__(self, stack: Stack, vectors: Tensor) -> None:
        """Prepare steps on the rows of `vectors` (V, I)."""
        super().__init__(stack, 1, 1, vectors.dtype)
        self.table = _sums(self.plan, stack.weights[0], vectors)
        self._base, self._stride = own(self.table), self.table.stride(0) * self.size
        self._bias = self.plan.fields.index("bias")
        self._threads = host.threads()
        self.parts[0].block[self.plan.fields.index("I")] = 0  # no inputs beside those in the table

    def look(self, row: int, hx: Any) -> tuple[Tensor, Any] | None:
        """Take a row of the table and states (1, 1, H) to output (1, H) and states, a single one as it is.

        The output is a part of the new state. None if there is no such row, if a state doesn't fit as it is,
        or if the number of threads has changed.
        """
        state = self.states(hx)
        if state is None or not 0 <= row < len(self.table) or host.threads() != self._threads:
            return None
        block, new = self.parts[0].block, tuple([torch.empty_like(s) for s in self.zeros])
        with self.lock:
            block[self._bias] = self._base + row * self._stride
            for (address_at, stride_at), old, out in zip(self.parts[0].states, state[1], new, strict=True):
                # slot 1, the state after the step, is in the new tensor
                block[address_at], block[stride_at] = old, (own(out) - old) // self.size
            self.parts[0].start()
        return new[0][0], new if len(new) > 1 else new[0]


def _sums(plan: Plan, w: Weights[Tensor], vectors: Tensor) -> Tensor:
    """Return the start of every slot's sum (V, S*Hp): the bias, and W's product where the slot has one."""
    hidden, bias = weights.hidden_size(plan.cell, w), weights.remembered(plan, w).bias
    starts = bias.detach().view(len(plan.slots), weights.padded(hidden, plan))
    sums = starts.repeat(len(vectors), 1, 1)
    begin, end = plan.range("xa")
    by_gate = w.weight_ih.detach().unflatten(0, (-1, hidden))
    rows = by_gate[[plan.cell.gates.index(gate) for _, gate in plan.slots[begin:end]]].flatten(0, 1)
    product = AffineRows(affine_stack(rows, starts[begin:end, :hidden].flatten(), plan.int8))
    sums[:, begin:end, :hidden] = torch.from_numpy(product(vectors.numpy())).unflatten(1, (-1, hidden))
    return sums.flatten(1)
