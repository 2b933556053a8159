"""The dials of a text classifier."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elman.cells import CELLS
from elman.data.text.tokenizers import SubwordTokenizer, Tokenizer, WordTokenizer
from elman.errors import UsageError
from elman.tasks import settings as dials
from elman.tasks.classify.network import POOLS, Reader

SEQUENCES: Final = 40_000  # that a training should read: the fewer rows, the more epochs
EPOCHS: Final = (3, 30)
LEARNING_RATE: Final = 2e-3
AVERAGED: Final = range(2_000, 20_000)  # so few texts; but with fewer, a run is too short to average over
AVERAGE: Final = 0.98


@dataclass(frozen=True)
class Settings:
    """What a classifier is made of."""

    cell: str = "lstm"  # a name in elman.cells.CELLS
    hidden: int = 128
    layers: int = 1
    bidirectional: bool = False  # reads both ways, but can't stream
    embedding: int = 100
    pooling: str = "mean+max"  # of "mean", "max" and "last", joined by +
    dropout: float = 0.5
    embedding_dropout: float = 0.3
    tokenizer: str = "word"  # or "subword"
    vocabulary: int = 30_000
    longest: int = 400  # tokens of a text that one training step reads, from a random place in it
    class_weights: str | None = "balanced"  # every class has the same say; None: every row

    def __post_init__(self) -> None:
        choices: dict[str, Iterable[Any]] = {
            "cell": CELLS,
            "tokenizer": ("word", "subword"),
            "class_weights": ("balanced", None),
            "bidirectional": (True, False),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                listed = ", ".join(map(str, known))
                raise UsageError(f"{name} must be one of {listed}, not {getattr(self, name)!r}")
        dials.check_whole(self, "hidden", "layers", "embedding", "vocabulary", "longest")
        dials.check_shares(self, "dropout", "embedding_dropout")
        if len(set(self.pools)) < len(self.pools) or not set(self.pools) <= set(POOLS):
            listed = ", ".join(POOLS)
            raise UsageError(
                f"pooling must be some of {listed} joined by +, such as mean+max, not {self.pooling!r}"
            )

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(self.pooling.split("+"))

    def make_tokenizer(self, texts: Sequence[str]) -> Tokenizer:
        """The vocabulary of `texts`. Raises DataError if no word occurs twice."""
        if self.tokenizer == "subword":
            return SubwordTokenizer.train(texts, self.vocabulary)
        return WordTokenizer.build(texts, self.vocabulary)

    def make_network(self, words: int, classes: int) -> Reader:
        """An untrained network for ids below `words`."""
        return Reader(
            CELLS[self.cell],
            words,
            classes,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            pools=self.pools,
            dropout=self.dropout,
            embedding_dropout=self.embedding_dropout,
        )


def defaults(rows: int, given: dict[str, Any]) -> dict[str, Any]:
    """The plan's own values for a classifier: few texts are read more often, with more patience, and the
    weights that read them are averaged: a single step weighs much there."""
    epochs = given.get("epochs", min(max(round(SEQUENCES / rows), EPOCHS[0]), EPOCHS[1]))
    average = AVERAGE if rows in AVERAGED else 0.0
    patience = max(3, epochs // 3)
    return {"epochs": epochs, "patience": patience, "learning_rate": LEARNING_RATE, "average": average}
