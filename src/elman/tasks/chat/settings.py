"""The dials of a chatbot."""

from dataclasses import dataclass
from typing import Any, Final

from elman.cells import CELLS
from elman.data.text.conversations import SPEAKERS
from elman.data.text.tokenizers import SMALLEST
from elman.errors import UsageError
from elman.tasks import settings as dials
from elman.tasks.generate.network import FULL, Writer
from elman.training.loop import is_number, is_whole

READ: Final = 9_000_000  # tokens that a training should read: the fewer there are, the more epochs
EPOCHS: Final = (1, 40)
LOUDNESS: Final = 4.0


@dataclass(frozen=True)
class Settings:
    """What a chatbot is made of, and how it chooses among replies."""

    vocabulary: int = 6000  # subwords
    cell: str = "lstm"  # a name in elman.cells.CELLS
    hidden: int = 512
    layers: int = 1
    embedding: int = 256
    steps: int = 64  # of a window: so far back gradients go
    dropout: float = 0.3  # less if there are few epochs
    weight_dropout: float = 0.1
    drawn: int = 12  # replies that are drawn,
    width: int = 4  # and that a beam finds; the best of both is said
    temperature: float = 0.8
    top_p: float = 0.9
    block_ngrams: int = 3  # tokens that come again within a reply
    surprise: float = 0.9  # what it costs that a reply would also be given without being asked
    novelty: float = 2.0  # what it costs, a pair of words, to say again what was said
    longest: int = 60  # tokens of a reply
    keep_baseline: bool = True  # the pairs behind the baseline, which the model's folder then holds

    def __post_init__(self) -> None:
        if not isinstance(self.cell, str) or self.cell not in CELLS:
            raise UsageError(f"cell must be one of {', '.join(CELLS)}, not {self.cell!r}")
        if not isinstance(self.keep_baseline, bool):
            raise UsageError(f"keep_baseline must be true or false, not {self.keep_baseline!r}")
        dials.check_whole(
            self, "vocabulary", "hidden", "layers", "embedding", "steps", "drawn", "width", "longest"
        )
        if not SMALLEST <= self.vocabulary <= FULL - len(SPEAKERS):
            most = FULL - len(SPEAKERS)
            raise UsageError(f"vocabulary must be from {SMALLEST} to {most}, not {self.vocabulary}")
        if not is_whole(self.block_ngrams) or self.block_ngrams < 0:
            raise UsageError(
                f"block_ngrams must be 0, for none, or a whole number, not {self.block_ngrams!r}"
            )
        dials.check_shares(self, "dropout", "weight_dropout")
        dials.check_amounts(self, "temperature", "surprise", "novelty")
        if not is_number(self.top_p) or not 0 < self.top_p <= 1:
            raise UsageError(f"top_p must be above 0 and at most 1, not {self.top_p!r}")

    def make_network(self, tokens: int) -> Writer:
        """An untrained network for ids below `tokens`."""
        return Writer(
            CELLS[self.cell],
            tokens,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            embedding_dropout=0.0,
            weight_dropout=self.weight_dropout,
            loudness=LOUDNESS,
        )


def defaults(tokens: int, given: dict[str, Any]) -> dict[str, Any]:
    """What suits conversations of so many tokens: few are read more often."""
    epochs = given.get("epochs", min(max(round(READ / max(tokens, 1)), EPOCHS[0]), EPOCHS[1]))
    batch = given.get("batch_size", 16)
    steps = epochs * max(tokens // (batch * given.get("steps", Settings.steps)), 1)
    average = dials.averaging(steps)
    rest = {"patience": max(3, epochs // 3), "learning_rate": 3e-3, "average": average}
    return {"epochs": epochs, "batch_size": batch, "dropout": dials.dropout(epochs)} | rest
