"""Scores of a language model beside an n-gram's: perplexity, bits, hits of the next word, keystrokes saved.

N tokens, V in the vocabulary.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.text.vocabulary import RESERVED, UNKNOWN
from elman.tasks.generate.baseline import NGram
from elman.tasks.generate.cache import Blend, distributions
from elman.tasks.generate.network import Writer

Ids = NDArray[Any]
# Tokens whose whole distributions are looked at for hits and keystrokes: the first ones of the text.
LOOKED_AT: Final = 20_000
AT_ONCE: Final = 2_000_000  # probabilities


@dataclass(frozen=True)
class Scores:
    """Of one model on one text. `saved` is None where tokens are not words."""

    nats: float  # a token
    perplexity: float
    bits: float  # a character
    top1: float  # share of tokens that were the likeliest
    top3: float
    saved: float | None  # share of a word's keystrokes that choosing among three suggestions saves


@dataclass(frozen=True)
class Evaluation:
    """How well a language model foretells a text, and how well its plain baseline does.

    Attributes:
        scores: the network's.
        baseline: the n-gram's; None if the model was saved without one.
        order: the n-gram's.
        tokens, characters: of the text; `kind` says what a token is.
        notes: what a reader of the scores must know.
    """

    scores: Scores
    baseline: Scores | None
    order: int
    tokens: int
    characters: int
    kind: str
    notes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Evaluation":
        """The evaluation whose `to_dict` gave `value`."""
        plain = value["baseline"]
        parts = {"scores": Scores(**value["scores"]), "baseline": None if plain is None else Scores(**plain)}
        return cls(**value | parts | {"notes": tuple(value["notes"])})

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self) | {"notes": list(self.notes)}

    def __str__(self) -> str:
        names = {"nats": "nats per token", "perplexity": "perplexity", "bits": "bits per character"}
        names |= {"top1": "next in the first 1", "top3": "next in the first 3", "saved": "keystrokes saved"}
        plain = f"{self.order}-gram" if self.baseline else ""
        lines = [f"{'':22}{'network':>10}{plain:>10}"]
        for field in fields(Scores):
            ours, theirs = getattr(self.scores, field.name), getattr(self.baseline, field.name, None)
            if ours is not None:
                lines.append(
                    f"{names[field.name]:22}{ours:10.4g}" + (f"{theirs:10.4g}" if theirs is not None else "")
                )
        lines += ["", f"{self.tokens} tokens ({self.kind}), {self.characters} characters"]
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])


@torch.no_grad()
def evaluate(
    network: Writer,
    baseline: NGram | None,
    ids: Ids,
    characters: int,
    vocabulary: Any,
    notes: tuple[str, ...] = (),
    blend: Blend | None = None,
) -> Evaluation:
    """Every token but the first, foretold from all before it."""
    prefixes = Prefixes(vocabulary)
    pieces = (
        (logs.double().cpu().numpy(), wanted.cpu().numpy())
        for logs, wanted in distributions(network, ids, blend)
    )
    ours = _scores(pieces, len(ids) - 1, characters, prefixes)
    if unknown := int((np.asarray(ids[1:]) == UNKNOWN).sum()):
        share = unknown / (len(ids) - 1)
        notes += (f"{share:.1%} of the tokens are unknown words, which are easier to foretell than to write",)
    plain = None if baseline is None else _of_ngram(baseline, ids, characters, prefixes)
    if plain is not None and ours.nats >= plain.nats:
        notes += ("the network is no better than the n-gram here: train longer, or on more text",)
    order = 0 if baseline is None else baseline.order
    return Evaluation(ours, plain, order, len(ids) - 1, characters, vocabulary.kind, notes)


def _of_ngram(model: NGram, ids: Ids, characters: int, prefixes: "Prefixes") -> Scores:
    nats = _ngram_nats(model, ids)
    count = min(len(ids) - 1, LOOKED_AT)
    before = model.order - 1
    padded = np.concatenate([np.repeat(ids[:1], before), ids[: count + 1]]).astype(np.int64)
    contexts = np.lib.stride_tricks.sliding_window_view(padded, before)[1 : count + 1] if before else None
    step = max(1, AT_ONCE // model.words)

    def pieces() -> Iterator[tuple[NDArray[np.float64], Ids]]:
        for begin in range(0, count, step):
            end = min(begin + step, count)
            given = np.zeros((end - begin, 0), np.int64) if contexts is None else contexts[begin:end]
            with np.errstate(divide="ignore"):
                yield np.log(model.distribution(given)), ids[1 + begin : 1 + end]

    return _scores(pieces(), len(ids) - 1, characters, prefixes, nats)


def _ngram_nats(model: NGram, ids: Ids) -> float:
    """Nats a token, in pieces that overlap by what an n-gram looks back."""
    total = 0.0
    for begin in range(1, len(ids), AT_ONCE):
        back = min(begin, model.order - 1)
        total -= float(model.log_probs(ids[begin - back : begin + AT_ONCE])[back:].sum())
    return total / (len(ids) - 1)


def _scores(
    pieces: Iterator[tuple[NDArray[np.float64], Ids]],
    tokens: int,
    characters: int,
    prefixes: "Prefixes",
    nats: float | None = None,
) -> Scores:
    """From log probabilities (n, V) and the tokens that came (n), piece by piece."""
    total, seen, first, third, typed, letters = 0.0, 0, 0, 0, 0, 0
    for logs, wanted in pieces:
        own = logs[np.arange(len(wanted)), wanted.astype(np.int64)]
        total -= own.sum()
        if seen < LOOKED_AT:
            better = (logs > own[:, None]).sum(1)
            first, third = first + int((better < 1).sum()), third + int((better < 3).sum())
            keys, all_keys = prefixes.typed(logs, wanted)
            typed, letters = typed + keys, letters + all_keys
            seen += len(wanted)
    mean = total / tokens if nats is None else nats
    saved = 1 - typed / letters if letters else None
    bits = mean * tokens / max(characters, 1) / math.log(2)
    return Scores(mean, math.exp(min(mean, 700)), bits, first / max(seen, 1), third / max(seen, 1), saved)


class Prefixes:
    """How many keys a word costs where three suggestions that begin like what is typed are on offer: so many
    letters until it is among them, and one key to take it; at most the word and the blank after it."""

    def __init__(self, vocabulary: Any) -> None:
        self.words = [w.strip() for w in getattr(vocabulary, "tokens", ())] if _of_words(vocabulary) else []
        order = np.array(sorted(range(len(self.words)), key=self.words.__getitem__), np.int64)
        self.sorted = [self.words[k] for k in order]
        self.ids = order + RESERVED
        self.place = np.argsort(order)

    def typed(self, logs: NDArray[np.float64], wanted: Ids) -> tuple[int, int]:
        """Keys pressed for the words that came, and keys without suggestions."""
        pressed = total = 0
        if not self.words:
            return 0, 0
        for row, token in zip(logs[:, self.ids], wanted.tolist(), strict=True):
            word = self.words[token - RESERVED] if token >= RESERVED else ""
            if word and word[0].isalpha():
                pressed += self._keys(row, word, row[self.place[token - RESERVED]])
                total += len(word) + 1
        return pressed, total

    def _keys(self, row: NDArray[np.float64], word: str, own: float) -> int:
        for length in range(len(word)):
            low = bisect_left(self.sorted, word[:length])
            high = bisect_left(self.sorted, word[:length] + "\U0010ffff")
            if int((row[low:high] > own).sum()) < 3:
                return length + 1
        return len(word) + 1


def _of_words(vocabulary: Any) -> bool:
    return vocabulary.kind in ("word", "space")
