"""Gradients of weights, inputs and the initial state from those of the sums: large matrix products.

T steps, B sequences, I inputs, H units, Hp units of whole panels, G gates, S slots.
"""

import torch
from torch import Tensor

from elman.engine.call import Arguments, Gradients, Spec, Trace, taken
from elman.engine.plan import Plan
from elman.engine.slots import by_slot, gates, pad_units


def inputs_of(arguments: Arguments[Tensor]) -> Tensor:
    """Return x (T*B, I), 0 where a step isn't taken: x may be anything there."""
    x, lengths = arguments.x, arguments.lengths
    if lengths is not None:
        x = torch.where(taken(lengths, x.shape[0]).unsqueeze(2), x, 0.0)
    return x.flatten(0, 1)


def read_by_u(spec: Spec, arguments: Arguments[Tensor], trace: Trace) -> Tensor:
    """Return the h that U read at every step, (T*B, H): the previous one, cleared and masked."""
    (h, *_), clear, mask = trace.states, arguments.clear, trace.mask
    slots, batch, hp = h.shape
    first = h.storage_offset() + (batch * hp if spec.reverse else 0)
    h = h.as_strided(((slots - 1) * batch, spec.hidden), (hp, 1), first)
    if clear is not None:
        h = torch.where(clear.flatten().unsqueeze(1), 0.0, h)
    if mask is not None:
        h = (h.view(-1, batch, spec.hidden) * mask[:, : spec.hidden]).flatten(0, 1)
    return h


