"""Rank replies to a conversation, whether the network wrote them or they are replies of the training data.

A reply has three scores: the language model's (per token), the product of the dual encoder's vectors, and its
similarity to the training replies to similar texts. Their weights are those of a conditional logit model of
the true replies of held-out conversations among others (McFadden 1974).
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.network import CONTEXT_TURNS, DualEncoder, joined
from elman.tasks.chat.settings import SHORTLIST

NUMBERS: Final = 3  # scores of a reply
NEIGHBOURS: Final = 8  # training texts whose replies speak for another
# The weights before any row: what was answered before is right again, unless much speaks against it.
PRIOR_WEIGHTS: Final = (1.0, 1.0, 5.0)
MAX_RANK_WEIGHT: Final = 1e6


class Ranker:
    """Scores replies, and retrieves some.

    Args:
        encoder: in eval mode.
        retrieval: of training replies; None if there are none, and nothing is like them.
        weights: (3,) above 0, of the three numbers.
    """

    def __init__(
        self, encoder: DualEncoder, codec: Codec, retrieval: Retrieval | None, weights: Tensor
    ) -> None:
        self.encoder, self.codec, self.retrieval, self.weights = encoder, codec, retrieval, weights

    def evidence(
        self, turns: Sequence[str], replies: Sequence[str], fluency: Sequence[float], known: bool = True
    ) -> Tensor:
        """Return the three numbers (N, 3) of N replies to a conversation.

        Args:
            turns: those before the reply, of which the last few count; at least one.
            replies: N.
            fluency: (N,) the language model's score of each reply.
            known: whether training replies to the very words of the last turn count as such.
        """
        columns = [
            torch.tensor(fluency),
            self._products(turns, replies),
            self._support(turns, replies, known),
        ]
        return torch.stack([column.double() for column in columns], 1)

    def scores(self, evidence: Tensor) -> list[float]:
        """Return the weighted sum (N) of the numbers (N, 3)."""
        scores: list[float] = (evidence @ self.weights.double()).tolist()
        return scores

    def has_words(self, turns: Sequence[str], reply: str) -> bool:
        """Return whether the words of a reply are words, as far as is known: small networks make up some."""
        return self.retrieval is None or self.retrieval.has_words_of(reply, turns)

    def retrieve(self, turns: Sequence[str], count: int) -> list[str]:
        """Return at most `count` different training replies that fit a conversation best, best first."""
        if self.retrieval is None or count < 1:
            return []
        nearest = self.retrieval.nearest(turns[-1], SHORTLIST)
        replies = list(dict.fromkeys(reply for reply, _ in nearest))
        fluency = [0.0] * len(replies)
        scores = torch.tensor(self.scores(self.evidence(turns, replies, fluency)))
        return [replies[k] for k in scores.argsort(descending=True, stable=True)[:count].tolist()]

    def _support(self, turns: Sequence[str], replies: Sequence[str], known: bool) -> Tensor:
        if self.retrieval is None:
            return torch.zeros(len(replies))
        return torch.tensor(self.retrieval.support(turns[-1], replies, NEIGHBOURS, known))

    @torch.no_grad()
    def _products(self, turns: Sequence[str], replies: Sequence[str]) -> Tensor:
        """Return the product (N) of the context's vector with each reply's."""
        recent = list(reversed(turns[-CONTEXT_TURNS:]))
        contexts, vectors = self.encoder([self.codec.words(text) for text in [*recent, *replies]])
        rows = torch.tensor([[k if k < len(recent) else -1 for k in range(CONTEXT_TURNS)]])
        products: Tensor = vectors[len(recent) :] @ joined(contexts, rows)[0]
        return products


def fitted_weights(rows: Sequence[Tensor]) -> Tensor:
    """Return the weights (3,) above 0 by which the first of each row's replies (N, 3) is the likeliest.

    They maximise the sum over rows of ln softmax of the weighted sums, and a Gaussian prior on their
    logarithms keeps those of few rows near `PRIOR_WEIGHTS`.
    """
    prior = torch.tensor(PRIOR_WEIGHTS, dtype=torch.float64).log()
    logs = prior.clone().requires_grad_()
    most = max((len(row) for row in rows), default=1)
    numbers = torch.zeros(len(rows), most, NUMBERS, dtype=torch.float64)
    missing = torch.ones(len(rows), most, dtype=torch.bool)
    for k, row in enumerate(rows):
        numbers[k, : len(row)], missing[k, : len(row)] = row.double(), False
    optimizer = torch.optim.LBFGS([logs], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        scores = (numbers @ logs.exp()).masked_fill(missing, -torch.inf)
        total = -scores.log_softmax(1)[:, 0].sum() + (logs - prior).square().sum() / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return logs.detach().exp().clamp(max=MAX_RANK_WEIGHT).float()


def checked_weights(weights: Tensor) -> Tensor:
    """Return the weights of a saved ranker. Raises ValueError for what `fitted_weights` never gives."""
    if weights.shape != (NUMBERS,) or not bool(((weights >= 0) & (weights <= MAX_RANK_WEIGHT)).all()):
        raise ValueError(f"rank_weights must hold {NUMBERS} numbers from 0 to {MAX_RANK_WEIGHT:g}")
    return weights.clone()
