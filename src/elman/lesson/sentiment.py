"""A small network that tells good reviews from bad ones, for the lesson: "The movie was not good".

T words, B sentences.
"""

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from matplotlib.figure import Figure
from torch import Tensor

from elman.errors import UsageError
from elman.lens import View, gradient_flow
from elman.lesson.examples import reviews
from elman.lesson.networks import CELLS, Reader, learn
from elman.lesson.pictures import COLOURS, finished, panels

ANSWERS: Final = ("bad", "good")
STEPS, BATCH, HIDDEN = 400, 64, 16
REMEMBER: Final = 12  # words: about as long as the longest review
CUT: Final = 0.25  # share of the training texts that are cut off
TINY: Final = 1e-30


class Sentiment:
    """A network of one recurrent layer that reads words and answers "good" or "bad"."""

    def __init__(self, cell: str = "LSTM", seed: int = 0) -> None:
        """Draw the weights; `fit` trains them. Raises UsageError for a cell other than Elman, GRU, LSTM."""
        if cell not in CELLS:
            raise UsageError(f"the lesson has networks of {', '.join(CELLS)}, not {cell!r}")
        torch.manual_seed(seed)
        self.seed, self.name = seed, cell
        self.texts, self.labels = reviews()["text"], reviews()["label"]
        words = sorted({word for text in self.texts for word in text.split()})
        self.vocabulary = {word: k for k, word in enumerate(words)}
        self.network = Reader(CELLS[cell], len(words), len(ANSWERS), HIDDEN, REMEMBER).eval()

    def fit(self) -> "Sentiment":
        """Train on 25,600 draws from the generated reviews; return the model itself.

        A quarter of them are cut off somewhere, so that it learns where nothing is said yet.
        """
        draw = random.Random(self.seed)

        def cut(text: str) -> str:
            words = text.split()
            return " ".join(words[: draw.randint(1, len(words))]) if draw.random() < CUT else text

        def batch() -> tuple[tuple[Tensor, Tensor], Tensor]:
            rows = draw.choices(range(len(self.texts)), k=BATCH)
            labels = torch.tensor([ANSWERS.index(self.labels[k]) for k in rows])
            return self._read([cut(self.texts[k]) for k in rows]), labels

        learn(self.network, batch, STEPS, 1e-2)
        return self

    def predict(self, text: str) -> float:
        """Return the probability of "good"."""
        with torch.no_grad():
            return float(self.network(*self._read([text])).softmax(1)[0, 1])

    def running(self, text: str) -> list[tuple[str, float]]:
        """Return the probability of "good" after each word."""
        words = text.split()
        return [(word, self.predict(" ".join(words[: k + 1]))) for k, word in enumerate(words)]

    def view(self, data: str | Sequence[str]) -> View:
        """Return texts as the lens looks at them."""
        texts = [data] if isinstance(data, str) else list(data)
        words, lengths = self._read(texts)
        with torch.no_grad():
            answers = self.network(words, lengths).argmax(1)

        def score(logits: Tensor) -> Tensor:
            log_odds = logits[:, 1] - logits[:, 0]
            return torch.where(answers == 1, log_odds, -log_odds)

        return View(
            self.network,
            (words, lengths),
            score,
            scored="log-odds of the answer",
            answers=tuple(ANSWERS[int(k)] for k in answers),
            labels={"layer": tuple(tuple(text.split()) for text in texts)},
            unit="words",
            cut=lambda steps: (words[:steps], lengths.clamp(max=steps)),
        )

    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return word ids (T, B) and lengths (B,)."""
        rows = [text.split() for text in texts]
        for word in (word for row in rows for word in row if word not in self.vocabulary):
            raise UsageError(f"the lesson's network has never read the word {word!r}")
        if not all(rows):
            raise UsageError("there is no word to read")
        lengths = torch.tensor([len(row) for row in rows])
        words = torch.zeros(int(lengths.max()), len(rows), dtype=torch.long)
        for k, row in enumerate(rows):
            words[: len(row), k] = torch.tensor([self.vocabulary[word] for word in row])
        return words, lengths


@functools.cache
def trained(cell: str = "LSTM") -> Sentiment:
    """Return a trained network of "Elman", "GRU" or "LSTM"; trained once in a process."""
    return Sentiment(cell).fit()


@dataclass(frozen=True)
class Reaching:
    """How much of the gradient of an answer reaches each word of a sentence.

    Attributes:
        words: of the sentence.
        shares: by cell, the norm of the gradient for the state after each word, over that for the last.
    """

    words: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {"words": list(self.words), **{name: list(each) for name, each in self.shares.items()}}

    def __str__(self) -> str:
        """Return a line for each cell."""
        first, last = self.words[0], self.words[-1]
        return "\n".join(
            f"{name:5} {each[0]:.1e} of the gradient at {last!r} reaches {first!r}"
            for name, each in self.shares.items()
        )

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the shares over the words, as .png or .svg if there is a path."""
        figure, (axis,) = panels(1)
        for name, each in self.shares.items():
            axis.semilogy([max(share, TINY) for share in each], color=COLOURS[name], marker="o", markersize=3)
        axis.set_xticks(range(len(self.words)), self.words, rotation=60, ha="right")
        axis.set_ylabel("gradient / that at the last word")
        axis.legend(axis.get_lines(), list(self.shares), frameon=False, fontsize="small")
        return finished(figure, path)


def reaching(text: str, train: bool) -> Reaching:
    """Return how far back the answer's gradient reaches in networks of each cell, trained or as drawn."""
    shares = {}
    for cell in CELLS:
        norms = gradient_flow(trained(cell) if train else Sentiment(cell), text).layers[0].norms
        whole = torch.stack([norm[:, 0].double() for norm in norms.values()]).square().sum(0).sqrt()
        shares[cell] = tuple((whole / whole[-1]).tolist())
    return Reaching(tuple(text.split()), shares)
