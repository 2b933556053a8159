"""Elman, GRU and LSTM on the *not … good* problem, and how far their gradients reach back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.cells import GRU, LSTM, Cell, Elman
from elman.demo.sentences import BLOCK, WORDS, bag_ceiling, sentences, written
from elman.nn.recurrent import Recurrent
from elman.training.loop import Run
from elman.training.plan import Plan
from elman.training.problem import device_of
from elman.training.progress import watch

CELLS: Final[dict[str, Cell]] = {"Elman": Elman, "GRU": GRU, "LSTM": LSTM}
BAG: Final = "bag of words"
# The LSTM's initial forget gate is then 0.98, which halves a memory in 38 words; biases that suit the length
# to be remembered: Tallec, Ollivier, arXiv:1804.11188. With a bias of 1 it learns nothing in this budget.
FORGET_BIAS: Final = 4.0


@dataclass(frozen=True)
class Budget:
    """How much every network is trained and tested."""

    max_gap: int = 80  # words
    hidden: int = 32
    epochs: int = 6
    steps: int = 40  # per epoch
    blocks: int = 8  # of sentences, per batch
    test_blocks: int = 20  # per gap
    learning_rate: float = 3e-3
    seed: int = 0
    seeds: int = 2  # trainings of each network

    @property
    def gaps(self) -> list[int]:
        """The gaps that are tested."""
        return list(range(0, self.max_gap + 1, 10))


class RecurrentNet(nn.Module):
    """Embedding, one recurrent layer, and an output unit on the last hidden state."""

    def __init__(self, cell: Cell, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(WORDS), hidden // 2)
        forget_bias = FORGET_BIAS if "f" in cell.gates else None
        self.layer = Recurrent(cell, hidden // 2, hidden, forget_bias=forget_bias)
        self.answer = nn.Linear(hidden, 1)

    def forward(self, words: Tensor) -> Tensor:
        """Return the logits (B,) of "the movie was good" for words (T, B)."""
        output, _ = self.layer(self.embedding(words))
        logits: Tensor = self.answer(output[-1])
        return logits.squeeze(-1)


class BagOfWords(nn.Module):
    """A feed-forward network on the word counts, which hold no order."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(len(WORDS), hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, words: Tensor) -> Tensor:
        """Return the logits (B,) for words (T, B)."""
        logits: Tensor = self.layers(F.one_hot(words, len(WORDS)).sum(0).float())
        return logits.squeeze(-1)


class _Sentences:
    """The training problem: new sentences in every batch, all with the same gap."""

    score, maximize = "accuracy", True

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.held_out = held_out(budget, budget.seed + 1)

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[range]:
        """Return the batches as ranges of sentence numbers; the first number of a batch is its seed."""
        size = BLOCK * self.budget.blocks
        first = epoch * self.budget.steps * size
        return [range(first + i * size, first + (i + 1) * size) for i in range(self.budget.steps)]

    def loss(self, model: nn.Module, batch: range, state: None) -> tuple[Tensor, float, None]:
        generator = torch.Generator().manual_seed(self.budget.seed * 1_000_003 + batch.start)
        gap = int(torch.randint(self.budget.max_gap + 1, (1,), generator=generator))
        words, good = (t.to(device_of(model)) for t in sentences(gap, self.budget.blocks, generator))
        loss = F.binary_cross_entropy_with_logits(model(words), good.float(), reduction="sum")
        return loss, float(len(good)), None

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        scores = accuracies(model, self.held_out)
        return {"accuracy": sum(scores) / len(scores)}


