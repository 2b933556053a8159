"""A small task that asks for memory, and a network for it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import elman

SYMBOLS = 4


class Reader(nn.Module):
    """(T, B, I) → logits (B, 4), read off the last output."""

    def __init__(self, cell: str = "lstm", units: int = 16, seed: int = 0, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.inner, self.head = elman.Recurrent(cell, SYMBOLS, units, **options), nn.Linear(units, SYMBOLS)

    def forward(self, x: Tensor, lengths: Tensor | None = None, reset: Tensor | None = None) -> Tensor:
        output, state = self.inner(x, lengths=lengths, reset=reset)
        last = state[0] if isinstance(state, tuple) else state
        logits: Tensor = self.head(last[0] if lengths is not None else output[-1])
        return logits


def questions(gap: int, count: int = 32, seed: int = 1, scale: float = 0.3) -> tuple[Tensor, Tensor]:
    """Return sequences (gap + 1, count, 4) of noise that begin with a symbol, and the symbols."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(SYMBOLS, (count,), generator=generator)
    x = scale * torch.randn(gap + 1, count, SYMBOLS, generator=generator)
    x[0] = F.one_hot(symbols, SYMBOLS)
    return x, symbols


def answer(logits: Tensor) -> Tensor:
    """The loss that the lens follows: what speaks for one answer and against another."""
    return (logits[:, 0] - logits[:, 1]).sum()


def after_training(
    model: Any, gap: int, steps: int = 100, scale: float = 1.0, learning_rate: float = 0.01
) -> float:
    """Train a model to recall the symbol; return the loss on other questions."""
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    for step in range(steps):
        x, symbols = questions(gap, seed=step + 10)
        loss = F.cross_entropy(model(scale * x), symbols)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    x, symbols = questions(gap, 256, seed=5)
    with torch.no_grad():
        return float(F.cross_entropy(model(scale * x), symbols))
