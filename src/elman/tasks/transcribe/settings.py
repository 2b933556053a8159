"""Settings of a transcriber."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from elman.settings import argument, choice, custom, flag, is_whole, share, whole
from elman.tasks.settings import (
    MAX_BEAM_WIDTH,
    MAX_LAYERS,
    MAX_UNITS,
    TaskSettings,
    cell,
    default_ema_decay,
    skip_bad,
)

RATES: Final = (8_000, 16_000)
# Frames for each step of the network → the strides of its convolutions.
STRIDES: Final = {1: (1, 1), 2: (2, 1), 3: (3, 1), 4: (2, 2), 6: (3, 2)}
LEARNING_RATE: Final = 2e-3
MAX_STRIDE: Final = 4  # by default
JOINED: Final = 6
BATCH_SIZE: Final = 16
# Steps of the optimizer, and the passes over the recordings that come nearest to it.
UPDATES: Final = 3_000
MIN_EPOCHS, MAX_EPOCHS = 15, 300


@dataclass(frozen=True)
class Arguments:
    phrases: Any = argument(None, "File of phrases, one a line, to learn from synthesised speech alone")
    adapt: Any = argument(None, "Recordings of these phrases by people, a few, to add")
    language: str | None = argument(None, "Language of the voices, such as en, en-us or de", auto="en")
    audio: str | None = argument(None, "Column of the recordings", auto="found by its name")
    text: str | None = argument(None, "Column of what is said", auto="found by its name")
    pattern: str | None = argument(None, "Names of files in a folder, such as {label}_{speaker}_{n}.wav")
    valid: Any = argument(None, "Data to choose the best model on", auto="a tenth")
    skip_bad: bool = skip_bad()
    live: bool = argument(False, "Read forwards only, so that the model can transcribe while you speak", bool)


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The features, the labels, the network and the search of a transcriber."""

    HELP: ClassVar = """Speech to text: commands, dictation, keywords.

    Example: elman train transcribe recordings.csv --live --save runs/dictation

    Example: elman train transcribe --phrases commands.txt --live --save runs/commands

    Example: elman train transcribe digits --pattern "{label}_{speaker}_{n}.wav" --save runs/digits
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = (
        *("unit", "rate", "stride", "joined", "batch_size"),
        *("epochs", "patience", "learning_rate", "ema_decay"),
    )

    cell: str = cell("gru")
    hidden: int = whole(160, "Units of a layer", most=MAX_UNITS)
    layers: int = whole(2, "Recurrent layers", most=MAX_LAYERS)
    bidirectional: bool = flag(True, "Read both ways; then it can't transcribe live")
    front: int = whole(128, "Channels of the convolutions before the recurrent layers", most=MAX_UNITS)
    stride: int = custom(
        MAX_STRIDE,
        "Frames of 10 ms for each step of the recurrent layers",
        int,
        f"one of {', '.join(map(str, STRIDES))}",
        lambda value: is_whole(value) and value in STRIDES,
    )
    unit: str = choice("character", "What the network writes", "word", "character")
    rate: int = custom(
        16_000,
        "Samples a second that the features are made of",
        int,
        f"one of {', '.join(map(str, RATES))}",
        lambda value: is_whole(value) and value in RATES,
    )
    bins: int = whole(40, "Filters of the features", least=8, most=128)
    dropout: float = share(0.3, "Dropout before, between and after the recurrent layers")
    joined: int = whole(1, "Recordings, at most, that training joins to one, with pauses", most=100)
    augment: bool = flag(True, "Vary speed, pitch and noise of recordings and hide parts of them in training")
    beam_width: int = whole(8, "Texts that the search keeps", most=MAX_BEAM_WIDTH)


@dataclass(frozen=True)
class Facts:
    """What the recordings tell beside their number."""

    unit: str = "character"
    rate: int = RATES[-1]
    stride: int = MAX_STRIDE
    short: bool = False  # most hold a word or two


def defaults(recordings: int, choices: Mapping[str, Any], facts: Facts = Facts()) -> dict[str, Any]:
    """Return the settings and the training plan for so many recordings."""
    joined = choices.get("joined", JOINED if facts.short else 1)
    batch_size = choices.get("batch_size", BATCH_SIZE)
    together = 1 if joined == 1 else (1 + (2 + joined) / 2) / 2  # on average
    batches = max(recordings / together / batch_size, 1)
    epochs = choices.get("epochs", round(min(max(UPDATES / batches, MIN_EPOCHS), MAX_EPOCHS)))
    return {
        "unit": facts.unit,
        "rate": facts.rate,
        "stride": facts.stride,
        "joined": joined,
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": max(5, epochs // 2),
        "learning_rate": LEARNING_RATE,
        "ema_decay": default_ema_decay(round(epochs * batches), dict(choices)),
    }
