"""The small networks of the lesson, and the loop that trains them.

T words, B sentences, K answers.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import GRU, LSTM, Cell, Elman
from elman.nn.recurrent import Recurrent

CELLS: Final[dict[str, Cell]] = {"Elman": Elman, "GRU": GRU, "LSTM": LSTM}
# Gates that keep a state when they are near 1 (here 1) or near 0 (-1).
KEEPING: Final[dict[str, dict[str, int]]] = {"GRU": {"z": 1}, "LSTM": {"f": 1, "i": -1}}
CLIP: Final = 1.0  # largest norm of the gradient
WARM_UP: Final = 0.05  # share of the steps in which the learning rate rises


class Reader(nn.Module):
    """Embedding, one recurrent layer, and a linear layer on the last hidden state."""

    def __init__(self, cell: Cell, words: int, answers: int, hidden: int = 32, remember: float = 1.0) -> None:
        """Draw the weights.

        Args:
            remember: for how many words gates begin by keeping a state: the logarithm of this number is their
                bias. Tallec, Ollivier, arXiv:1804.11188.
        """
        super().__init__()
        self.embedding = nn.Embedding(words, 16)
        self.layer = Recurrent(cell, 16, hidden)
        self.answer = nn.Linear(hidden, answers)
        for gate, sign in KEEPING.get(cell.name, {}).items():
            rows = slice(cell.gates.index(gate) * hidden, (cell.gates.index(gate) + 1) * hidden)
            nn.init.constant_(self.layer.get_parameter("bias_ih_l0")[rows], sign * math.log(remember))
            nn.init.zeros_(self.layer.get_parameter("bias_hh_l0")[rows])

    def forward(self, words: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, K) for words (T, B); of each sentence, the first `lengths` (B,) are read."""
        output, _ = self.layer(self.embedding(words), lengths=lengths)
        last = output[-1] if lengths is None else output[lengths - 1, torch.arange(words.shape[1])]
        logits: Tensor = self.answer(last)
        return logits


def learn(
    model: nn.Module,
    batch: Callable[[], tuple[tuple[Tensor, ...], Tensor]],
    steps: int,
    learning_rate: float = 3e-3,
) -> None:
    """Train a model by backpropagation through time: cross-entropy, AdamW, one cycle of the learning rate.

    Args:
        batch: draws the arguments of a step and the right answers (B,).
    """
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, steps, pct_start=WARM_UP)
    for _ in range(steps):
        arguments, answers = batch()
        loss = F.cross_entropy(model(*arguments), answers)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        cycle.step()
    model.eval()
