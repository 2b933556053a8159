"""From the gradients of the sums to those of weights, inputs and the initial state: large matrix products.

T steps, B sequences, I inputs, H units, Hp units of whole panels, G gates, S slots.
"""

import torch
from torch import Tensor

from elman.engine.call import Weights, taken
from elman.engine.cpu import weights as pack
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.launch import Gradients, Options, Trace


class Products:
    """What is left to do when the backward kernel is through."""

    def __init__(
        self, plan: Plan, x: Tensor, trace: Trace, found: Gradients, w: Weights, options: Options
    ) -> None:
        self.plan, self.x, self.trace, self.found = plan, x, trace, found
        self.weights, self.options, self.hidden = w, options, w.hidden

    def _gates(self, letters: str) -> Tensor:
        """Gradients of the slots of these letters: (T*B, slots*Hp)."""
        return self._slots(letters).flatten(0, 1).flatten(1)

    def _slots(self, letters: str) -> Tensor:
        """(T, B, slots, Hp)."""
        low, high = self.plan.range(letters)
        assert self.trace.kept is not None
        return self.trace.kept[:, :, low:high]

    def _by_gate(self, rows: Tensor, letters: str) -> Tensor:
        """(slots*Hp, ...) → (G*H, ...), 0 for a gate that has no such slot."""
        places, count = pack.gates(self.plan, letters), len(self.plan.cell.gates)
        by_slot = rows.view(len(places), -1, *rows.shape[1:])[:, : self.hidden]
        if places == tuple(range(count)):
            return by_slot.flatten(0, 1)
        found = by_slot.new_zeros(count, *by_slot.shape[1:])
        found[list(places)] = by_slot
        return found.flatten(0, 1)

    def _by_slot(self, weight: Tensor, letters: str) -> Tensor:
        """(G*H, K) → (slots*Hp, K)."""
        by_gate = pack.chosen(weight.view(-1, self.hidden, weight.shape[1]), self.plan, letters)
        return pack.filled(by_gate, self.found.bias.shape[-1], 1).flatten(0, 1)

    def _inputs(self) -> Tensor:
        """x (T*B, I), 0 where a step isn't taken: there may be anything."""
        x = self.x
        if self.options.lengths is not None:
            active = taken(self.options.lengths, x.shape[0])
            x = torch.where(active.unsqueeze(2), x, 0.0)
        return x.flatten(0, 1)

    def _previous(self) -> Tensor:
        """What U saw at every step: h as the step before left it (T*B, Hp), cleared and masked."""
        h = self.trace.states[0]
        h = h[1:] if self.options.reverse else h[:-1]
        if self.options.clear is not None:
            h = torch.where(self.options.clear.unsqueeze(2), 0.0, h)
        if self.trace.mask is not None:
            h = h * self.trace.mask
        return h.flatten(0, 1)

    def inputs(self) -> Tensor:
        return self._gates("xa").mm(self._by_slot(self.weights.ih, "xa")).view(self.x.shape)

    def ih(self) -> Tensor:
        return self._by_gate(self._gates("xa").t().mm(self._inputs()), "xa")

    def hh(self) -> Tensor:
        product = self._gates("au").t().mm(self._previous()[:, : self.hidden])
        return self._by_gate(product, "au")

    def b_ih(self) -> Tensor:
        return self._summed(self.found.bias, "xa")

    def b_hh(self) -> Tensor:
        # a tensor of its own: whoever owns a gradient may change it in place
        return self._summed(self.found.bias, "au").clone()

    def gain(self, letter: str) -> Tensor:
        """Of the sums of x or of u."""
        return self._summed(self.found.gain, letter)

    def _summed(self, sums: Tensor, letters: str) -> Tensor:
        low, high = self.plan.range(letters)
        return self._by_gate(sums[low:high].flatten(), letters)

    def units(self) -> list[Tensor]:
        return list(self.found.units[:, : self.hidden])

    def states(self, wanted: bool) -> list[Tensor | None]:
        """Of the initial state: what the kernel carried there, and for h what goes through U."""
        count = len(self.plan.cell.state)
        if not wanted:
            return [None] * count
        own: list[Tensor | None] = [self.found.carry[:, k, : self.hidden] for k in range(count)]
        if self.weights.hh is not None:
            assert own[0] is not None
            through = self._first().mm(self._by_slot(self.weights.hh, "au"))
            own[0] = own[0] + (through if self.options.mask is None else through * self.options.mask)
        return own

    def _first(self) -> Tensor:
        """Gradients of U's sums (B, slots*Hp) at every row's first step, 0 where that sees no state."""
        gates, options = self._slots("au").flatten(2), self.options
        steps, batch = gates.shape[:2]
        rows = torch.arange(batch)
        first = torch.full((batch,), steps - 1 if options.reverse else 0)
        unseen = torch.zeros(batch, dtype=torch.bool)
        if options.lengths is not None:
            unseen = options.lengths == 0
            first = (options.lengths - 1).clamp(min=0) if options.reverse else first
        if options.clear is not None:
            unseen = unseen | options.clear[first, rows]
        return torch.where(unseen.unsqueeze(1), 0.0, gates[first, rows])
