"""One answer of several models: a weighted sum of their log-probabilities, chosen on held-out texts.

With one model this is temperature scaling (Guo et al. 2017, arXiv:1706.04599), with more a logarithmic
opinion pool. Either way probabilities become as sure as they are right.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypedDict

import torch
from torch import Tensor

from elman.tasks.classify.labels import LINEAR, NETWORK
from elman.typed import typed

# The standard deviation of a weight around an equal share before a held-out text was seen.
PRIOR_SPREAD: Final = 0.5
# How much less likely the held-out labels must be without the network, in nats, for it to have a weight.
# One more weight alone gains half a nat by chance, and the network's best epoch was chosen on the same texts.
MIN_GAIN: Final = 2.0
MAX_WEIGHT: Final = 1e6
STEPS, HALVINGS = 50, 20  # of Newton's method, which takes about five
ENOUGH: Final = 1e-9


class Weights(TypedDict):
    network: float
    linear: float


class Blend(NamedTuple):
    """The weights of the network's and of the linear classifier's log-probabilities."""

    network: float
    linear: float

    def log_probabilities(self, network: Tensor, linear: Tensor) -> Tensor:
        """Return the log-probabilities (..., A) of the blend of both models' A answers."""
        return (self.network * network + self.linear * linear).log_softmax(-1)

    def probabilities(self, network: Tensor, linear: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the probabilities (..., A) of the blend, and those of both models by name."""
        parts = {LINEAR: linear.exp(), NETWORK: network.exp()}
        return self.log_probabilities(network, linear).exp(), parts

    @classmethod
    def from_json(cls, value: Any) -> "Blend":
        """Return a saved blend. Raises ValueError for weights that are negative or absurdly large."""
        weights = typed(Weights, value, "blend.json")
        if not all(0 <= weight <= MAX_WEIGHT for weight in weights.values()):
            raise ValueError(f"the weights of blend.json must be from 0 to {MAX_WEIGHT:g}")
        return cls(**weights)

    def __str__(self) -> str:
        parts = f"{self.network:.2f} times the network's and {self.linear:.2f} times those of a linear model"
        return f"Log-probabilities are {parts} of n-grams (TF-IDF), scaled to a sum of 1."


def fit_blend(network: Tensor, linear: Tensor, labels: Tensor, weights: Tensor | None = None) -> Blend:
    """Return the weights of least log loss; the network's is 0 where it does not help.

    Args:
        network, linear: log-probabilities (N, K) of texts on which neither model was trained; (N, K, 2) of
            several labels, as of N · K texts that have one or not.
        labels: (N,) the numbers of the true classes, or (N, K).
        weights: (N,) or (N, K) what each counts; 1 if None.
    """
    network, linear, labels = network.flatten(0, -2), linear.flatten(0, -2), labels.flatten()
    weights = None if weights is None else weights.flatten()
    both = fit_weights([network, linear], labels, weights)
    (alone,) = fit_weights([linear], labels, weights)
    blends = Blend(*both), Blend(0.0, alone)
    losses = [log_loss(one.log_probabilities(network, linear), labels, weights) for one in blends]
    return blends[0] if both[0] > 0 and losses[1] - losses[0] > MIN_GAIN else blends[1]


def log_loss(log_probabilities: Tensor, labels: Tensor, weights: Tensor | None = None) -> float:
    """Return the sum over texts of minus the log-probability of the true class, in nats."""
    losses = -log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
    return float((losses if weights is None else losses * weights).double().sum())


def fit_weights(
    models: Sequence[Tensor], labels: Tensor, weights: Tensor | None = None, spread: float = PRIOR_SPREAD
) -> tuple[float, ...]:
    """Return the weights, at least 0, of the log-probabilities or logits (N, K) of M models whose sum has the
    least log loss: Newton's method on a convex loss, again without the model of the most negative weight
    while there is one. Before the labels were seen, weights were equal, give or take `spread`."""
    parts = torch.stack([one.double() for one in models])
    kept, rows = list(range(len(models))), torch.ones(len(labels)) if weights is None else weights
    while kept:
        fitted = _newton(parts[kept], labels, rows.double(), 1 / len(models), spread)
        if min(fitted) >= 0:
            return tuple(fitted[kept.index(i)] if i in kept else 0.0 for i in range(len(models)))
        kept.remove(kept[fitted.index(min(fitted))])
    return (0.0,) * len(models)


def _newton(parts: Tensor, labels: Tensor, rows: Tensor, prior: float, spread: float) -> list[float]:
    """Return the weights (M,) that minimise the log loss of the blend of parts (M, N, K)."""
    true = parts.gather(2, labels.expand(len(parts), -1).unsqueeze(2)).squeeze(2)
    weights = torch.full((len(parts),), prior, dtype=torch.float64)

    def loss(weights: Tensor) -> Tensor:
        logits = torch.einsum("m,mnk->nk", weights, parts)
        misses = (logits.logsumexp(1) - weights @ true) * rows
        return misses.sum() + ((weights - prior) ** 2).sum() / (2 * spread**2)

    current = loss(weights)
    for _ in range(STEPS):
        probabilities = torch.einsum("m,mnk->nk", weights, parts).softmax(1)
        means = torch.einsum("nk,mnk->mn", probabilities, parts)
        slope = ((means - true) * rows).sum(1) + (weights - prior) / spread**2
        centred = parts - means.unsqueeze(2)
        curvature = torch.einsum("n,nk,mnk,lnk->ml", rows, probabilities, centred, centred)
        curvature += torch.eye(len(parts)) / spread**2
        step = torch.linalg.solve(curvature, slope)
        for halving in range(HALVINGS):
            trial = weights - step / 2**halving
            if (value := loss(trial)) <= current:
                break
        else:
            break
        weights, gain, current = trial, current - value, value
        if gain <= ENOUGH * current.abs():
            break
    return [float(weight) for weight in weights]
