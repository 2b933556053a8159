"""Scores of a language model beside an n-gram's: perplexity, bits, next words, keystrokes saved.

N tokens, V in the vocabulary.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.text.tokenizers import RESERVED, UNKNOWN
from elman.data.text.vocabulary import AnyVocabulary, Vocabulary
from elman.errors import counted
from elman.lazy import Lazy
from elman.tasks.evaluation import MAX_TABLE_ROWS, Evaluation, Metric, Scores, perplexity
from elman.tasks.generate.baseline import NGram
from elman.tasks.generate.cache import Blend, distributions
from elman.tasks.generate.network import LanguageNet

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

Ids = NDArray[Any]
Array = NDArray[np.float64]
# First tokens of a text whose distributions are ranked, for `top1`, `top3` and keystrokes.
MAX_RANKED_TOKENS: Final = 20_000
CHUNK_NUMBERS: Final = 2_000_000
SUGGESTIONS: Final = 3
MIN_SCORED_TOKENS: Final = 100  # below which a note says that they are few
# Tokens that the table shows before each, by what a token is.
SHOWN_TOKENS: Final = {"character": 32, "word": 8, "space": 8, "subword": 12}


@dataclass(frozen=True, kw_only=True, repr=False)
class LanguageEvaluation(Evaluation):
    """How well a language model and an n-gram predict a text.

    `nats` per token, `perplexity`, `bits` per character, `top1` and `top3`: shares of tokens that were the
    likeliest and among the three likeliest; `saved`: the share of a word's keystrokes saved by three
    suggestions, None if tokens are not words.
    """

    tokens: int
    characters: int
    kind: str  # what a token is

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "LanguageEvaluation":
        values = dict(value)
        if "baselines" not in values:
            order, scores = values.pop("order"), values.pop("baseline")
            values["baselines"] = {} if scores is None else {f"{order}-gram": scores}
        return super().from_dict(values)

    def metrics(self) -> dict[str, Metric]:
        return {
            "nats": Metric("nats per token"),
            "perplexity": Metric("perplexity"),
            "bits": Metric("bits per character"),
            "top1": Metric("next in the first 1"),
            "top3": Metric("next in the first 3"),
            "saved": Metric("keystrokes saved"),
        }

    def facts(self) -> list[str]:
        return [f"{counted(self.tokens, 'token')} ({self.kind}), {counted(self.characters, 'character')}"]

    def worst(self) -> "pl.DataFrame":
        return self.frame().sort("nats", descending=True, maintain_order=True)


@torch.no_grad()
def evaluate(
    network: LanguageNet,
    baseline: NGram | None,
    ids: Ids,
    characters: int,
    vocabulary: AnyVocabulary,
    notes: tuple[str, ...] = (),
    blend: Blend | None = None,
) -> LanguageEvaluation:
    """Score every token but the first, given all tokens before it; with the cache unless `blend` is None."""
    keystrokes, each = Keystrokes(vocabulary), array("d")

    def chunks() -> Iterator[tuple[Array, Ids]]:
        for log_probs, targets in distributions(network, ids, blend):
            if (room := MAX_TABLE_ROWS - len(each)) > 0:
                each.extend(-log_probs.gather(1, targets[:, None])[:room, 0].double().cpu().numpy())
            yield log_probs.double().cpu().numpy(), targets.cpu().numpy()

    scores = token_scores(chunks(), len(ids) - 1, characters, keystrokes)
    if unknown := int((np.asarray(ids[1:]) == UNKNOWN).sum()):
        share = unknown / (len(ids) - 1)
        notes += (f"{share:.1%} of the tokens are unknown words, which are easier to predict than to write",)
    if len(ids) - 1 < MIN_SCORED_TOKENS:
        count, verb = counted(len(ids) - 1, "token"), "was" if len(ids) == 2 else "were"
        notes += (f"only {count} {verb} scored, too few to rely on",)
    baselines = {}
    if baseline is not None:
        plain = ngram_scores(baseline, ids, characters, keystrokes)
        baselines[f"{baseline.order}-gram"] = plain
        if scores["nats"] >= plain["nats"]:  # type: ignore[operator]  # never None
            notes += ("the network is no better than the n-gram here: train longer, or on more text",)
    evaluation = LanguageEvaluation(
        scores=scores,
        baselines=baselines,
        notes=notes,
        tokens=len(ids) - 1,
        characters=characters,
        kind=vocabulary.kind,
    )
    return evaluation.with_table(table_of(np.asarray(ids[: len(each) + 1]), each, vocabulary))


def table_of(ids: Ids, nats: Sequence[float], vocabulary: AnyVocabulary) -> "pl.DataFrame":
    """Return a row for each token of a text (N,) but the first: its `position`, from 1; `before`, the end of
    what is before it; the `token` itself; and its `nats` (N - 1), minus its log-probability."""
    different, index = np.unique(ids, return_inverse=True)
    texts = pl.Series([vocabulary.decode([token]) for token in different.tolist()], dtype=pl.String)
    token = texts.gather(index)
    frame = pl.DataFrame({"position": np.arange(len(ids)), "token": token})
    before = [pl.col("token").shift(k, fill_value="") for k in range(SHOWN_TOKENS[vocabulary.kind], 0, -1)]
    rows = frame.select("position", pl.concat_str(before).alias("before"), "token")[1:]
    return rows.with_columns(nats=np.asarray(nats))


def ngram_scores(model: NGram, ids: Ids, characters: int, keystrokes: "Keystrokes") -> Scores:
    """Score an n-gram on a text (N,)."""
    count = min(len(ids) - 1, MAX_RANKED_TOKENS)
    before = model.order - 1
    padded = np.concatenate([np.repeat(ids[:1], before), ids[: count + 1]]).astype(np.int64)
    contexts = np.zeros((count, 0), np.int64)
    if before:
        contexts = np.lib.stride_tricks.sliding_window_view(padded, before)[1 : count + 1]
    step = max(1, CHUNK_NUMBERS // model.words)

    def chunks() -> Iterator[tuple[Array, Ids]]:
        for begin in range(0, count, step):
            end = min(begin + step, count)
            with np.errstate(divide="ignore"):
                yield np.log(model.distribution(contexts[begin:end])), ids[1 + begin : 1 + end]

    return token_scores(chunks(), len(ids) - 1, characters, keystrokes, ngram_nats(model, ids))


def ngram_nats(model: NGram, ids: Ids) -> float:
    """Return nats per token, in chunks that overlap by the n-gram's context."""
    total = 0.0
    for begin in range(1, len(ids), CHUNK_NUMBERS):
        back = min(begin, model.order - 1)
        total -= float(model.log_probs(ids[begin - back : begin + CHUNK_NUMBERS])[back:].sum())
    return total / (len(ids) - 1)


