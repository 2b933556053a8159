"""One thing that is wrong with a recurrent network, in words and figures."""

import math
from dataclasses import dataclass
from typing import Any

from elman.lens.notebook import InNotebook


@dataclass(frozen=True)
class Finding(InNotebook):
    """What is wrong, and what to try. As text, both.

    Attributes:
        kind: such as "vanishing"; `Diagnosis` lists them.
        sentence: what is wrong, with the figures.
        figures: by name, plain numbers, texts and lists of them; steps count as steps of the layers.
        advice: what to try.
    """

    kind: str
    sentence: str
    figures: dict[str, Any]
    advice: str

    def __str__(self) -> str:
        return f"{self.sentence}. Try: {self.advice}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; None stands for a number that is infinite or NaN."""
        figures = finite(self.figures)
        return {"kind": self.kind, "sentence": self.sentence, "figures": figures, "advice": self.advice}


def finite(value: Any) -> Any:
    """Return plain values with None for numbers that are infinite or NaN, which JSON can't hold."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
