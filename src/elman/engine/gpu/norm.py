"""Layer normalisation around the backward kernel, which only goes through that of U h.

T steps, B sequences, G gates, H units.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from elman.engine.call import Arguments, Spec, Trace
from elman.engine.gpu.emit.plan import Plan
from elman.engine.plan import EPSILON
from elman.engine.weight_gradients import inputs_of, read_by_u


class Side(NamedTuple):
    """One of the two products, computed again for all steps, and normalised."""

    letter: str
    places: tuple[int, int]  # of its gradients
    product: Tensor  # (T*B, G*H)
    hat: Tensor  # (T*B, G*H): normalised, without gain
    mean: Tensor  # (T*B, 1)
    rate: Tensor  # (T*B, 1)
    gain: Tensor  # (G*H)

    def finish(self, kept: Tensor) -> Tensor:
        """Replace the gradients of normalised products by those of the products; return the gain's (G, H)."""
        low, high = self.places
        gates = kept[:, :, low:high].reshape(self.product.shape)
        product, gain, _ = torch.ops.aten.native_layer_norm_backward(
            gates.to(self.product.dtype),
            self.product,
            [self.product.shape[1]],
            self.mean,
            self.rate,
            self.gain.to(self.product.dtype),
            None,
            [True, True, False],
        )
        kept[:, :, low:high] = product.view(kept[:, :, low:high].shape)
        return gain.view(high - low, -1)  # type: ignore[no-any-return]


def sides(plan: Plan, spec: Spec, arguments: Arguments[Tensor], trace: Trace) -> tuple[Side, ...]:
    """Return W x and, if there is one, U h."""
    w = arguments.weights
    assert w.gain_ih is not None
    both = [_side(plan, "x", inputs_of(arguments), w.weight_ih, w.gain_ih)]
    if w.weight_hh is not None and w.gain_hh is not None:
        both.append(_side(plan, "u", read_by_u(spec, arguments, trace), w.weight_hh, w.gain_hh))
    return tuple(both)


def _side(plan: Plan, letter: str, rows: Tensor, weight: Tensor, gain: Tensor) -> Side:
    product = rows.mm(weight.detach().t()).float()
    hat, mean, rate = torch.native_layer_norm(product, [product.shape[1]], None, None, EPSILON)
    return Side(letter, plan.range(letter), product, hat, mean, rate, gain.detach())
