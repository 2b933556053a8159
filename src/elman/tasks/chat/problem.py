"""The loss and validation of a chatbot's ranker: which of the replies in a batch answers which context.

In a batch of M replies each is a wrong one for the M - 1 other contexts: "in-batch negatives" as in Henderson
et al., 2017, arXiv:1705.00652.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.text.conversations import Conversation
from elman.tasks.chat.baseline import words
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.network import CONTEXT_TURNS, DualEncoder, joined
from elman.tasks.chat.scores import candidates, hits
from elman.tasks.chat.settings import Settings, ranker_plan
from elman.training.budget import Trial, epoch_seconds, seconds_left
from elman.training.plan import Plan
from elman.training.problem import share, unwrapped

VALIDATION_TURNS: Final = 1024  # encoded at once
MAX_TURNS: Final = 64  # of a conversation in a batch, whose logits are the square of its replies
MAX_VALIDATION_REPLIES: Final = 3000
RANKER_SHARE: Final = 0.4  # of the minutes, at most
RANKER_SIZES: Final = ("ranker_units", "ranker_epochs")


@dataclass(frozen=True, eq=False)
class Turns:
    """The turns of conversations, one after another. Long conversations are cut: the last turn before a cut
    is the first after it, so that every turn but a conversation's first is a reply once."""

    ids: list[list[int]]
    texts: list[str]
    conversations: list[range]  # the turns of each

    @classmethod
    def of(cls, conversations: Sequence[Conversation], codec: Codec) -> "Turns":
        texts = [turn.text for turns in conversations for turn in turns]
        ends = np.cumsum([0, *map(len, conversations)]).tolist()
        ranges = [
            range(begin, min(begin + MAX_TURNS + 1, end))
            for start, end in pairwise(ends)
            for begin in range(start, end - 1, MAX_TURNS)
        ]
        return cls([codec.words(text) for text in texts], texts, ranges)

    def replies(self, conversations: Sequence[int]) -> tuple[list[int], list[list[int]]]:
        """Return all turns with one before them, and the K turns before each, the last first, or -1."""
        places = [
            (n, turns[0]) for turns in (self.conversations[c] for c in conversations) for n in turns[1:]
        ]
        before = [
            [n - k if n - k >= first else -1 for k in range(1, CONTEXT_TURNS + 1)] for n, first in places
        ]
        return [n for n, _ in places], before


class MatchReplies:
    """Cross entropy of the true reply among those of the batch; the model that finds most of the held-out
    replies among 20 wins."""

    score, maximize = "hits", True

    def __init__(self, train: Turns, held_out: Turns, plan: Plan) -> None:
        self.train, self.held_out, self.plan = train, held_out, plan
        numbers: dict[str, int] = {}
        self._same = [numbers.setdefault(" ".join(words(text)), len(numbers)) for text in train.texts]
        replies, before = held_out.replies(range(len(held_out.conversations)))
        step = max(1, len(replies) // MAX_VALIDATION_REPLIES)
        self._replies, self._before = replies[::step], before[::step]
        self._rivals = candidates([held_out.texts[n] for n in self._replies])

    def batches(self, epoch: int, rank: int, world: int) -> list[list[int]]:
        """Return conversations with about `batch_size` replies together."""
        lengths = [len(turns) - 1 for turns in self.train.conversations]
        size = max(round(self.plan.batch_size * len(lengths) / sum(lengths)), world)
        order = np.random.default_rng((self.plan.seed, epoch)).permutation(len(lengths)).tolist()
        batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
        if len(batches) > 1 and len(batches[-1]) < size:
            batches.pop()  # too easy; which conversations it holds changes by epoch
        return share(batches, rank, world)

    def loss(self, model: nn.Module, batch: Sequence[int], state: Any) -> tuple[Tensor, float, None]:
        replies, before = self.train.replies(batch)
        rows = [n for c in batch for n in self.train.conversations[c]]
        place = {n: k for k, n in enumerate(rows)} | {-1: -1}
        contexts, vectors = model([self.train.ids[n] for n in rows])
        device = vectors.device
        context = joined(contexts, torch.tensor([[place[n] for n in row] for row in before], device=device))
        logits = context @ vectors[torch.tensor([place[n] for n in replies], device=device)].T
        same = torch.tensor([self._same[n] for n in replies], device=device)
        right = torch.arange(len(replies), device=device)
        # another context's reply of the same words is not wrong
        alike = (same[:, None] == same) & (right[:, None] != right)
        loss = F.cross_entropy(logits.float().masked_fill(alike, -torch.inf), right, reduction="sum")
        return loss, float(len(replies)), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        encoder = unwrapped(model, DualEncoder)
        pieces = [
            encoder(self.held_out.ids[begin : begin + VALIDATION_TURNS])
            for begin in range(0, len(self.held_out.ids), VALIDATION_TURNS)
        ]
        contexts, vectors = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        device = vectors.device
        context = joined(contexts, torch.tensor(self._before, device=device))
        replies = vectors[torch.tensor(self._replies, device=device)]
        ranks = [
            (replies[torch.tensor(row, device=device)] @ vector).tolist()
            for row, vector in zip(self._rivals, context, strict=True)
        ]
        return {"hits": hits(ranks)}


def matching(
    encoder: DualEncoder,
    train: Sequence[Conversation],
    held_out: Sequence[Conversation],
    codec: Codec,
    settings: Settings,
    plan: Plan,
) -> Trial:
    """Return the training of the ranker of a chatbot whose language model is trained by `plan`."""
    turns = Turns.of(train, codec)
    plan = ranker_plan(settings, plan, len(turns.ids) - len(train))
    return Trial(encoder, MatchReplies(turns, Turns.of(held_out, codec), plan), plan, settings)


def ranker_in_time(
    training: Callable[[Settings], Trial],
    settings: Settings,
    minutes: float | None,
    started: float,
    choices: Mapping[str, Any],
    resume: bool,
) -> tuple[dict[str, int], float]:
    """Return the settings of a ranker that leaves time for the language model, without those that are chosen,
    and the share of the time that is left. Where an epoch would take too long, there is no ranker."""
    free = {name: getattr(settings, name) for name in RANKER_SIZES if name not in choices}
    if minutes is None or not settings.ranker_units:
        return {}, 1.0
    if resume:  # the run has chosen
        return free, 1.0
    seconds = epoch_seconds(training(settings))
    left = seconds_left(minutes, started)
    epochs = min(int(RANKER_SHARE * left / seconds), settings.ranker_epochs)
    sizes = {"ranker_units": settings.ranker_units if epochs > 0 else 0, "ranker_epochs": max(epochs, 1)}
    sizes = {name: sizes[name] for name in free}
    if sizes.get("ranker_units", settings.ranker_units):
        epochs = sizes.get("ranker_epochs", settings.ranker_epochs)
    return sizes, max(1 - max(epochs, 0) * seconds / left, 0.0) if left > 0 else 1.0
