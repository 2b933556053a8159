"""Small problems to train on: sequences to sum, and a stream to predict piece by piece."""

import random
from typing import Any

import torch
from torch import Tensor, nn

import elman
from elman.training.plan import Plan
from elman.training.problem import share


class Toy(nn.Module):
    """Two LSTM layers with dropout between them, and one output per step."""

    def __init__(self, dropout: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = elman.LSTM(1, 5, 2, dropout=dropout)
        self.head = nn.Linear(5, 1)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(T, B) → (T, B) and the state after the last step."""
        output, state = self.layers(x.unsqueeze(-1), state)
        return self.head(output).squeeze(-1), state


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Sums:
    """Full BPTT: the last output should be the sum of a sequence. 23 sequences: the last batch is smaller."""

    score = "error"
    maximize = False

    def __init__(self, plan: Plan) -> None:
        self.plan, self.x, self.held_out = plan, noise(4, 23), noise(4, 7, seed=2)

    def batches(self, epoch: int, rank: int, world: int) -> list[list[int]]:
        order = random.Random(epoch).sample(range(23), 23)
        size = self.plan.batch_size
        return share([order[i : i + size] for i in range(0, 23, size)], rank, world)

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, Any]:
        assert state is None
        return self._errors(model, self.x[:, batch]).sum(), len(batch), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert not model.training and not torch.is_grad_enabled()
        return {"error": self._errors(model, self.held_out).mean().item()}

    def _errors(self, model: nn.Module, x: Tensor) -> Tensor:
        output: Tensor = model(x)[0][-1]
        return (output - x.sum(0)) ** 2


class Stream:
    """Truncated BPTT: predict the next value of 4 series, in pieces of 5 steps and a last one of 3."""

    score = "fit"
    maximize = True

    def __init__(self) -> None:
        self.series = noise(14, 4).cumsum(0).sin()

    def batches(self, epoch: int, rank: int, world: int) -> list[Tensor]:
        """(B, steps + 1): the last value is only a target."""
        mine = self.series[:, rank::world].T
        return [mine[:, start : start + 6] for start in range(0, 13, 5)]

    def loss(self, model: nn.Module, batch: Tensor, state: Any) -> tuple[Tensor, float, Any]:
        output, state = model(batch.T[:-1], state)
        return ((output - batch.T[1:]) ** 2).sum(), batch[:, 1:].numel(), state

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {"fit": -((model(self.series[:-1])[0] - self.series[1:]) ** 2).mean().item()}
