"""Settings of a transcriber."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from elman.errors import UsageError
from elman.settings import among, argument, between, choice, custom, flag, is_number, is_whole, share, whole
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
FRAME_MS: Final = 10.0  # from one frame to the next, in features that are computed
MIN_FRAME_MS, MAX_FRAME_MS = 1.0, 200.0
MIN_FILTERS, MAX_FILTERS = 8, 128
MAX_FEATURES: Final = 1024  # of a frame, as in elman.data.audio.frames, which imports torch
# Frames for each step of the network → the strides of its convolutions.
STRIDES: Final = {1: (1, 1), 2: (2, 1), 3: (3, 1), 4: (2, 2), 6: (3, 2)}
LEARNING_RATE: Final = 2e-3
MAX_STRIDE: Final = 4  # by default, of frames of FRAME_MS
JOINED: Final = 6
BATCH_SIZE: Final = 16
SMALL: Final = 96  # units, of each direction, and channels, for a few short words
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
    language_model: Any = argument(None, "Language model of words, to choose how much it counts")
    live: bool = argument(False, "Read forwards only, so that the model can transcribe while you speak", bool)


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The features, the labels, the network and the search of a transcriber."""

    HELP: ClassVar = """Transcribe speech: commands, dictation, keywords.

    Example: elman train transcribe recordings.csv --live --save runs/dictation

    Example: elman train transcribe --phrases commands.txt --live --save runs/commands

    Example: elman train transcribe digits --pattern "{label}_{speaker}_{n}.wav" --save runs/digits
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = (
        *("hidden", "front", "input", "unit", "rate", "bins", "stride", "joined", "batch_size"),
        *("epochs", "patience", "learning_rate", "ema_decay"),
    )

    cell: str = cell("gru")
    hidden: int = whole(160, "Units per layer", most=MAX_UNITS, search=among(96, 160, 256))
    layers: int = whole(2, "Recurrent layers", most=MAX_LAYERS, search=among(1, 2, 3))
    bidirectional: bool = flag(True, "Read both ways; then it can't transcribe live")
    front: int = whole(128, "Channels of the convolutions before the recurrent layers", most=MAX_UNITS)
    stride: int = custom(
        MAX_STRIDE,
        "Frames per step of the recurrent layers",
        int,
        f"one of {', '.join(map(str, STRIDES))}",
        lambda value: is_whole(value) and value in STRIDES,
    )
    input: str = choice("audio", "What recordings hold: sound, or precomputed features", "audio", "frames")
    frame_ms: float = custom(
        FRAME_MS,
        "Milliseconds between precomputed frames",
        float,
        f"a number from {MIN_FRAME_MS:g} to {MAX_FRAME_MS:g}",
        lambda value: is_number(value) and MIN_FRAME_MS <= value <= MAX_FRAME_MS,
    )
    unit: str = choice("character", "What the network writes", "word", "subword", "character")
    rate: int = custom(
        16_000,
        "Sample rate from which features are computed",
        int,
        f"one of {', '.join(map(str, RATES))}",
        lambda value: is_whole(value) and value in RATES,
    )
    bins: int = whole(40, f"Features per frame; for sound, {MIN_FILTERS} to {MAX_FILTERS}", most=MAX_FEATURES)
    dropout: float = share(0.3, "Dropout before, between and after the recurrent layers", between(0.1, 0.5))
    joined: int = whole(1, "Most recordings that training joins into one, with pauses between them", most=100)
    augment: bool = flag(True, "Vary speed, pitch and noise of recordings and hide parts of them in training")
    beam_width: int = whole(8, "Width of the beam search", most=MAX_BEAM_WIDTH)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input == "audio" and not MIN_FILTERS <= self.bins <= MAX_FILTERS:
            limits = f"from {MIN_FILTERS} to {MAX_FILTERS} for sound"
            raise UsageError(f"bins must be a whole number {limits}, not {self.bins}")


@dataclass(frozen=True)
class Facts:
    """What the recordings tell beside their number."""

    unit: str = "character"
    input: str = "audio"
    rate: int = RATES[-1]
    bins: int = 40
    stride: int = MAX_STRIDE
    short: bool = False  # most hold a word or two


def defaults(recordings: int, choices: Mapping[str, Any], facts: Facts = Facts()) -> dict[str, Any]:
    """Return the settings and the training plan for so many recordings."""
    joined = choices.get("joined", JOINED if facts.short else 1)
    batch_size = choices.get("batch_size", BATCH_SIZE)
    together = 1 if joined == 1 else (1 + (2 + joined) / 2) / 2  # on average
    batches = max(recordings / together / batch_size, 1)
    epochs = choices.get("epochs", round(min(max(UPDATES / batches, MIN_EPOCHS), MAX_EPOCHS)))
    small = facts.short and choices.get("bidirectional", Settings.bidirectional)
    return {
        "hidden": SMALL if small else Settings.hidden,
        "front": SMALL if small else Settings.front,
        "unit": facts.unit,
        "input": facts.input,
        "rate": facts.rate,
        "bins": facts.bins,
        "stride": facts.stride,
        "joined": joined,
        "batch_size": batch_size,
        "epochs": epochs,
        "patience": max(5, epochs // 2),
        "learning_rate": LEARNING_RATE,
        "ema_decay": default_ema_decay(round(epochs * batches), dict(choices)),
    }
