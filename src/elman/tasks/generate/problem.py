"""The loss and validation of a language model: truncated BPTT over rows of the text, with carried state.

N tokens, B rows, T steps of a window.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from elman.errors import counted
from elman.tasks.generate.network import LanguageNet, State
from elman.tasks.generate.settings import Settings
from elman.training.plan import Plan
from elman.training.problem import DeadEnd, device_of, unwrapped

Ids = NDArray[Any]

# Steps that are read at once where no gradient is needed, and rows in which a held-out text is read.
CHUNK_STEPS: Final = 256
HELD_OUT_ROWS: Final = 16
# Training steps that an epoch should have.
EPOCH_WINDOWS: Final = 150


class Window(NamedTuple):
    """A batch: some steps of some rows of the text."""

    begin: int
    steps: int
    rows: range

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class NextToken:
    """Cross entropy of the next token; the model with the smallest on the held-out text wins."""

    train: Ids  # (N,), like `held_out`; either may be a memory map
    held_out: Ids
    settings: Settings  # for `bptt`, the steps of a window, and the penalties
    plan: Plan
    score: str = "nats"
    maximize: bool = False

    @property
    def rows(self) -> int:
        """B: a short text has fewer rows than the plan's batch size, so that an epoch has enough steps."""
        windows = len(self.train) // self.settings.bptt
        return max(1, min(self.plan.batch_size, max(windows // EPOCH_WINDOWS, min(4, windows // 4))))

    def batches(self, epoch: int, rank: int, world: int) -> list[Window]:
        """Return windows in the order of the text; every epoch but the first has a random offset."""
        rows = range(rank, self.rows, world)
        if len(rows) == 0 or self.rows < world:
            shared = counted(self.rows, "row")
            raise DeadEnd(f"{world} processes can't share {shared} of text: choose another batch_size")
        length = (len(self.train) - 1) // self.rows
        steps = min(self.settings.bptt, length)
        shift = np.random.default_rng((self.plan.seed, epoch)).integers(steps) if epoch else 0
        shift = min(int(shift), length - steps)
        return [Window(begin, steps, rows) for begin in range(shift, length - steps + 1, steps)]

    def loss(self, model: nn.Module, batch: Window, state: Any) -> tuple[Tensor, float, State]:
        """Return the sum over the batch's tokens, their number, and the state at the window's end."""
        length = (len(self.train) - 1) // self.rows
        starts = [row * length + batch.begin for row in batch.rows]
        text = np.stack([self.train[s : s + batch.steps + 1] for s in starts], 1).astype(np.int64)
        ids = torch.from_numpy(text).to(device_of(model))
        features, outputs, state = model(ids[:-1], state)
        total = unwrapped(model, LanguageNet).loss(features, ids[1:])
        count = ids[1:].numel()
        if self.settings.activation_penalty:
            total = total + count * self.settings.activation_penalty * outputs.pow(2).mean()
        if self.settings.temporal_penalty and len(outputs) > 1:
            changes = outputs[1:] - outputs[:-1]
            total = total + count * self.settings.temporal_penalty * changes.pow(2).mean()
        return total, float(count), state

    def validate(self, model: nn.Module) -> dict[str, float]:
        network, total, count = unwrapped(model, LanguageNet), 0.0, 0
        for features, targets in teacher_forced(network, self.held_out, HELD_OUT_ROWS):
            total += float(network.loss(features, targets))
            count += targets.numel()
        return {"nats": total / count}


def teacher_forced(network: LanguageNet, ids: Ids, rows: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """Read a text (N,) in parallel rows; yield features (T, B, H) and their targets (T, B), the next tokens,
    chunk by chunk. With one row, every token but the first is a target, given all tokens before it."""
    rows = max(1, min(rows, (len(ids) - 1) // CHUNK_STEPS))
    length = (len(ids) - 1) // rows
    state: State | None = None
    device = device_of(network)
    for begin in range(0, length, CHUNK_STEPS):
        end = min(begin + CHUNK_STEPS, length)
        text = np.stack([ids[r * length + begin : r * length + end + 1] for r in range(rows)], 1)
        chunk = torch.from_numpy(text.astype(np.int64)).to(device)
        with torch.no_grad():
            features, _, state = network(chunk[:-1], state)
        yield features, chunk[1:]
