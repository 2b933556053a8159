"""Single steps of one sequence whose inputs are rows of a table, such as the embeddings of letters: the
products of W with all rows are computed once, so that a step is left with the product of U.

V rows of I inputs, H units, Hp units of whole panels, S slots.
"""

import torch
from torch import Tensor

from elman.engine.call import Stack
from elman.engine.cpu import weights
from elman.engine.cpu.affine import AffineRows, affine_stack
from elman.engine.cpu.stepped import Stepped
from elman.engine.memory import own


class Lookup(Stepped):
    """One stack in one direction, without layer normalisation. Its input is given by the number of a row."""

    def __init__(self, stack: Stack, table: Tensor) -> None:
        """Take a table, of `sums`, for the first layer."""
        super().__init__(stack, 1)
        self.table = table
        self._base, self._stride = own(table), table.stride(0) * table.itemsize
        self._bias = self._memory.plan.fields.index("bias")

    def _build(self) -> None:
        super()._build()
        inputs = self._memory.plan.fields.index("I")
        for part in self._pairs[0]:
            part.block[inputs] = 0  # no inputs beside those in the table

    def look(self, row: int) -> None:
        """Take one step on a row of the table. Raises IndexError if there is no such row."""
        if not 0 <= row < len(self.table):
            raise IndexError(f"there is no row {row} among {len(self.table)}")
        self._rebuild()
        self._pairs[0][self._turn].block[self._bias] = self._base + row * self._stride
        self.run()


def sums(stack: Stack, vectors: Tensor) -> Tensor:
    """Return the start of every slot's sum (V, S*Hp) in the first layer for inputs (V, I): the bias, and W's
    product where the slot has one. The kernel would reach the same sums before it adds the product of U, so
    that outputs have the bits of any other step."""
    w, plan = stack.weights[0], weights.forward_plan(stack, vectors.dtype)
    hidden, bias = weights.hidden_size(plan.cell, w), weights.remembered(plan, w, stack.heads).bias
    starts = bias.detach().view(len(plan.slots), weights.padded(hidden, plan))
    table = starts.repeat(len(vectors), 1, 1)
    begin, end = plan.range("xa")
    by_gate = w.weight_ih.detach().view(-1, hidden, vectors.shape[1])
    rows = by_gate[[plan.cell.gates.index(gate) for _, gate in plan.slots[begin:end]]].flatten(0, 1)
    product = AffineRows(affine_stack(rows, starts[begin:end, :hidden].flatten(), stack.int8))
    together = torch.from_numpy(product(vectors.numpy()))
    table[:, begin:end, :hidden] = together.view(len(vectors), -1, hidden)
    return table.flatten(1)