def held_out(budget: Budget, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Return sentences and answers at each gap of the budget."""
    generator = torch.Generator().manual_seed(seed)
    return [sentences(gap, budget.test_blocks, generator) for gap in budget.gaps]


def accuracies(model: nn.Module, sets: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
    """Return the accuracy on each set."""
    with torch.no_grad():
        return [((model(words) > 0) == good).float().mean().item() for words, good in sets]


def train(model: nn.Module, budget: Budget, title: str, progress: bool) -> None:
    """Train a network on the budget's sentences."""
    plan = Plan(
        epochs=budget.epochs,
        batch_size=BLOCK * budget.blocks,
        learning_rate=budget.learning_rate,
        patience=budget.epochs,
        seed=budget.seed,
        device="cpu",
    )
    watch(Run(model, _Sentences(budget), plan), progress, title)
    model.eval()


def gradient_back(model: RecurrentNet, words: Tensor) -> list[float]:
    """Return how much of the gradient reaches back: entry d is the norm of d answer / d state, d words before
    the end, relative to the norm at the end; mean over the sentences (T, B).

    The state is everything a cell hands on: h, and c for an LSTM. The loss depends on it through the answer
    alone, so its gradient vanishes alike.
    """
    states: list[tuple[Tensor, ...]] = []
    state: Any = None
    for x in model.embedding(words):
        _, state = model.layer.step(x, state)
        states.append(state if isinstance(state, tuple) else (state,))
    answer = model.answer(states[-1][0][-1]).sum()
    every = [part for parts in states for part in parts]
    flat = torch.autograd.grad(answer, every, materialize_grads=True)
    width = len(states[0])
    gradients = [torch.cat(flat[i : i + width], -1) for i in range(0, len(flat), width)]
    norms = torch.stack([g.double().norm(dim=-1).flatten() for g in gradients])
    shares: list[float] = (norms / norms[-1]).mean(1).flip(0).tolist()
    return shares


def compare(budget: Budget, progress: bool) -> dict[str, Any]:
    """Train the three cells and the bag of words from several seeds; return everything the report shows of
    them. Accuracies are means over the seeds; gradients are those of the first."""
    networks: dict[str, Any] = {}
    for name in (*CELLS, BAG):
        trainings = [
            _trained(name, replace(budget, seed=budget.seed + k), progress) for k in range(budget.seeds)
        ]
        by_gap = [list(each) for each in zip(*(one["accuracy"] for one in trainings), strict=True)]
        networks[name] = trainings[0] | {
            "accuracy": dict(zip(map(str, budget.gaps), map(mean, by_gap), strict=True)),
            "lowest": dict(zip(map(str, budget.gaps), map(min, by_gap), strict=True)),
            "highest": dict(zip(map(str, budget.gaps), map(max, by_gap), strict=True)),
            "mean": mean(map(mean, by_gap)),
        }
    return {
        "networks": networks,
        "ceiling": bag_ceiling(),
        "chance": 0.5,
        "seeds": budget.seeds,
        "trained_on": BLOCK * budget.blocks * budget.steps * budget.epochs,
        "tested_on": BLOCK * budget.test_blocks,
        "longest": budget.max_gap,
        "examples": [_example(gap, budget.seed) for gap in (3, 12)],
    }


def _trained(name: str, budget: Budget, progress: bool) -> dict[str, Any]:
    """Train one network; return its size, its accuracy at each gap and, of a recurrent one, its gradients."""
    test = held_out(budget, budget.seed + 2)
    torch.manual_seed(budget.seed)
    model = RecurrentNet(CELLS[name], budget.hidden) if name in CELLS else BagOfWords(budget.hidden)
    before = gradient_back(model, test[-1][0]) if isinstance(model, RecurrentNet) else []
    train(model, budget, f"{name}, seed {budget.seed}", progress)
    result: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "accuracy": accuracies(model, test),
    }
    if isinstance(model, RecurrentNet):
        result["gradient"] = {"before": before, "after": gradient_back(model, test[-1][0])}
    return result


def _example(gap: int, seed: int) -> dict[str, Any]:
    words, good = sentences(gap, 1, torch.Generator().manual_seed(seed))
    return {"text": written(words[:, gap % BLOCK]), "good": bool(good[gap % BLOCK])}
