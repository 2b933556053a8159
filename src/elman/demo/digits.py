"""Speech: spoken digits, heard."""

import base64
import io
import wave
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.audio.features import SHIFT_SECONDS
from elman.demo.part import Measure, Part, Table, columns_of, score_table
from elman.tasks.transcribe.examples import filter_bank
from elman.tasks.transcribe.transcriber import Transcriber

RATE: Final = 8000  # samples a second
BINS: Final = 40  # features of a frame
MU: Final = 255.0  # of the companding (ITU-T G.711)
TEST_TAKES: Final = (0, 1, 2)
WORDS: Final = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SHOWN: Final = ((4, 2), (1, 9, 9, 0), (8, 5, 3))  # said in a row, of the recordings that are scored
PAUSE: Final = 0.3  # seconds between two digits
MEASURES: Final = {"wer": Measure("words wrong ↓", "{:.1%}", min)}
SETTINGS: Final[dict[str, Any]] = {
    "unit": "word",
    "hidden": 64,
    "front": 32,
    "layers": 1,
    "epochs": 60,
    "batch_size": 6,
    "joined": 3,
    "learning_rate": 5e-3,
    "dropout": 0.1,
    "augment": False,
}


class Clip(NamedTuple):
    """A recorded digit; its samples (N,) from -1 to 1."""

    digit: int
    take: int
    samples: NDArray[np.float32]


def clips() -> list[Clip]:
    """Return the recordings: ten digits, thirteen takes of each."""
    folder = files("elman.demo")
    with (folder / "digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        bytes_ = stored["samples"].astype(np.float32)
    loud = bytes_ / 127.5 - 1
    samples = np.sign(loud) * np.expm1(np.abs(loud) * np.log1p(MU)) / MU
    table = pl.read_csv((folder / "digits.csv").read_bytes())
    parts = np.split(samples.astype(np.float32), np.cumsum(table["samples"].to_numpy())[:-1])
    keys = zip(table["digit"], table["take"], parts, strict=True)
    return [Clip(digit, take, part) for digit, take, part in keys]


def training_clips(quick: bool) -> list[Clip]:
    """Return the takes that are not for the test."""
    train = [clip for clip in clips() if clip.take not in TEST_TAKES]
    return train[::4] if quick else train


def trained(progress: bool, quick: bool) -> Transcriber:
    """Return the transcriber."""
    settings = SETTINGS | ({"epochs": 1, "hidden": 8, "front": 8} if quick else {})
    return Transcriber.fit([_row(clip) for clip in training_clips(quick)], progress=progress, **settings)


def run(progress: bool, quick: bool) -> Part:
    """Train a transcriber on single digits; score it on other takes, and let it hear several in a row."""
    train, model = training_clips(quick), trained(progress, quick)
    test = [clip for clip in clips() if clip.take in TEST_TAKES]
    if quick:
        test = test[:: len(TEST_TAKES)]
    evaluation = model.evaluate([_row(clip) for clip in test])
    columns = columns_of(evaluation)
    rows, sounds = [], []
    for digits in SHOWN:
        sound, text = said(test, digits), " ".join(WORDS[digit] for digit in digits)
        rows.append([text, model.predict(frames_said(test, digits))])
        sounds.append(f"<p>{text}: <audio controls src='data:audio/wav;base64,{_wav(sound)}'></audio></p>")
    return Part(
        title="Speech",
        about=(
            f"Digits heard. Trained on {len(train)} recordings of single digits by one person (Free Spoken "
            f"Digit Dataset, Z. Jackson, CC BY-SA 4.0), scored on {len(test)} others of the same person. "
            "Then it hears several digits in a row, put together from those."
        ),
        table=score_table(columns, MEASURES),
        verdict=verdict(columns),
        scores=evaluation.to_dict() | {"trained on": len(train)},
        examples=Table(["said", "heard"], rows),
        more=sounds,
    )


def verdict(columns: Any) -> str:
    """Return which of the two hears better."""
    (name, plain), ours = (
        next((k, v["wer"]) for k, v in columns.items() if k != "elman"),
        columns["elman"]["wer"],
    )
    return f"{1 - ours:.0%} of the digits are heard right; by the {name} it would be {1 - plain:.0%}."


def frames_said(test: Sequence[Clip], digits: Sequence[int]) -> NDArray[np.float32]:
    """Return the frames (N, BINS) of digits one after another. A pause goes on as a recording begins or ends:
    of digital silence, a network of ready frames knows nothing."""
    first = {clip.digit: _frames(clip.samples) for clip in reversed(test)}
    pause = round(PAUSE / SHIFT_SECONDS)
    parts = [np.repeat(first[digits[0]][:1], pause, 0)]
    for digit in digits:
        parts += [first[digit], np.repeat(first[digit][-1:], pause, 0)]
    return np.concatenate(parts)


def said(test: Sequence[Clip], digits: Sequence[int]) -> NDArray[np.float32]:
    """Return digits (N,) one after another, with a pause around each."""
    pause = np.zeros(round(PAUSE * RATE), np.float32)
    first = {clip.digit: clip.samples for clip in reversed(test)}
    return np.concatenate([pause, *(part for digit in digits for part in (first[digit], pause))])


def _row(clip: Clip) -> dict[str, Any]:
    return {"frames": _frames(clip.samples), "text": WORDS[clip.digit]}


def _frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    frames: NDArray[np.float32] = filter_bank(RATE, BINS).features(samples).numpy()
    return frames


def _wav(samples: NDArray[np.float32]) -> str:
    """Return a sound as a file in base64, for a page that asks nobody for it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, RATE, len(samples), "NONE", ""))
        out.writeframes((32767 * samples).astype("<i2").tobytes())
    return base64.b64encode(file.getvalue()).decode()
