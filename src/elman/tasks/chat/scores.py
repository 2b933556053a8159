"""Scores of a chatbot beside retrieval's: perplexity, variety, loops, the right reply among 20.

hits@1 of 20, how often the true reply ranks first among 20, is from ConvAI2: Dinan et al., "The second
conversational intelligence challenge", 2019, arXiv:1902.00098.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from elman.errors import UsageError, counted
from elman.lazy import Lazy
from elman.tasks.chat.baseline import words
from elman.tasks.evaluation import Evaluation, Metric

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

RETRIEVAL: Final = "retrieval"
RUN_WORDS: Final = 4  # a turn that contains a run of this length twice is part of a loop


@dataclass(frozen=True, kw_only=True, repr=False)
class ChatEvaluation(Evaluation):
    """How well a chatbot and retrieval reply.

    `perplexity` per token of the true replies, of a network only; `distinct1` and `distinct2`: see
    `distinct`; `loops`: see `loop_rate`, of simulated conversations; `hits`: hits@1 of 20, 0 to 1, where
    chance is 0.05; of a chatbot with a ranker also `language_hits` and `encoder_hits`, those of its language
    model and of its dual encoder alone, and `retrieved`, the share of its replies that are training replies.
    """

    SAVED_BASELINES: ClassVar = {"baseline": RETRIEVAL}

    replies: int  # scored

    def metrics(self) -> dict[str, Metric]:
        return {
            "perplexity": Metric("perplexity"),
            "distinct1": Metric("different words"),
            "distinct2": Metric("different pairs"),
            "loops": Metric("turns in a loop"),
            "hits": Metric("first of 20"),
            "language_hits": Metric("by language model"),
            "encoder_hits": Metric("by dual encoder"),
            "retrieved": Metric("training replies"),
        }

    def facts(self) -> list[str]:
        return [counted(self.replies, "reply", "replies")]

    def worst(self) -> "pl.DataFrame":
        return self.frame().sort("rank", descending=True, maintain_order=True)


def distinct(replies: Sequence[str], n: int) -> float:
    """Return the share of different ones among the runs of `n` words within replies; 0 if there are no runs.

    Li et al., "A diversity-promoting objective function for neural conversation models", 2016,
    arXiv:1510.03055, who divide by the number of words for every n: their distinct-2 is slightly smaller.
    """
    runs = [run for reply in replies for run in _runs(words(reply), n)]
    return len(set(runs)) / len(runs) if runs else 0.0


def loop_rate(conversation: Sequence[str]) -> float:
    """Return the share of turns from the third on that say nothing new; 0 if there is no third.

    Such a turn has the words, in lower case and without punctuation, of any turn before it, or contains a run
    of 4 words twice. The turns are those of two speakers who alternate.
    """
    turns = [words(turn) for turn in conversation]
    looped = [says_again(turn, turns[:k]) for k, turn in enumerate(turns) if k > 1]
    return sum(looped) / len(looped) if looped else 0.0


def says_again(turn: list[str], earlier: Sequence[list[str]]) -> bool:
    """Return whether a turn (its words) says nothing new after the `earlier` ones, as in `loop_rate`."""
    runs = _runs(turn, RUN_WORDS)
    return turn in earlier or len(set(runs)) < len(runs)


def candidates(replies: Sequence[str], count: int = 20, seed: int = 0) -> list[list[int]]:
    """Return, for each reply, the indices of `count` replies to rank, its own first.

    The others are sampled from all different texts, each with the same probability; a text's index is that of
    its first occurrence. No two candidates have the same words; there are fewer if there are not enough.
    Deterministic.
    """
    texts = [" ".join(words(reply)) or reply.strip() for reply in replies]
    first: dict[str, int] = {}
    for k, text in enumerate(texts):
        first.setdefault(text, k)
    draw, different = random.Random(seed), list(first.values())
    rows = []
    for k, text in enumerate(texts):
        sampled = draw.sample(different, min(count, len(different)))
        rows.append([k, *(other for other in sampled if other != first[text])][:count])
    return rows


def hits(scores: Sequence[Sequence[float]]) -> float:
    """Return the share of rows (any number of candidates each) whose first score is the largest; a tie of k
    counts 1/k. Raises UsageError if there are no rows, or one is empty."""
    if not scores or not all(len(row) for row in scores):
        raise UsageError("hits need at least one row of scores, and at least one score in each")
    best = [max(row) for row in scores]
    shares = (top == row[0] and 1 / list(row).count(top) for row, top in zip(scores, best, strict=True))
    return sum(shares) / len(scores)


def _runs(turn: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(turn[start : start + n]) for start in range(len(turn) - n + 1)]
