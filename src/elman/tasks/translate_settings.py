"""The dials of a translator."""

from dataclasses import dataclass
from typing import Any, Final

from elman.cells import CELLS
from elman.data.text import SMALLEST
from elman.errors import UsageError
from elman.tasks.translate_net import EncoderDecoder
from elman.training import Plan, is_number, is_whole

READ: Final = 350_000  # pairs that a training should read: the fewer there are, the more epochs
EPOCHS: Final = (3, 60)
# Steps over which weights are averaged, which does what averaging the last checkpoints does: so many, or this
# share of a shorter run.
LASTING, SHARE = 500, 0.04


@dataclass(frozen=True)
class Settings:
    """What a translator is made of, and how it searches."""

    vocabulary: int = 5000  # subwords of a side, or of both if they are joint
    joint: bool = False  # the same subwords and the same vectors for both sides
    cell: str = "lstm"  # a name in elman.cells.CELLS
    hidden: int = 384
    layers: int = 1  # of the encoder
    embedding: int = 256
    feeding: bool = False  # the decoder also sees what it found a step ago; slower to train
    dropout: float = 0.3
    smoothing: float = 0.1
    width: int = 5  # of the beam
    length_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str) or self.cell not in CELLS:
            raise UsageError(f"cell must be one of {', '.join(CELLS)}, not {self.cell!r}")
        for name in ("joint", "feeding"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name in ("vocabulary", "hidden", "layers", "embedding", "width"):
            if not is_whole(getattr(self, name)) or getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {getattr(self, name)!r}")
        if self.vocabulary < SMALLEST:
            raise UsageError(f"vocabulary must be at least {SMALLEST}, not {self.vocabulary}")
        if self.hidden % 2:
            raise UsageError(f"hidden must be even, for the encoder's two directions, not {self.hidden}")
        for name in ("dropout", "smoothing"):
            if not is_number(getattr(self, name)) or not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must be a share from 0 to below 1, not {getattr(self, name)!r}")
        if not is_number(self.length_penalty) or not 0 <= self.length_penalty < float("inf"):
            raise UsageError(f"length_penalty must be a number of 0 or more, not {self.length_penalty!r}")

    def make_network(self, sources: int, targets: int) -> EncoderDecoder:
        """An untrained network for so many ids of either side."""
        return EncoderDecoder(
            CELLS[self.cell],
            sources,
            targets,
            joint=self.joint,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            feeding=self.feeding,
            dropout=self.dropout,
        )


def defaults(pairs: int, dials: dict[str, Any]) -> dict[str, Any]:
    """The plan's own values for so many pairs: few are read more often."""
    epochs = dials.get("epochs", min(max(round(READ / max(pairs, 1)), EPOCHS[0]), EPOCHS[1]))
    batch = dials.get("batch_size", 64 if pairs > 5000 else Plan.batch_size)
    steps = epochs * max(pairs // batch, 1)
    average = max(0.0, 1 - max(1 / LASTING, 1 / (SHARE * steps)))
    rest = {"patience": max(3, epochs // 3), "learning_rate": 2e-3, "average": average}
    return {"epochs": epochs, "batch_size": batch} | rest
