"""What the lens looks at: a module, the tensors that it takes, and what steps and answers are called.

T steps, B sequences.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from elman.errors import UsageError
from elman.lens.recording import outputs_of, prepared

Labels = tuple[tuple[str, ...], ...]  # of the steps of each sequence


@dataclass(frozen=True, eq=False)
class View:
    """A model and its input, ready to be looked into; made by `view_of`, and by a task's `view`.

    Attributes:
        module: with recurrent layers that can be looked into; it runs in eval mode, and stays as it was.
        input: a tensor that it takes, or a tuple of its arguments.
        score: from what the module returns to how much speaks for each answer, (B,), in units of `scored`.
        last: likewise, what the last step alone says; None: `score`.
        scored: what a score is, such as "log-odds of the answer".
        answers: what the model says of each sequence; empty where it has no words for it.
        labels: of the steps, such as words, by how the names of the layers begin that take them.
        unit: of `scale` steps, for people, such as "words" or "ms".
        scale: how many units a step is.
        notes: what people should know, each a sentence.
        extras: views of the task itself: a name, a title, a sentence, and what draws a figure of a sequence.
        cut: from a number of steps to the input of only the first steps; None if there is no such input.
    """

    module: nn.Module
    input: Any
    score: Callable[[Any], Tensor] | None = None
    last: Callable[[Any], Tensor] | None = None
    scored: str = "score"
    answers: tuple[str, ...] = ()
    labels: Mapping[str, Labels] = field(default_factory=dict)
    unit: str = "steps"
    scale: float = 1.0
    notes: tuple[str, ...] = ()
    extras: tuple[tuple[str, str, str, Callable[[int], Any]], ...] = ()
    cut: Callable[[int], Any] | None = None

    def labels_of(self, layer: str) -> Labels:
        """Return the labels of the steps of a layer's sequences; () if they have none."""
        fitting = [start for start in self.labels if layer.startswith(start)]
        return self.labels[max(fitting, key=len)] if fitting else ()

    def loss(self, result: Any) -> Tensor:
        """Return minus the sum of the scores of what the module returns; without scores, half the sum of the
        squares of its outputs."""
        if self.score is None:
            return outputs_of(result).square().sum() / 2
        return -_scores(self.score, result).sum()

    def at_end(self, result: Any) -> Tensor:
        """Return `loss`, of the last steps alone."""
        return self.loss(result) if self.last is None else -_scores(self.last, result).sum()


def _scores(score: Callable[[Any], Tensor], result: Any) -> Tensor:
    scores: Any = score(result)
    if not isinstance(scores, Tensor):
        raise UsageError(
            f"score must return a tensor, a number for each sequence, not {type(scores).__name__}"
        )
    return scores


def check_function(name: str, value: Any) -> None:
    """Raise UsageError, which names the argument, unless it is a function or None."""
    if value is not None and not callable(value):
        raise UsageError(f"{name} must be a function of what the module returns, not {type(value).__name__}")


def view_of(model: Any, input: Any) -> View:
    """Return what to look at.

    Args:
        model: a trained task's model, such as a `Classifier`; or a torch.nn.Module, of which a copy is looked
            into if it has torch.nn's recurrent layers.
        input: what `predict` of the task takes; or a tensor that the module takes, or a tuple of its
            arguments.

    Raises:
        UsageError: the model has no recurrent layer, or the input is none of the task's.
    """
    if isinstance(model, View):
        return model
    view = getattr(model, "view", None)
    if not isinstance(model, nn.Module) and callable(view):
        made: View = view(input)
        return made
    return View(prepared(model), input)
