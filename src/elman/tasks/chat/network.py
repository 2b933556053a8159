"""The ranker's network: vectors of turns as contexts and as replies; their product says how well they fit.

A dual encoder after Lowe et al., "The Ubuntu Dialogue Corpus", 2015, arXiv:1506.08909, but with one encoder
for turns on both sides: a turn is read once, whatever its part. Beside the largest values of the recurrence
stands a bag of words with learned weights, which knows the topic after little training.

T tokens, N turns, U units, K = CONTEXT_TURNS, D = 2 U numbers of a vector.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import pad
from elman.nn import Recurrent
from elman.nn.dropout import variational_dropout
from elman.tasks.chat.codec import UNUSED

CONTEXT_TURNS: Final = 3  # before a reply; each has a projection of its own
MAX_TURN_TOKENS: Final = 48  # of a turn, the last ones; longer turns are rare
BLOCK_TURNS: Final = 64  # turns of similar length that are read at once
VECTOR_SCALE: Final = 8.0  # brings the embedding's vectors to a size that gates tell apart
REPLY_SCALE: Final = 4.0


class DualEncoder(nn.Module):
    """Reads turns, ids below `tokens`."""

    def __init__(self, units: int, tokens: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.embedding = nn.Embedding(tokens, units)
        nn.init.normal_(self.embedding.weight, std=1 / VECTOR_SCALE)
        self.weight = nn.Embedding(tokens, 1)  # of a token in the bag of words, before softplus
        nn.init.ones_(self.weight.weight)
        self.recurrence = Recurrent("gru", units, units, bidirectional=True)
        self.context = nn.Linear(3 * units, CONTEXT_TURNS * 2 * units)
        self.reply = nn.Linear(3 * units, 2 * units)
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, turns: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return the vectors of N turns, as contexts (N, K, D), the last turn before a reply first, and as
        replies (N, D)."""
        order = sorted(range(len(turns)), key=lambda n: len(turns[n]))
        blocks = [order[begin : begin + BLOCK_TURNS] for begin in range(0, len(order), BLOCK_TURNS)]
        features = torch.cat([self._features([turns[n] for n in block]) for block in blocks])
        place = torch.empty(len(order), dtype=torch.int64, device=features.device)
        place[torch.tensor(order, device=features.device)] = torch.arange(len(order), device=features.device)
        features = F.dropout(features[place], self.dropout, self.training)
        contexts = self.context(features).unflatten(-1, (CONTEXT_TURNS, -1)) * self.scale.exp()
        replies: Tensor = self.reply(features)
        return contexts, replies * (REPLY_SCALE / math.sqrt(replies.shape[-1]))

    def _features(self, turns: Sequence[Sequence[int]]) -> Tensor:
        """Return (N, 3 U): the bag of words and the largest values of both directions."""
        ids, lengths = pad([list(turn[-MAX_TURN_TOKENS:]) or [UNUSED] for turn in turns])
        ids, lengths = ids.to(self.scale.device), lengths.to(self.scale.device)
        inside = torch.arange(len(ids), device=ids.device)[:, None] < lengths
        vectors = self.embedding(ids)
        weights = F.softplus(self.weight(ids)) * inside[..., None]
        bag = (vectors * weights).sum(0) / lengths[:, None].sqrt()
        inputs = variational_dropout(vectors * VECTOR_SCALE, self.dropout, self.training)
        outputs, _ = self.recurrence(inputs, lengths=lengths)
        largest = outputs.masked_fill(~inside[..., None], -math.inf).amax(0)
        return torch.cat([bag, largest], -1)


def joined(contexts: Tensor, rows: Tensor) -> Tensor:
    """Return the sum (M, D) of the vectors of K turns before each of M replies.

    Args:
        contexts: (N, K, D) as `DualEncoder` returns them.
        rows: (M, K) int64, the turns before each reply, the last first; -1 where there is none.
    """
    recency = torch.arange(rows.shape[1], device=rows.device)
    vectors = contexts[rows.clamp(min=0), recency]
    return (vectors * (rows >= 0)[..., None]).sum(1)
