"""How likely a word is to be right, learned from held-out recordings."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict

import torch
import torch.nn.functional as F

from elman.typed import typed

EDGE: Final = 1e-4  # the raw confidence lies between this and 1 less this
CLOSED_EDGE: Final = 1e-15  # where phrases are all that can be said: the surest false alarms still differ
LIMIT: Final = 100.0
MAX_LOGIT: Final = 700.0  # whose exponential is finite


class ConfidenceFile(TypedDict):
    slope: float
    offset: float


@dataclass(frozen=True)
class Confidence:
    """The probability that a word is right: a logistic function of the logit of its least likely label.
    Platt, "Probabilistic outputs for support vector machines", 1999."""

    slope: float = 1.0
    offset: float = 0.0

    def of(self, raw: float, edge: float = EDGE) -> float:
        """Return the probability of a word whose least likely label has the probability `raw`, which is taken
        to lie between `edge` and 1 - `edge`."""
        raw = min(max(raw, edge), 1 - edge)
        logit = self.slope * math.log(raw / (1 - raw)) + self.offset
        return 1 / (1 + math.exp(min(-logit, MAX_LOGIT)))

    @classmethod
    def fit(cls, raw: Sequence[float], right: Sequence[bool], edge: float = EDGE) -> "Confidence":
        """Fit on words: the confidence of each one's least likely label, and whether it was right."""
        if not right:
            return cls()
        logits = torch.tensor(raw, dtype=torch.float64).clamp(edge, 1 - edge).logit()
        count = sum(right)
        # Platt's targets: as if one more word of each kind had been seen
        targets = torch.where(
            torch.tensor(right), (count + 1) / (count + 2), 1 / (len(right) - count + 2)
        ).double()
        weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Any:
            optimizer.zero_grad()
            value = F.binary_cross_entropy_with_logits(weights[0] * logits + weights[1], targets)
            value = value + 1e-3 * (weights - torch.tensor([1.0, 0.0])).square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        with torch.enable_grad():
            optimizer.step(loss)  # type: ignore[no-untyped-call]
        slope, offset = weights.detach().clamp(-LIMIT, LIMIT).tolist()
        return cls(max(slope, 0.0), offset)

    @classmethod
    def from_json(cls, value: Any) -> "Confidence":
        """Raises ValueError for what `asdict` did not give."""
        saved = typed(ConfidenceFile, value, "confidence")
        if not 0 <= saved["slope"] <= LIMIT or abs(saved["offset"]) > LIMIT:
            raise ValueError("the confidence has weights out of range")
        return cls(saved["slope"], saved["offset"])
