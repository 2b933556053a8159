"""A cache of the words just read: they come again sooner than the network, which has settled, believes.

Grave, Joulin, Usunier, "Improving neural language models with a continuous cache", arXiv:1612.04426: beside
the network's distribution stands that of the tokens that followed when it was in a similar state,

    p(w) = (1 - share) p_network(w) + share · Σ_i [w_i = w] exp(sharpness · f_i·f) / Σ_i exp(…)

over the last SIZE steps i with features f_i (H) and the tokens w_i that came then. V tokens, N steps.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.tasks.generate.network import Writer
from elman.tasks.generate.problem import Ids, read

SIZE: Final = 1000
SHARPNESS: Final = (0.0, 2.0, 5.0, 10.0, 20.0)  # of features of length 1
SHARES: Final = (0.02, 0.05, 0.1, 0.2)
TUNED_ON: Final = 20_000  # tokens


@dataclass(frozen=True)
class Blend:
    """How much the cache has to say, and how alike states must be."""

    sharpness: float
    share: float


class Cache(NamedTuple):
    """The last steps of one stream: at most SIZE."""

    features: Tensor  # (N, H), of length 1
    tokens: Tensor  # (N) that came after them

    @classmethod
    def empty(cls, like: Tensor) -> "Cache":
        """For features (1, H)."""
        return cls(like.new_empty(0, like.shape[1]), torch.empty(0, dtype=torch.int64, device=like.device))

    def after(self, features: Tensor, tokens: Tensor) -> "Cache":
        """Some steps later: their features (T, H) and the tokens (T) that came after them."""
        features = torch.cat([self.features, F.normalize(features)])
        return Cache(features[-SIZE:], torch.cat([self.tokens, tokens])[-SIZE:])

    def mixed(self, logs: Tensor, features: Tensor, blend: Blend) -> Tensor:
        """Log probabilities (N, V) after features (N, H), with the cache's share."""
        if not len(self.tokens):
            return logs
        alike = blend.sharpness * (F.normalize(features) @ self.features.T)
        own = torch.zeros_like(logs).index_add_(1, self.tokens, alike.softmax(1))
        return ((1 - blend.share) * logs.exp() + blend.share * own).clamp(min=1e-30).log()


def distributions(network: Writer, ids: Ids, blend: Blend | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Of a text (N,) piece by piece: log probabilities (T, V), and the tokens that came (T)."""
    past = _Past()
    for features, wanted in read(network, ids):
        logs, came = network.log_probs(features.squeeze(1)), wanted.squeeze(1)
        if blend is not None:
            past.add(F.normalize(features.squeeze(1)), came)
            weights = past.weights(len(came), blend.sharpness)
            share = blend.share * weights.sum(1, keepdim=True)  # the very first step has nothing before it
            cached = torch.zeros_like(logs).index_add_(1, past.tokens, weights)
            logs = ((1 - share) * logs.exp() + blend.share * cached).clamp(min=1e-30).log()
        yield logs, came


@torch.no_grad()
def tuned(network: Writer, ids: Ids) -> Blend:
    """The blend with the smallest loss on a held-out text (N,), of which the first part is read."""
    past = _Past()
    losses: dict[Blend, float] = defaultdict(float)
    for features, wanted in read(network, ids[: TUNED_ON + 1]):
        logs, came = network.log_probs(features.squeeze(1)), wanted.squeeze(1)
        past.add(F.normalize(features.squeeze(1)), came)
        own = logs.gather(1, came.unsqueeze(1)).squeeze(1).exp()
        again = past.tokens == came.unsqueeze(1)
        for sharpness in SHARPNESS:
            cached = (past.weights(len(came), sharpness) * again).sum(1)
            for share in SHARES:
                p = ((1 - share) * own + share * cached).clamp(min=1e-30)
                losses[Blend(sharpness, share)] -= float(p.log().sum())
    return min(losses, key=lambda blend: losses[blend])


class _Past:
    """The steps that a piece of a text and the SIZE steps before it took."""

    def __init__(self) -> None:
        self.features: Tensor | None = None
        self.tokens = torch.empty(0, dtype=torch.int64)

    def add(self, features: Tensor, tokens: Tensor) -> None:
        """A piece's features (T, H), of length 1, and the tokens (T) that came after them."""
        before = features[:0] if self.features is None else self.features
        self.features = torch.cat([before, features])[-SIZE - len(features) :]
        self.tokens = torch.cat([self.tokens.to(tokens.device), tokens])[-SIZE - len(tokens) :]

    def weights(self, count: int, sharpness: float) -> Tensor:
        """What each step says to each of the last `count` (count, N): of the SIZE before it, none else."""
        assert self.features is not None
        steps = torch.arange(len(self.tokens), device=self.tokens.device)
        now = steps[-count:].unsqueeze(1)
        seen = (steps < now) & (steps >= now - SIZE)
        alike = (sharpness * self.features[-count:] @ self.features.T).masked_fill(~seen, -torch.inf)
        return alike.softmax(1).nan_to_num(0.0)  # where nothing is seen
