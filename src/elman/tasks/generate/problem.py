"""A running text as the problem that the network solves: truncated BPTT in rows, with carried state.

N tokens, B rows, T steps of a window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.tasks.generate.network import State, Writer
from elman.training.loop import DeadEnd, Plan, device_of

Ids = NDArray[Any]

# Steps that are read at once where no gradient is needed, and rows in which a held-out text is read.
PIECE: Final = 256
ROWS: Final = 16
# Steps of the optimizer that an epoch should have.
WINDOWS: Final = 150


class Window(NamedTuple):
    """Steps of some rows of the text: one batch."""

    begin: int
    steps: int
    rows: range

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class NextToken:
    """Cross entropy of the next token; the model with the smallest on the held-out text wins.

    Attributes:
        train, held_out: ids (N,), which may be memory maps.
        steps: T, so far back gradients go; the state goes on from window to window.
        activation, slowness: what large outputs and large changes of them cost (Merity et al., "Revisiting
            activation regularization for language RNNs", arXiv:1708.01009).
    """

    train: Ids
    held_out: Ids
    steps: int
    activation: float
    slowness: float
    plan: Plan
    score: str = "nats"
    maximize: bool = False

    @property
    def rows(self) -> int:
        """B: a short text makes fewer rows than the plan's batch size, so that an epoch has enough steps."""
        windows = len(self.train) // self.steps
        return max(1, min(self.plan.batch_size, max(windows // WINDOWS, min(4, windows // 4))))

    def batches(self, epoch: int, rank: int, world: int) -> list[Window]:
        """Windows in the order of the text, from another place in each epoch."""
        mine = range(rank, self.rows, world)
        if len(mine) == 0 or self.rows < world:
            raise DeadEnd(
                f"{world} processes can't share {self.rows} rows of text: choose another batch_size"
            )
        length = (len(self.train) - 1) // self.rows
        steps = min(self.steps, length)
        shift = np.random.default_rng((self.plan.seed, epoch)).integers(steps) if epoch else 0
        shift = min(int(shift), length - steps)
        return [Window(begin, steps, mine) for begin in range(shift, length - steps + 1, steps)]

    def loss(self, model: nn.Module, batch: Window, state: Any) -> tuple[Tensor, float, State]:
        """Sum over the batch's tokens, their number, and the state at the window's end."""
        length = (len(self.train) - 1) // self.rows
        starts = [row * length + batch.begin for row in batch.rows]
        text = np.stack([self.train[s : s + batch.steps + 1] for s in starts], 1).astype(np.int64)
        ids = torch.from_numpy(text).to(device_of(model))
        features, outputs, state = model(ids[:-1], state)
        total = _writer(model).loss(features, ids[1:])
        count = ids[1:].numel()
        if self.activation:
            total = total + count * self.activation * outputs.pow(2).mean()
        if self.slowness and len(outputs) > 1:
            total = total + count * self.slowness * (outputs[1:] - outputs[:-1]).pow(2).mean()
        return total, float(count), state

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Nats a token on the held-out text, read in a few rows at once."""
        total, count = 0.0, 0
        for features, wanted in read(_writer(model), self.held_out, ROWS):
            total += float(_writer(model).loss(features, wanted))
            count += wanted.numel()
        return {"nats": total / count}


def read(network: Writer, ids: Ids, rows: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """A text (N,) in so many rows: pieces of features (T, B, H) and of the tokens that came next (T, B).

    With one row every token but the first is foretold from all before it.
    """
    rows = max(1, min(rows, (len(ids) - 1) // PIECE))
    length = (len(ids) - 1) // rows
    state: State | None = None
    device = device_of(network)
    for begin in range(0, length, PIECE):
        end = min(begin + PIECE, length)
        text = np.stack([ids[r * length + begin : r * length + end + 1] for r in range(rows)], 1)
        piece = torch.from_numpy(text.astype(np.int64)).to(device)
        with torch.no_grad():
            features, _, state = network(piece[:-1], state)
        yield features, piece[1:]


def _writer(model: nn.Module) -> Writer:
    """The network itself, where Fabric has wrapped it."""
    inner = getattr(model, "module", model)
    assert isinstance(inner, Writer)
    return inner