def token_scores(
    chunks: Iterator[tuple[Array, Ids]],
    tokens: int,
    characters: int,
    keystrokes: "Keystrokes",
    nats: float | None = None,
) -> Scores:
    """Score log-probabilities (n, V) and targets (n), given in chunks. `nats` per token, if known, is taken
    in place of the chunks' own."""
    total, ranked, first, third, pressed, all_keys = 0.0, 0, 0, 0, 0, 0
    for log_probs, targets in chunks:
        of_targets = log_probs[np.arange(len(targets)), targets.astype(np.int64)]
        total -= of_targets.sum()
        if ranked < MAX_RANKED_TOKENS:
            better = (log_probs > of_targets[:, None]).sum(1)
            first, third = first + int((better < 1).sum()), third + int((better < 3).sum())
            with_suggestions, without = keystrokes.count(log_probs, targets)
            pressed, all_keys = pressed + with_suggestions, all_keys + without
            ranked += len(targets)
    mean = total / tokens if nats is None else nats
    return {
        "nats": mean,
        "perplexity": perplexity(mean),
        "bits": mean * tokens / max(characters, 1) / math.log(2),
        "top1": first / max(ranked, 1),
        "top3": third / max(ranked, 1),
        "saved": 1 - pressed / all_keys if all_keys else None,
    }


class Keystrokes:
    """Counts the keys that words cost if the likeliest words with the typed prefix are suggested: letters
    until the word is among them, and one key to choose it; at most the word and the space after it."""

    def __init__(self, vocabulary: AnyVocabulary) -> None:
        self._words: list[str] = []
        if isinstance(vocabulary, Vocabulary) and vocabulary.kind in ("word", "space"):
            self._words = [token.strip() for token in vocabulary.tokens]
        order = np.array(sorted(range(len(self._words)), key=self._words.__getitem__), np.int64)
        self._sorted = [self._words[k] for k in order]
        self._ids = order + RESERVED
        self._rank = np.argsort(order)

    def count(self, log_probs: Array, targets: Ids) -> tuple[int, int]:
        """Return the keys pressed for targets (n) given log-probabilities (n, V), and the keys without
        suggestions; (0, 0) if tokens are not words."""
        pressed = total = 0
        if not self._words:
            return 0, 0
        for row, token in zip(log_probs[:, self._ids], targets.tolist(), strict=True):
            word = self._words[token - RESERVED] if token >= RESERVED else ""
            if word and word[0].isalpha():
                pressed += self._keys(row, word, row[self._rank[token - RESERVED]])
                total += len(word) + 1
        return pressed, total

    def _keys(self, row: Array, word: str, log_prob: float) -> int:
        for length in range(len(word)):
            low = bisect_left(self._sorted, word[:length])
            high = bisect_left(self._sorted, word[:length] + "\U0010ffff")
            if int((row[low:high] > log_prob).sum()) < SUGGESTIONS:
                return length + 1
        return len(word) + 1
