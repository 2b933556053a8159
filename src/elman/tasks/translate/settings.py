"""The dials of a translator."""

from dataclasses import dataclass
from typing import Any, Final

from elman.cells import CELLS
from elman.data.text.tokenizers import SMALLEST
from elman.errors import UsageError
from elman.tasks import settings as dials
from elman.tasks.translate.network import EncoderDecoder
from elman.training.loop import Plan

READ: Final = 350_000  # pairs that a training should read: the fewer there are, the more epochs
EPOCHS: Final = (3, 60)


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
        dials.check_whole(self, "vocabulary", "hidden", "layers", "embedding", "width")
        if self.vocabulary < SMALLEST:
            raise UsageError(f"vocabulary must be at least {SMALLEST}, not {self.vocabulary}")
        if self.hidden % 2:
            raise UsageError(f"hidden must be even, for the encoder's two directions, not {self.hidden}")
        dials.check_shares(self, "dropout", "smoothing")
        dials.check_amounts(self, "length_penalty")

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


def defaults(pairs: int, given: dict[str, Any]) -> dict[str, Any]:
    """The plan's own values for so many pairs: few are read more often."""
    epochs = given.get("epochs", min(max(round(READ / max(pairs, 1)), EPOCHS[0]), EPOCHS[1]))
    batch = given.get("batch_size", 64 if pairs > 5000 else Plan.batch_size)
    steps = epochs * max(pairs // batch, 1)
    average = dials.averaging(steps)
    rest = {"patience": max(3, epochs // 3), "learning_rate": 2e-3, "average": average}
    return {"epochs": epochs, "batch_size": batch} | rest
