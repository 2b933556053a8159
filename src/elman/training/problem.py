"""What the training loop needs to know about a task, and helpers that tasks share to say it."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from elman.errors import TrainingError

Network = TypeVar("Network", bound=nn.Module)
Row = TypeVar("Row")


class DeadEnd(TrainingError):
    """Training that would fail the same way if it were resumed."""


class Problem(Protocol):
    """A task as the loop sees it. It holds its own data.

    `score` names the validation score that picks the best model; `maximize` says whether higher is better.
    """

    score: str
    maximize: bool

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sized]:
        """Return this rank's share of every batch of an epoch: a pure function, of equal length on all ranks.

        len() of a batch is its number of sequences.
        """

    def loss(self, model: nn.Module, batch: Any, state: Any) -> tuple[Tensor, float, Any]:
        """Return the loss summed over a batch's items, their number, and the state for the next batch.

        `state` is None at the start of an epoch. A task with full BPTT returns None; one with truncated BPTT
        returns tensors (nested in tuples, lists or dicts), which the loop detaches and passes back.
        """

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Return scores on held-out data. The model is in eval mode and autograd is off."""


def share(batches: Sequence[Sequence[Row]], rank: int, world: int) -> list[list[Row]]:
    """Return this rank's part of every batch. Raises DeadEnd if a batch has fewer items than processes."""
    if small := [len(batch) for batch in batches if len(batch) < world]:
        raise DeadEnd(f"{world} processes can't share a batch of {small[0]}: choose another batch_size")
    return [list(batch[rank::world]) for batch in batches]


def detached(state: Any) -> Any:
    """Detach every tensor in a nest of tuples, lists and dicts from its graph, for truncated BPTT."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {key: detached(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(detached(value) for value in state)
    return state


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def unwrapped(model: nn.Module, kind: type[Network]) -> Network:
    """Return the network of this class inside Fabric's wrapper, or `model` if it is not wrapped."""
    network = getattr(model, "module", model)
    assert isinstance(network, kind)
    return network
