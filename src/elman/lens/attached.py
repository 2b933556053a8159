"""Look into the recurrent layers of somebody else's PyTorch model."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from elman.errors import UsageError
from elman.lens.looking import look
from elman.lens.recording import prepared
from elman.lens.report import Report
from elman.lens.view import Labels, View, check_function


class Attached:
    """A torch.nn.Module that every view of the lens takes as a model; made by `attach`."""

    def __init__(
        self,
        module: nn.Module,
        score: Callable[[Any], Tensor] | None,
        scored: str,
        unit: str,
        cut: Callable[[Any, int], Any] | None,
    ) -> None:
        self._module, self._score, self._scored, self._unit, self._cut = module, score, scored, unit, cut

    def __repr__(self) -> str:
        return f"<elman.lens.Attached {type(self._module).__name__}>"

    def view(self, input: Any, labels: Sequence[str] | Sequence[Sequence[str]] = ()) -> View:
        """Return what to look at: the module as it is now, and a tensor or a tuple of arguments.

        Args:
            labels: of the steps of the sequence, or of each sequence.
        """
        each = _labels(labels)
        cut = self._cut
        return View(
            module=prepared(self._module),
            input=input,
            score=self._score,
            scored=self._scored,
            labels={"": each} if each else {},
            unit=self._unit,
            cut=None if cut is None else lambda steps: cut(input, steps),
        )

    def look(
        self, input: Any, labels: Sequence[str] | Sequence[Sequence[str]] = (), *, sequence: int = 0
    ) -> Report:
        """Return the report of an input; see `elman.lens.look`."""
        title = f"A look into {type(self._module).__name__}"
        return look(self.view(input, labels), sequence=sequence, title=title)


def _labels(labels: Any) -> Labels:
    """Return the labels of each sequence. Raises UsageError for what is none."""
    several = isinstance(labels, list | tuple)
    named = [labels] if several and labels and isinstance(labels[0], str) else labels
    if not several or not all(isinstance(one, list | tuple) for one in named):
        raise UsageError("labels must be a list of texts, or one for each sequence")
    if not all(isinstance(label, str) for one in named for label in one):
        raise UsageError("labels must be texts")
    return tuple(map(tuple, named))


def attach(
    module: nn.Module,
    score: Callable[[Any], Tensor] | None = None,
    *,
    scored: str = "score",
    unit: str = "steps",
    cut: Callable[[Any, int], Any] | None = None,
) -> Attached:
    """Return a foreign model as one that `elman.lens` looks into, such as `lens.states(attached, x)`, and
    `attached.look(x)` for the whole report.

    The module stays as it is, with the weights that it has at each look; its torch.nn.RNN, LSTM and GRU are
    looked into in a copy with elman's layers in their place.

    Args:
        module: with torch.nn's or elman's recurrent layers.
        score: from what the module returns to a number for each sequence, (B,), such as the logit of a class:
            what attribution explains. None: there is no attribution.
        scored: what the score is, for people.
        unit: of a step, for people.
        cut: from an input and a number of steps to the input of only the first steps, such as
            `lambda x, steps: x[:steps]`.

    Raises:
        UsageError: it is no module, or has no recurrent layer.
    """
    prepared(module)
    check_function("score", score)
    check_function("cut", cut)
    return Attached(module, score, scored, unit, cut)
