"""The product x Wᵀ + b by the kernels' own routine: a row has the same bits alone as among others, which
libraries do not promise: they choose their kernels by shape.

N rows, I inputs, O outputs.
"""

from typing import Any, Final

import numpy as np
from torch import Tensor

from elman.cells import cell
from elman.engine.call import Stack, Weights
from elman.engine.cpu.pooled import FirstRows
from elman.engine.cpu.stepped import Stepped
from elman.engine.forked import Lock

BLOCK_ROWS: Final = 256  # multiplied at once


@cell(gates="y", state="h")
def Affine(x):  # type: ignore[no-untyped-def]
    return x.y


def affine_stack(weight: Tensor, bias: Tensor | None, int8: bool = False) -> Stack:
    """Return the product with a weight (O, I) and a bias (O) as the engine takes a layer."""
    weights = Weights(weight.detach(), bias_ih=None if bias is None else bias.detach())
    return Stack(Affine, (weights,), 1, False, 0.0, 0.0, 0.0, 0.0, int8=int8)


class AffineRows:
    """x Wᵀ + b for any number of rows, with the weights that `stack`, of `affine_stack`, has now."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._lock, self._one = stack, Lock(), Stepped(stack, 1)
        self._x, self._y = self._one.input.numpy(), self._one.output.numpy()
        self._many: FirstRows | None = None  # its memory is made when there are several rows

    def __call__(self, x: Any) -> Any:
        """Return an array (N, O) of an array of rows (N, I)."""
        y = np.empty((len(x), self._y.shape[1]), self._y.dtype)
        with self._lock:
            if len(x) == 1:
                np.copyto(self._x, x)
                self._one.run()
                np.copyto(y, self._y)
                return y
            for start in range(0, len(x), BLOCK_ROWS):
                self._block(x[start : start + BLOCK_ROWS], y[start : start + BLOCK_ROWS])
        return y

    def _block(self, x: Any, y: Any) -> None:
        if self._many is None:
            self._many = FirstRows(self._stack, BLOCK_ROWS)
        self._many.inputs[: len(x)] = x
        self._many.run(len(x))
        y[:] = self._many.outputs[: len(x)]
