"""What the training loop asks of an inspector, which looks into recurrent layers. A task hands it one of
`elman.lens`, as the loop may not import what stands above it."""

from collections.abc import Callable
from typing import Any, Final, Protocol

from torch import Tensor, nn

# A look costs about two steps of training. It is taken at ends of epochs, at least so many steps apart.
LOOK_STEPS: Final = 100


class Inspector(Protocol):
    """Looks into a network while it trains. `loss` runs it on a batch, the same way at each call."""

    unit: str  # in which memory is measured

    def explain(self, network: nn.Module, loss: Callable[[], Tensor]) -> str:
        """Return where a number first went wrong, as a phrase; "" if none did."""

    def horizon(self, network: nn.Module, loss: Callable[[], Tensor]) -> float | None:
        """Return how far back the loss at the end of the sequences is felt to 10 %, in units; None where no
        layer takes several steps."""


class Unwrapped(nn.Module):
    """A network called in the precision of the training, whose gradients any code may take."""

    def __init__(self, module: nn.Module, precision: Any) -> None:
        super().__init__()
        self.module, self._precision = module, precision

    def forward(self, *arguments: Any, **named: Any) -> Any:
        arguments, named = self._precision.convert_input((arguments, named))
        with self._precision.forward_context():
            result = self.module(*arguments, **named)
        return self._precision.convert_output(result)


def look_due(epoch: int, index: int, batches: int) -> bool:
    """Return whether the memory is measured at a step, of as many in an epoch."""
    return index + 1 == batches and epoch % -(-LOOK_STEPS // batches) == 0
