"""A linear classifier on TF-IDF n-grams of words and of characters, which ignores the order of a text."""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.tasks.classify.labels import as_answers
from elman.tasks.classify.ngrams import Array, Counts, NGrams, check_phrases, words_of
from elman.tasks.task import Parts
from elman.typed import typed


class Lists(TypedDict):
    words: tuple[str, ...]
    pieces: tuple[str, ...]


class LinearModel(nn.Module):
    """Logits that are linear in the TF-IDF values of a text's n-grams.

    An n-gram that occurs n > 0 times in a text has the value (1 + log n) · `idf`. The values of words and
    phrases are divided by their Euclidean norm, and so are those of pieces. Salton, Buckley 1988.

    Attributes:
        idf: (F,) inverse document frequencies in the training texts.
        weights: (F, K).
        bias: (K,).
        several: whether a text may have several labels.
    """

    def __init__(self, ngrams: NGrams, classes: int, several: bool = False) -> None:
        super().__init__()
        self.ngrams, self.several = ngrams, several
        self.idf = nn.Parameter(torch.zeros(len(ngrams)), requires_grad=False)
        self.weights = nn.Parameter(torch.zeros(len(ngrams), classes), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(classes), requires_grad=False)

    def forward(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Return logits (N, K) of tokenized texts."""
        logits, idf = self.bias.repeat(len(texts), 1), self.idf.numpy()
        for counts in self.ngrams.count(texts):
            values = tfidf(counts, idf, self.ngrams.first_piece)
            rows, starts = np.unique(counts.texts, return_index=True)
            if len(rows):
                logits[torch.from_numpy(rows)] += F.embedding_bag(
                    torch.from_numpy(counts.ngrams),
                    self.weights,
                    torch.from_numpy(starts),
                    mode="sum",
                    per_sample_weights=torch.from_numpy(values),
                )
        return logits

    def log_probabilities(self, texts: Sequence[str]) -> Tensor:
        """Return log-probabilities (N, K), or (N, K, 2) of several labels."""
        return self.normalized(self([words_of(text) for text in texts]))

    def familiar(self, texts: Sequence[str]) -> list[float]:
        """Return the share of each text's words and pairs of words that training has seen."""
        return [self.ngrams.share_seen(words_of(text)) for text in texts]

    def normalized(self, logits: Tensor) -> Tensor:
        """Return the log-probabilities of the answers, given logits (..., K)."""
        return as_answers(logits, self.several).log_softmax(-1)

    def files(self) -> dict[str, Any]:
        """Return the JSON that `restore` reads."""
        return {"ngrams": {"words": list(self.ngrams.words), "pieces": list(self.ngrams.pieces)}}

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that `restore` reads, beside the parameters."""
        return {"phrases": self.ngrams.phrases}

    @classmethod
    def restore(cls, parts: Parts, classes: int, several: bool = False) -> "LinearModel":
        """Return the saved model. Raises ValueError if its parts don't fit each other."""
        lists = typed(Lists, parts.files["ngrams"], "ngrams.json")
        words, pieces = lists["words"], lists["pieces"]
        phrases = parts.tensor("phrases", torch.int64, 1)
        check_phrases(phrases, len(words))
        if len(set(words)) < len(words) or len(set(pieces)) < len(pieces):
            raise ValueError("ngrams.json must hold different words and pieces")
        ngrams = NGrams(words, phrases, pieces)
        return parts.module("baseline", lambda: cls(ngrams, classes, several))


def tfidf(counts: Counts, idf: Array, first_piece: int) -> Array:
    """Return the value of each counted n-gram in its text."""
    values = (1 + np.log(counts.counts)) * idf[counts.ngrams]
    blocks = 2 * counts.texts + (counts.ngrams >= first_piece)
    norms = np.sqrt(np.bincount(blocks, values**2))[blocks]
    scaled: Array = np.divide(values, norms, where=norms > 0, out=np.zeros(len(values)))
    return scaled.astype(np.float32)
