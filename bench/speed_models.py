"""Whole models, a training step at a time, as a program takes it: embedding, layers, loss, gradients, AdamW.

Both sides have the same modules but for the recurrent layers, elman's or torch.nn's, the same weights and the
same batches.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import elman
from speed_timing import Pairing, Side, compare

VOCABULARY: Final = 10_000


class Sizes(NamedTuple):
    """T steps, B sequences, I inputs, H units."""

    steps: int
    batch: int
    inputs: int
    hidden: int


class LanguageModel(nn.Module):
    """Words → the next word: two layers of LSTM."""

    sizes = Sizes(35, 20, 200, 200)

    def __init__(self, layers: Any, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, sizes.inputs)
        self.layers = layers.LSTM(sizes.inputs, sizes.hidden, 2)
        self.head = nn.Linear(sizes.hidden, VOCABULARY)

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        words, following = batch
        output, _ = self.layers(self.embedding(words))
        return F.cross_entropy(self.head(output).flatten(0, 1), following.flatten())

    @staticmethod
    def batch(sizes: Sizes) -> tuple[Tensor, ...]:
        words = torch.randint(VOCABULARY, (sizes.steps + 1, sizes.batch))
        return words[:-1], words[1:]


class Classifier(nn.Module):
    """Texts of many lengths → a label: an LSTM in both directions, the mean of its outputs."""

    sizes = Sizes(100, 32, 128, 128)

    def __init__(self, layers: Any, sizes: Sizes) -> None:
        super().__init__()
        self.is_torchs = layers is nn
        self.embedding = nn.Embedding(VOCABULARY, sizes.inputs)
        self.layers = layers.LSTM(sizes.inputs, sizes.hidden, bidirectional=True)
        self.head = nn.Linear(2 * sizes.hidden, 2)

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        words, lengths, labels = batch
        x = self.embedding(words)
        if self.is_torchs:
            packed, _ = self.layers(pack_padded_sequence(x, lengths, enforce_sorted=False))
            output, _ = pad_packed_sequence(packed)
        else:
            output, _ = self.layers(x, lengths=lengths)
        return F.cross_entropy(self.head(output.sum(0) / lengths.unsqueeze(1)), labels)

    @staticmethod
    def batch(sizes: Sizes) -> tuple[Tensor, ...]:
        words = torch.randint(VOCABULARY, (sizes.steps, sizes.batch))
        lengths = torch.randint(1, sizes.steps + 1, (sizes.batch,))
        lengths[0] = sizes.steps  # so that padded outputs have the same shape
        return words, lengths, torch.randint(2, (sizes.batch,))


class Forecaster(nn.Module):
    """A week of hours, 8 numbers each → the next day: a GRU."""

    sizes = Sizes(168, 64, 8, 64)

    def __init__(self, layers: Any, sizes: Sizes) -> None:
        super().__init__()
        self.layers = layers.GRU(sizes.inputs, sizes.hidden)
        self.head = nn.Linear(sizes.hidden, 24)

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        history, following = batch
        output, _ = self.layers(history)
        return F.l1_loss(self.head(output[-1]), following)

    @staticmethod
    def batch(sizes: Sizes) -> tuple[Tensor, ...]:
        return torch.randn(sizes.steps, sizes.batch, sizes.inputs), torch.randn(sizes.batch, 24)


MODELS: Final = {"language model": LanguageModel, "classifier": Classifier, "forecaster": Forecaster}


def models(seconds: float, sizes: Sizes | None = None) -> Iterator[tuple[str, Sizes, dict[str, Pairing]]]:
    """Yield name, sizes and the comparison with torch.nn of each model; of other `sizes` in tests."""
    for name, model in MODELS.items():
        own = sizes or model.sizes
        ours, theirs = _steps(model, own)
        with torch.enable_grad():
            yield name, own, {"torch.nn": compare(Side("elman", ours), Side("torch.nn", theirs), seconds)}


def _steps(model: Any, sizes: Sizes) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a training step of the model with elman's layers, and one with torch.nn's."""
    torch.manual_seed(0)
    ours, theirs, batch = model(elman, sizes), model(nn, sizes), model.batch(sizes)
    ours.load_state_dict(theirs.state_dict())
    return _step(ours, batch), _step(theirs, batch)


def _step(model: Any, batch: tuple[Tensor, ...]) -> Callable[[], Any]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def step() -> Any:
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        return loss

    return step
