"""The dials of a language model."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from elman.cells import CELLS
from elman.errors import UsageError
from elman.tasks import settings as dials
from elman.tasks.generate.network import Writer
from elman.training.loop import Plan, is_number

TOKENS: Final = 16_000_000  # that a training should read: the shorter the text, the more epochs
EPOCHS: Final = (1, 20)
# The order of the n-gram beside it, best on Tiny Shakespeare and on the Penn Treebank.
ORDERS: Final = {"character": 7, "word": 5, "space": 5, "subword": 5}


@dataclass(frozen=True)
class Settings:
    """What a language model is made of."""

    tokens: Literal["auto", "character", "word", "space", "subword"] = "auto"  # by the size of the text
    vocabulary: int = 20_000
    min_count: int = 2  # rarer words are unknown
    cell: str = "lstm"  # a name in elman.cells.CELLS
    hidden: int = 512
    layers: int = 1
    embedding: int = 128
    steps: int = 128  # of a window: so far back gradients go
    dropout: float = 0.3  # less if there are few epochs
    embedding_dropout: float = 0.0
    weight_dropout: float = 0.2
    loudness: float = 1.0  # above 1, small vectors learn sooner what to say
    activation: float = 0.0  # what large outputs cost
    slowness: float = 0.0  # what large changes of outputs cost
    keep_baseline: bool = True  # the n-gram is made of the text's end, which the model's folder then holds

    def __post_init__(self) -> None:
        if self.tokens not in ("auto", *ORDERS):
            raise UsageError(f"tokens must be one of auto, {', '.join(ORDERS)}, not {self.tokens!r}")
        if not isinstance(self.cell, str) or self.cell not in CELLS:
            raise UsageError(f"cell must be one of {', '.join(CELLS)}, not {self.cell!r}")
        if not isinstance(self.keep_baseline, bool):
            raise UsageError(f"keep_baseline must be true or false, not {self.keep_baseline!r}")
        dials.check_whole(self, "vocabulary", "min_count", "hidden", "layers", "embedding", "steps")
        dials.check_shares(self, "dropout", "embedding_dropout", "weight_dropout")
        if not is_number(self.loudness) or not 0 < self.loudness < float("inf"):
            raise UsageError(f"loudness must be a number above 0, not {self.loudness!r}")
        dials.check_amounts(self, "activation", "slowness")

    def make_network(self, tokens: int) -> Writer:
        """An untrained network for ids below `tokens`."""
        return Writer(
            CELLS[self.cell],
            tokens,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            embedding_dropout=self.embedding_dropout,
            weight_dropout=self.weight_dropout,
            loudness=self.loudness,
        )


def defaults(tokens: int, given: dict[str, Any]) -> dict[str, Any]:
    """What suits a text of so many tokens: a short one is read more often."""
    epochs = given.get("epochs", min(max(round(TOKENS / max(tokens, 1)), EPOCHS[0]), EPOCHS[1]))
    batch = given.get("batch_size", Plan.batch_size) * given.get("steps", Settings.steps)
    steps = epochs * max(tokens // batch, 1)
    average = dials.averaging(steps)
    rest = {"patience": max(3, epochs // 3), "learning_rate": 3e-3, "average": average}
    return {"epochs": epochs, "dropout": dials.dropout(epochs)} | rest
