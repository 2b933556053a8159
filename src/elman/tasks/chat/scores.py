"""Scores of a chatbot beside a plain baseline's: perplexity, variety, loops, the right reply among 20.

hits@1 of 20, the share of times that the true reply ranks first among 20, is from ConvAI2: Dinan et al., "The
second conversational intelligence challenge", 2019, arXiv:1902.00098.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from elman.errors import UsageError
from elman.tasks.chat.baseline import words

# Words said again in a row that make a turn one of a loop.
RUN: Final = 4


@dataclass(frozen=True)
class Scores:
    """Of one chatbot. What is None is not defined for it.

    Attributes:
        perplexity: per token of the true replies; of a network.
        distinct1, distinct2: see `distinct`; of the replies it makes.
        loops: see `loop_rate`; of simulated conversations.
        hits: hits@1 of 20, 0 to 1; chance is 0.05.
    """

    perplexity: float | None
    distinct1: float
    distinct2: float
    loops: float | None
    hits: float


@dataclass(frozen=True)
class Evaluation:
    """How well a chatbot replies, and how well its plain baseline does.

    Attributes:
        scores: the network's.
        baseline: those of retrieval; None if the model was saved without it.
        replies: how many were scored.
        notes: what a reader of the scores must know.
    """

    scores: Scores
    baseline: Scores | None
    replies: int
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
        names = {"perplexity": "perplexity", "distinct1": "different words", "distinct2": "different pairs"}
        names |= {"loops": "turns in a loop", "hits": "first of 20"}
        lines = [f"{'':22}{'network':>10}{'retrieval' if self.baseline else '':>10}"]
        for field in fields(Scores):
            both = (getattr(scores, field.name, None) for scores in (self.scores, self.baseline))
            cells = [" " * 10 if score is None else f"{score:10.4g}" for score in both]
            if any(cell.strip() for cell in cells):
                lines.append(f"{names[field.name]:22}{''.join(cells)}".rstrip())
        lines += ["", f"{self.replies} replies"]
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])


def distinct(replies: Sequence[str], n: int) -> float:
    """Different runs of `n` words over all such runs, within replies; 0 where there are none.

    Li et al., "A diversity-promoting objective function for neural conversation models", 2016,
    arXiv:1510.03055, who divide by the number of words for every n: their distinct-2 is slightly smaller.
    """
    runs = [run for reply in replies for run in _runs(words(reply), n)]
    return len(set(runs)) / len(runs) if runs else 0.0


def loop_rate(conversation: Sequence[str]) -> float:
    """The share of the turns from the third on that say nothing new; 0 where there is no third.

    Such a turn has the words, in lower case and without punctuation, of any turn before it, or says some run
    of 4 words twice. The turns are those of two speakers who alternate, whatever they are called.
    """
    turns = [words(turn) for turn in conversation]
    looped = [says_again(turn, turns[:place]) for place, turn in enumerate(turns) if place > 1]
    return sum(looped) / len(looped) if looped else 0.0


def says_again(turn: list[str], said: Sequence[list[str]]) -> bool:
    """Whether a turn (its words) after those that were `said` would count for `loop_rate`."""
    return turn in said or _repeats(turn)


def candidates(replies: Sequence[str], count: int = 20, seed: int = 0) -> list[list[int]]:
    """For each reply the places of `count` replies to rank, its own first.

    The others are drawn from all different texts, each as likely as any, and stand for their first place. No
    two candidates have the same words; there are fewer if there are not enough. The same for every call.
    """
    texts = [" ".join(words(reply)) or reply.strip() for reply in replies]
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        first.setdefault(text, place)
    draw, different = random.Random(seed), list(first.values())
    rows = []
    for place, text in enumerate(texts):
        drawn = draw.sample(different, min(count, len(different)))
        rows.append([place, *(other for other in drawn if other != first[text])][:count])
    return rows


def hits(scores: Sequence[Sequence[float]]) -> float:
    """The share of rows (any number of candidates each) whose first score is the largest.

    k equal ones share the hit: 1/k.

    Raises:
        UsageError: there are no rows, or one is empty.
    """
    if not scores or not all(len(row) for row in scores):
        raise UsageError("hits need at least one row of scores, and at least one score in each")
    best = [max(row) for row in scores]
    shares = (top == row[0] and 1 / list(row).count(top) for row, top in zip(scores, best, strict=True))
    return sum(shares) / len(scores)


def _runs(said: list[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(said[start : start + n]) for start in range(len(said) - n + 1)]


def _repeats(said: list[str]) -> bool:
    runs = _runs(said, RUN)
    return len(set(runs)) < len(runs)
