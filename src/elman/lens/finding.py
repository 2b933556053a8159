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
        """Return plain values; None stands for an infinite number."""
        figures = {name: _plain(value) for name, value in self.figures.items()}
        return {"kind": self.kind, "sentence": self.sentence, "figures": figures, "advice": self.advice}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
