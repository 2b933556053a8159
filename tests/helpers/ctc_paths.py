"""CTC by its definition: every path through a few frames, and what a scorer says of a whole text."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from elman.decode.scorers import Scorer

Text = tuple[int, ...]


def frames(count: int, labels: int, seed: int, sharpness: float = 2.0) -> NDArray[np.float64]:
    """Random log-probabilities (T, V)."""
    scores = sharpness * np.random.default_rng(seed).normal(size=(count, labels))
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


# T, V, a seed and the blank of frames that few enough paths lead through
small = st.tuples(st.integers(0, 6), st.integers(1, 3), st.integers(0, 999), st.integers(0, 2)).map(
    lambda drawn: (*drawn[:3], drawn[3] % drawn[1])
)


def collapsed(path: Sequence[int], blank: int) -> list[list[int]]:
    """The tokens of a path, each with its first frame and the one after its last."""
    tokens: list[list[int]] = []
    for t, label in enumerate(path):
        if label != blank and t and path[t - 1] == label:
            tokens[-1][2] = t + 1
        elif label != blank:
            tokens.append([label, t, t + 1])
    return tokens


def every_text(
    log_probs: NDArray[np.float64], blank: int
) -> dict[Text, tuple[float, float, list[list[int]]]]:
    """Text → ln p of all its paths, of the best one, and that one's tokens with times."""
    texts: dict[Text, tuple[float, float, list[list[int]]]] = {}
    rows = log_probs.tolist()
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        tokens = collapsed(path, blank)
        text = tuple(token for token, _, _ in tokens)
        score = sum(row[label] for row, label in zip(rows, path, strict=True))
        total, best, times = texts.get(text, (-math.inf, -math.inf, []))
        times, best = (tokens, score) if score > best else (times, best)
        texts[text] = float(np.logaddexp(total, score)), best, times
    return texts


def bias(scorer: Scorer, text: Sequence[int], end: bool = True) -> float:
    """What a scorer says of a text, step by step; -inf from the first forbidden token on."""
    scores, state = scorer.start()
    total = 0.0
    for token in text:
        total += float(scores[token])
        if total == -math.inf:
            return total
        rows, (state,) = scorer.step([state], [token])
        scores = rows[0]
    return total + (scorer.end(state) if end else 0.0)
