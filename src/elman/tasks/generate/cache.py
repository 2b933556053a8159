"""A cache that makes recent words likelier, for a text whose words repeat more than the training text's.

Grave, Joulin, Usunier, "Improving neural language models with a continuous cache", arXiv:1612.04426. The
network's distribution is mixed with that of the tokens that followed similar states,

    p(w) = (1 - share) p_network(w) + share · Σ_i [w_i = w] exp(sharpness · f_i·f) / Σ_i exp(…)

over the last CACHE_STEPS steps i with features f_i (H) of length 1 and next tokens w_i. V tokens, N steps.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.problem import Ids, teacher_forced

CACHE_STEPS: Final = 1000
SHARPNESSES: Final = (0.0, 2.0, 5.0, 10.0, 20.0)
MAX_SHARPNESS: Final = 1000
SHARES: Final = (0.02, 0.05, 0.1, 0.2)
TUNING_TOKENS: Final = 20_000
MIN_PROBABILITY: Final = 1e-30


@dataclass(frozen=True)
class Blend:
    """The share of the cache, and how sharply it prefers similar states."""

    sharpness: float
    share: float

    def __post_init__(self) -> None:
        if not (0 <= self.sharpness <= MAX_SHARPNESS and 0 <= self.share <= 1):
            raise ValueError(
                f"a blend has a sharpness of 0 to {MAX_SHARPNESS} and a share of 0 to 1, not {self}"
            )


class Cache(NamedTuple):
    """The last steps of one stream, at most CACHE_STEPS."""

    features: Tensor  # (N, H), of length 1
    tokens: Tensor  # (N) that followed

    @classmethod
    def empty(cls, like: Tensor) -> "Cache":
        """Return a cache for features (1, H)."""
        return cls(like.new_empty(0, like.shape[1]), torch.empty(0, dtype=torch.int64, device=like.device))

    def extended(self, features: Tensor, tokens: Tensor) -> "Cache":
        """Return the cache after further steps, with features (T, H) and the tokens (T) that followed."""
        features = torch.cat([self.features, F.normalize(features)])
        return Cache(features[-CACHE_STEPS:], torch.cat([self.tokens, tokens])[-CACHE_STEPS:])

    def mix(self, log_probs: Tensor, features: Tensor, blend: Blend) -> Tensor:
        """Mix the cache into log-probabilities (N, V) after features (N, H)."""
        if not len(self.tokens):
            return log_probs
        similarity = blend.sharpness * (F.normalize(features) @ self.features.T)
        cached = torch.zeros_like(log_probs).index_add_(1, self.tokens, similarity.softmax(1))
        p = (1 - blend.share) * log_probs.exp() + blend.share * cached
        return p.clamp(min=MIN_PROBABILITY).log()


def distributions(network: LanguageNet, ids: Ids, blend: Blend | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield log-probabilities (T, V) and targets (T) of a text (N,), chunk by chunk; with the cache unless
    `blend` is None."""
    history = _History()
    for features, log_probs, targets in _chunks(network, ids):
        if blend is not None:
            history.add(features, targets)
            weights = history.weights(len(targets), blend.sharpness)
            share = blend.share * weights.sum(1, keepdim=True)  # 0 at the first step, which has no history
            cached = torch.zeros_like(log_probs).index_add_(1, history.tokens, weights)
            p = (1 - share) * log_probs.exp() + blend.share * cached
            log_probs = p.clamp(min=MIN_PROBABILITY).log()
        yield log_probs, targets


@torch.no_grad()
def tuned(network: LanguageNet, ids: Ids) -> Blend:
    """Return the blend with the smallest loss on the first TUNING_TOKENS of a held-out text (N,)."""
    history = _History()
    losses: dict[Blend, float] = defaultdict(float)
    for features, log_probs, targets in _chunks(network, ids[: TUNING_TOKENS + 1]):
        history.add(features, targets)
        p_network = log_probs.gather(1, targets.unsqueeze(1)).squeeze(1).exp()
        hits = history.tokens == targets.unsqueeze(1)
        for sharpness in SHARPNESSES:
            p_cache = (history.weights(len(targets), sharpness) * hits).sum(1)
            for share in SHARES:
                p = ((1 - share) * p_network + share * p_cache).clamp(min=MIN_PROBABILITY)
                losses[Blend(sharpness, share)] -= float(p.log().sum())
    return min(losses, key=lambda blend: losses[blend])


def _chunks(network: LanguageNet, ids: Ids) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield features (T, H) of length 1, log-probabilities (T, V) and targets (T)."""
    for features, targets in teacher_forced(network, ids):
        log_probs = network.log_probs(features.squeeze(1))
        yield F.normalize(features.squeeze(1)), log_probs, targets.squeeze(1)


class _History:
    """The steps of the last chunk, and the CACHE_STEPS before it."""

    def __init__(self) -> None:
        self.features: Tensor | None = None
        self.tokens = torch.empty(0, dtype=torch.int64)

    def add(self, features: Tensor, tokens: Tensor) -> None:
        """Add a chunk's features (T, H), of length 1, and the tokens (T) that followed."""
        before = features[:0] if self.features is None else self.features
        self.features = torch.cat([before, features])[-CACHE_STEPS - len(features) :]
        self.tokens = torch.cat([self.tokens.to(tokens.device), tokens])[-CACHE_STEPS - len(tokens) :]

    def weights(self, count: int, sharpness: float) -> Tensor:
        """Return the weight of each step for each of the last `count`, (count, N): only the CACHE_STEPS
        before it have any."""
        assert self.features is not None
        steps = torch.arange(len(self.tokens), device=self.tokens.device)
        now = steps[-count:].unsqueeze(1)
        visible = (steps < now) & (steps >= now - CACHE_STEPS)
        similarity = sharpness * self.features[-count:] @ self.features.T
        return similarity.masked_fill(~visible, -torch.inf).softmax(1).nan_to_num(0.0)  # 0 if none is visible
