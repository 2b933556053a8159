"""Groups of parameters for the optimizer: with or without weight decay, at their own pace."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn


class Pace(NamedTuple):
    """How a parameter learns: its factor of the learning rate, and the share of the run after which it
    begins. Discriminative learning rates and gradual unfreezing: Howard, Ruder, arXiv:1801.06146."""

    factor: float = 1.0
    start: float = 0.0


def even(name: str) -> Pace:
    """Return the pace of a training in which all parameters learn alike."""
    return Pace()


def parameter_groups(
    model: nn.Module, decay: float, pace: Callable[[str], Pace] = even
) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: matrices with weight decay, biases and gains without. `pace` is asked
    by the parameter's name."""
    groups: dict[tuple[Pace, bool], list[nn.Parameter]] = {}
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    for vectors in (False, True):
        for name, parameter in named:
            if (parameter.dim() < 2) == vectors:
                groups.setdefault((pace(name), vectors), []).append(parameter)
    return [
        # plain numbers, since a checkpoint holds the groups
        {"params": members, "weight_decay": 0.0 if vectors else decay, **own._asdict()}
        for (own, vectors), members in groups.items()
    ]


def set_learning_rate(groups: list[dict[str, Any]], learning_rate: float, done: float) -> None:
    """Set the learning rate of every group after a share `done` of the run; 0 for those that wait. They keep
    their gradients' moments up to date, so that all processes and a resumed run do the same."""
    for group in groups:
        group["lr"] = learning_rate * group["factor"] if done >= group["start"] else 0.0
