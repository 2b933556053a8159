"""Single steps of one sequence whose inputs are rows of a table, such as the vectors of letters: what W makes
of every row is multiplied out once, and of a step only the product with U is left.

V rows of I inputs, H units, Hp units of whole panels, S slots.
"""

from typing import Any

import torch
from torch import Tensor

from elman.engine.call import Stack, Weights
from elman.engine.cpu import host
from elman.engine.cpu import weights as pack
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.prepared import Prepared


class Lookup(Prepared):
    """One layer in one direction, without layer normalisation, whose weights stay what they are.

    Sums are those of `step` but for their last bits, as W's product is not added up in the kernel's order.
    """

    def __init__(self, stack: Stack, vectors: Tensor) -> None:
        """For vectors (V, I), each the input of a step."""
        super().__init__(stack, 1, 1, vectors.dtype)
        self.table = _sums(self.plan, stack.weights[0], vectors)
        self._base, self._stride = self.table.data_ptr(), self.table.stride(0) * self.size
        self._bias = self.plan.fields.index("bias")
        self._threads = host.threads()
        self.parts[0].block[self.plan.fields.index("I")] = 0  # no inputs beside those in the table

    def look(self, row: int, hx: Any) -> tuple[Tensor, Any] | None:
        """Row of the table and states (1, 1, H) to output (1, H), which is a part of the new state, and
        states, a single one as it is; None if there is no such row, if a state needs a closer look, or if
        the number of threads has changed."""
        state = self._given(hx)
        if state is None or not 0 <= row < len(self.table) or host.threads() != self._threads:
            return None
        block, new = self.parts[0].block, tuple([torch.empty_like(s) for s in self.zeros])
        with self.lock:
            block[self._bias] = self._base + row * self._stride
            for (at, at_stride), given, out in zip(self.parts[0].states, state, new, strict=True):
                begin = given.data_ptr()
                # slot 1, the state after the step, is wherever the new tensor stands
                block[at], block[at_stride] = begin, (out.data_ptr() - begin) // self.size
            self.parts[0].start()
        return new[0][0], new if len(new) > 1 else new[0]


def _sums(plan: Plan, w: Weights, vectors: Tensor) -> Tensor:
    """What every slot's sum begins with (V, S*Hp): the bias, and the product of W where the slot has one."""
    hp, bias = pack.padded(w.hidden, plan), pack.remembered(plan, w).bias
    sums = bias.detach().view(1, len(plan.slots), hp).repeat(len(vectors), 1, 1)
    columns = w.ih.detach().T
    if plan.int8:  # as the kernel would read them
        rounded, scales = pack.to_bytes(columns[None])
        columns = rounded[0] * scales
    by_gate = (vectors @ columns).view(len(vectors), -1, w.hidden)
    for slot, (letter, gate) in enumerate(plan.slots):
        if letter in "xa":
            sums[:, slot, : w.hidden] += by_gate[:, plan.cell.gates.index(gate)]
    return sums.flatten(1)
