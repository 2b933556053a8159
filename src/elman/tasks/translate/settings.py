"""Settings of a translator."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from elman.data.text.tokenizers import MIN_SUBWORD_IDS
from elman.settings import amount, argument, between, custom, flag, is_whole, share, whole
from elman.tasks.settings import (
    MAX_BEAM_WIDTH,
    MAX_LAYERS,
    MAX_TOKENS,
    MAX_UNITS,
    TaskSettings,
    cell,
    default_ema_decay,
    skip_bad,
)
from elman.training.plan import Plan

# Pairs to read in a training: the fewer there are, the more epochs, within limits.
PAIRS: Final = 350_000
MIN_EPOCHS, MAX_EPOCHS = 3, 60


@dataclass(frozen=True)
class Arguments:
    source: str | None = argument(None, "Column of the sentences", auto="the first")
    target: str | None = argument(None, "Column of the translations", auto="the second")
    valid: Any = argument(None, "Data to choose the best model on; two files: A,B", auto="a part")
    skip_bad: bool = skip_bad()


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The network, the vocabulary and the search of a translator."""

    HELP: ClassVar = """Translate sentences from one language to another.

    Example: elman train translate train.de train.en --valid val.de,val.en --save runs/german

    Example: elman train translate pairs.tsv
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = ("epochs", "batch_size", "patience", "learning_rate", "ema_decay")
    RENAMED: ClassVar = {
        "joint": "shared_vocabulary",
        "feeding": "input_feeding",
        "smoothing": "label_smoothing",
        "width": "beam_width",
    }
    FILES: ClassVar = 2

    vocabulary: int = whole(
        5000,
        "Maximum number of subwords per language, or for both if they share",
        least=MIN_SUBWORD_IDS,
        most=MAX_TOKENS,
    )
    shared_vocabulary: bool = flag(False, "Use the same subwords and vectors for both languages")
    cell: str = cell("lstm")
    hidden: int = custom(
        384,
        "Units per layer; half of them for each direction of the encoder",
        int,
        f"an even whole number from 2 to {MAX_UNITS}",
        lambda value: is_whole(value) and 2 <= value <= MAX_UNITS and value % 2 == 0,
    )
    layers: int = whole(1, "Layers of the encoder", most=MAX_LAYERS)
    embedding: int = whole(256, "Size of a subword's vector", most=MAX_UNITS)
    input_feeding: bool = flag(False, "The decoder also reads its previous output vector; slower to train")
    dropout: float = share(0.3, "Dropout", between(0.1, 0.5))
    label_smoothing: float = share(0.1, "Label smoothing of the loss", between(0.0, 0.2))
    beam_width: int = whole(5, "Width of the beam search", most=MAX_BEAM_WIDTH)
    length_penalty: float = amount(
        1.0, "Exponent of the length penalty; 0 favours short translations", most=10
    )


def defaults(pairs: int, choices: dict[str, Any]) -> dict[str, Any]:
    """Return the defaults of the training plan for this number of pairs."""
    epochs = choices.get("epochs", min(max(round(PAIRS / max(pairs, 1)), MIN_EPOCHS), MAX_EPOCHS))
    batch = choices.get("batch_size", 64 if pairs > 5000 else Plan.batch_size)
    decay = default_ema_decay(epochs * max(pairs // batch, 1), choices)
    plan = {"patience": max(3, epochs // 3), "learning_rate": 2e-3, "ema_decay": decay}
    return {"epochs": epochs, "batch_size": batch} | plan
