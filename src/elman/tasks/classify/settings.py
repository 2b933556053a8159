"""Settings of a text classifier."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from elman.settings import among, argument, between, choice, custom, flag, share, whole
from elman.tasks.settings import MAX_LAYERS, MAX_STEPS, MAX_TOKENS, MAX_UNITS, TaskSettings, cell, skip_bad

POOLS: Final = ("mean", "max", "last")
# A text is read so many times; of few texts each more often, of many less often.
EPOCHS: Final = 10
FEW_SEQUENCES, FEW_EPOCHS = 25_000, 30
MANY_SEQUENCES, MANY_EPOCHS = 100_000, 3
LEARNING_RATE: Final = 2e-3
EMA_DECAY: Final = 0.98
# Networks whose answers are averaged, by the number of rows that there must be fewer of; and their units.
NETWORKS: Final = {3_000: 5, 12_000: 3}
SMALL_HIDDEN: Final = 64
WORD_DROPOUT: Final = 0.1
PHRASE_WORDS: Final = 3
LONGEST_PHRASE: Final = 5
# Each network leaves out another tenth of the rows.
MAX_NETWORKS: Final = 9


@dataclass(frozen=True)
class Arguments:
    text: str = argument("text", "Column of the text")
    label: str = argument("label", "Column of the label")
    valid: Any = argument(None, "Data to choose the best model on", auto="a tenth")
    header: bool = argument(True, "Whether the first line names the columns", bool)
    skip_bad: bool = skip_bad()
    stream: bool = argument(False, "Read forwards only, so that the model can stream", bool)
    pretrained: Any = argument(None, "Folder of a language model of words to start from")
    separator: str | None = argument(None, 'What separates several labels of a text, such as ";"')


def _is_pooling(value: Any) -> bool:
    pools = value.split("+") if isinstance(value, str) else [""]
    return len(set(pools)) == len(pools) and set(pools) <= set(POOLS)


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The vocabulary, the network and the loss of a classifier."""

    HELP: ClassVar = """Classify texts: sentiment, topic, intent.

    Example: elman train classify reviews.csv --text review --label stars --test new.csv --save runs/reviews
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = (
        *("networks", "hidden", "word_dropout", "phrase"),
        *("epochs", "patience", "learning_rate", "ema_decay"),
    )
    RENAMED: ClassVar = {"longest": "crop"}

    cell: str = cell("lstm")
    hidden: int = whole(128, "Units per layer", most=MAX_UNITS, search=among(32, 64, 128))
    layers: int = whole(1, "Layers", most=MAX_LAYERS)
    bidirectional: bool = flag(True, "Read both ways; then it can't stream")
    networks: int = whole(
        1, "Networks whose probabilities are averaged; each leaves out another tenth", most=MAX_NETWORKS
    )
    embedding: int = whole(100, "Size of a word's vector", most=MAX_UNITS)
    pooling: str = custom(
        "mean+max",
        "How the outputs of all steps become one vector",
        str,
        f"some of {', '.join(POOLS)} joined by +, such as mean+max",
        _is_pooling,
    )
    dropout: float = share(0.5, "Dropout of the pooled outputs, and between layers", between(0.2, 0.7))
    embedding_dropout: float = share(0.4, "Dropout of the words' vectors", between(0.1, 0.6))
    word_dropout: float = share(0.0, "Share of words that training replaces with the unknown word")
    phrase: int = whole(
        0,
        "Words of the longest phrase whose evidence for each label is read beside the words; 0: none",
        least=0,
        most=LONGEST_PHRASE,
        search=among(0, 2, 3),
    )
    tokenizer: str = choice("word", "What a token is", "word", "subword")
    vocabulary: int = whole(30_000, "Maximum size of the vocabulary, in tokens", most=MAX_TOKENS)
    crop: int = whole(
        400, "Tokens of a text that a training step reads, from a random place in it", most=MAX_STEPS
    )
    class_weights: str | None = choice(
        None, "Give every class the same weight (balanced), or every row (none)", "balanced", None
    )

    @property
    def pools(self) -> tuple[str, ...]:
        return tuple(self.pooling.split("+"))


def defaults(rows: int, choices: dict[str, Any]) -> dict[str, Any]:
    """Return the networks' number and size and the training plan for this number of rows: few texts are read
    more often, by more and smaller networks, with more patience."""
    networks = next((count for limit, count in NETWORKS.items() if rows < limit), 1)
    model: dict[str, Any] = {"networks": networks, "word_dropout": WORD_DROPOUT, "phrase": PHRASE_WORDS}
    if networks > 1:
        model["hidden"] = SMALL_HIDDEN
    few = min(FEW_SEQUENCES // rows, FEW_EPOCHS)
    epochs = choices.get("epochs", max(few, min(EPOCHS, MANY_SEQUENCES // rows), MANY_EPOCHS))
    patience = max(3, epochs // 2)  # so that the last epochs, of low learning rates, are reached
    plan = {"epochs": epochs, "patience": patience, "learning_rate": LEARNING_RATE, "ema_decay": EMA_DECAY}
    return model | plan