class Products:
    """The products that the backward kernel leaves to do: a method computes the gradient of the argument of
    its name."""

    def __init__(
        self, plan: Plan, spec: Spec, arguments: Arguments[Tensor], trace: Trace, carry: Tensor | None
    ) -> None:
        """`carry` (B, J, Hp) is the kernel's, for `state` alone."""
        self.plan, self.spec, self.arguments, self.trace = plan, spec, arguments, trace
        self.carry, self.hidden = carry, spec.hidden
        self._halves: dict[str, Tensor] = {}

    def _product(self, letters: str, other: Tensor, transposed: bool = False) -> Tensor:
        """Return the gradients of these slots, or those with rows and columns exchanged, times a matrix."""
        gates = self._gates(letters)
        if not self.plan.grouped:
            return (gates.t() if transposed else gates).mm(other)
        slots = str(self.plan.range(letters))
        if slots not in self._halves:
            self._halves[slots] = gates.bfloat16()
        gates = self._halves[slots]
        return (gates.t() if transposed else gates).mm(other.bfloat16()).float()

    def _gates(self, letters: str) -> Tensor:
        """Return the gradients of the slots of these letters, (T*B, slots*Hp)."""
        kept, (low, high) = self.trace.kept, self.plan.range(letters)
        assert kept is not None
        steps, batch, places, hp = kept.shape
        # one view, where slices and reshapes would be four: small trainings feel each
        first = kept.storage_offset() + low * hp
        return kept.as_strided((steps * batch, (high - low) * hp), (places * hp, 1), first)

    def _by_gate(self, rows: Tensor, letters: str) -> Tensor:
        """Arrange (slots*Hp, ...) as (G*H, ...), 0 for a gate that has no such slot."""
        indices, count = gates(self.plan, letters), len(self.plan.cell.gates)
        if len(rows) == count * self.hidden and indices == tuple(range(count)):
            return rows
        units = rows.view(len(indices), -1, *rows.shape[1:])[:, : self.hidden]
        if indices == tuple(range(count)):
            return units.flatten(0, 1)
        zero = units.new_zeros(units.shape[1:])
        by_gate = [units[indices.index(g)] if g in indices else zero for g in range(count)]
        return torch.cat(by_gate)

    def _by_slot(self, weight: Tensor, letters: str) -> Tensor:
        assert self.trace.kept is not None
        hp, count = self.trace.kept.shape[-1], len(self.plan.cell.gates)
        if hp == self.hidden and gates(self.plan, letters) == tuple(range(count)):
            return weight
        by_gate = by_slot(weight.view(-1, self.hidden, weight.shape[1]), self.plan, letters)
        return pad_units(by_gate, hp, 1).flatten(0, 1)

    def x(self) -> Tensor:
        weight = self._by_slot(self.arguments.weights.weight_ih, "xa")
        return self._product("xa", weight).view(self.arguments.x.shape)

    def weight_ih(self) -> Tensor:
        return self._by_gate(self._product("xa", inputs_of(self.arguments), transposed=True), "xa")

    def weight_hh(self) -> Tensor:
        read = read_by_u(self.spec, self.arguments, self.trace)
        if self.spec.heads > 1:
            return self._by_gate(self._of_heads(read), "au")
        return self._by_gate(self._product("au", read, transposed=True), "au")

    def _of_heads(self, read: Tensor) -> Tensor:
        """Return the gradient of the blocks of U (slots*H, D), from a product for each of N heads."""
        heads, units = self.spec.heads, self.hidden // self.spec.heads
        rows = self._by_head(self._gates("au")).permute(1, 2, 0, 3).flatten(2)
        others = read.view(-1, heads, units).transpose(0, 1)
        if self.plan.grouped:
            blocks = rows.bfloat16().transpose(1, 2).bmm(others.bfloat16()).float()
        else:
            blocks = rows.transpose(1, 2).bmm(others)
        return blocks.view(heads, -1, units, units).transpose(0, 1).reshape(-1, units)

    def _by_head(self, gates: Tensor) -> Tensor:
        """Return gradients of the slots a and u (rows, slots*Hp) as (slots, N, rows, D)."""
        heads, (low, high) = self.spec.heads, self.plan.range("au")
        slots = gates.view(len(gates), high - low, -1)[..., : self.hidden]
        return slots.view(*slots.shape[:2], heads, -1).permute(1, 2, 0, 3)

    def state(self) -> tuple[Tensor, ...]:
        """Return the gradients of the initial state: the kernel's, and for h what passes through U."""
        assert self.carry is not None
        h, *others = (self.carry[:, k, : self.hidden] for k in range(len(self.plan.cell.state)))
        weight, mask = self.arguments.weights.weight_hh, self.arguments.mask
        if weight is not None:
            through = self._through(weight)
            h = h + (through if mask is None else through * mask)
        return (h, *others)

    def _through(self, weight: Tensor) -> Tensor:
        """Return the gradient of the h that U read at a row's first step, (B, H)."""
        if self.spec.heads == 1:
            return self._first().mm(self._by_slot(weight, "au"))
        units = weight.shape[1]
        blocks = by_slot(weight.view(-1, self.spec.heads, units, units), self.plan, "au")
        return self._by_head(self._first()).matmul(blocks).sum(0).transpose(0, 1).flatten(1)

    def _first(self) -> Tensor:
        """Return the gradients of U's sums (B, slots*Hp) at a row's first step, 0 if it reads no state."""
        lengths, clear = self.arguments.lengths, self.arguments.clear
        steps, batch = self.arguments.x.shape[:2]
        gradients = self._gates("au").view(steps, batch, -1)
        rows = torch.arange(batch, device=gradients.device)
        first = torch.full_like(rows, steps - 1 if self.spec.reverse else 0)
        unseen = torch.zeros_like(rows, dtype=torch.bool)
        if lengths is not None:
            unseen = lengths == 0
            first = (lengths - 1).clamp(min=0) if self.spec.reverse else first
        if clear is not None:
            unseen = unseen | clear[first, rows]
        return torch.where(unseen.unsqueeze(1), 0.0, gradients[first, rows])


class WeightGradients(Products):
    """The same with the gradients that the backward kernel sums up."""

    def __init__(
        self, plan: Plan, spec: Spec, arguments: Arguments[Tensor], trace: Trace, kernel: Gradients
    ) -> None:
        super().__init__(plan, spec, arguments, trace, kernel.carry)
        self.kernel = kernel

    def bias_ih(self) -> Tensor:
        return self._summed(self.kernel.bias, "xa")

    def bias_hh(self) -> Tensor:
        # a tensor of its own: the owner of a gradient may change it in place
        return self._summed(self.kernel.bias, "au").clone()

    def gain(self, letter: str) -> Tensor:
        return self._summed(self.kernel.gain, letter)

    def _summed(self, sums: Tensor, letters: str) -> Tensor:
        low, high = self.plan.range(letters)
        rows = sums if (low, high) == (0, len(sums)) else sums[low:high]
        return self._by_gate(rows.flatten(), letters)

    def units(self) -> tuple[Tensor, ...]:
        return tuple(self.kernel.units[:, : self.hidden]) if self.plan.cell.weights else ()
