"""What a transcriber reads: features that it computes of sound, or ready frames of features."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from elman.data.audio.augment import noise_frames
from elman.data.audio.features import SHIFT_SECONDS, FilterBank, Framing
from elman.data.audio.frames import Frames, to_frames
from elman.data.audio.read import read_audio
from elman.data.audio.recordings import Recordings
from elman.data.audio.resample import Resampler
from elman.data.audio.samples import Samples, require_rate, to_samples
from elman.data.audio.voice import VoiceActivity
from elman.errors import DataError, UsageError
from elman.nn.rows import Array
from elman.tasks.pool import Steps
from elman.tasks.transcribe.examples import (
    EDGE_FRAMES,
    LOG_FLOOR,
    Utterances,
    filter_bank,
    varied,
    varied_frames,
)
from elman.tasks.transcribe.settings import Settings

NOISES, NOISE_SECONDS = 12, 4.0  # that training adds


class Spectra(NamedTuple):
    """A request: the features of frames of samples (frames, length). The answer is the array (frames,
    features)."""

    bank: FilterBank
    frames: Samples


class Pieces(Protocol):
    """Features of a recording that arrives in pieces, as requests for those of samples."""

    def push(self, values: Any) -> Steps[Array]:
        """Return the features (frames, features) that these values complete. Raises UsageError and DataError
        for values that can't be read."""

    def finish(self) -> Steps[Array]:
        """Return the features that are left at the end of a recording."""


class Features(Protocol):
    """The features of recordings, from sound or ready."""

    @property
    def width(self) -> int:
        """The number of features of a frame."""

    @property
    def seconds(self) -> float:
        """The time from one frame to the next."""

    def load(self, recordings: Recordings) -> tuple[Recordings, list[Tensor]]:
        """Return the recordings that can be used, and the features (frames, features) of each. Raises
        DataError as `Recordings.load` does, and for recordings of the other kind."""

    def voice(self, rate: int | None = None, kept: float | None = None) -> VoiceActivity:
        """Return what finds voices in samples at `rate`, by default the model's; frames have none."""

    def read(self, source: Any, rate: int | None, name: str, voice: VoiceActivity | None = None) -> Tensor:
        """Return the features (frames, features) of one recording that a caller gives; `voice` follows its
        samples."""

    def pieces(self, rate: int | None, voice: VoiceActivity | None = None) -> Pieces:
        """Start a recording of samples at `rate`, or of frames, that arrives in pieces."""

    def edge(self, frame: Tensor) -> Tensor:
        """Return silence (EDGE_FRAMES, features) for before the first or after the last frame (1, features)
        of a recording."""

    def loudness(self, features: Tensor) -> Tensor:
        """Return how loud frames are (frames,), given the normalised features of a recording with edges."""

    def varied(self, utterances: Utterances, rows: Sequence[int], pause: int, strength: float) -> Tensor:
        """Return the features of recordings as training varies and joins them; see `examples.varied`."""


@dataclass(frozen=True)
class Sound:
    """Log-mel features, computed of samples."""

    rate: int
    width: int
    seconds: float = SHIFT_SECONDS

    @cached_property
    def bank(self) -> FilterBank:
        return filter_bank(self.rate, self.width)

    @cached_property
    def noises(self) -> list[Tensor]:
        return noise_frames(self.bank, NOISES, NOISE_SECONDS)

    def load(self, recordings: Recordings) -> tuple[Recordings, list[Tensor]]:
        if recordings.of_frames:
            raise DataError(f"{recordings.name} names precomputed frames; this model reads sound.")
        return recordings.load(self.rate, self.bank.features)

    def voice(self, rate: int | None = None, kept: float | None = None) -> VoiceActivity:
        return VoiceActivity(self.rate if rate is None else require_rate(rate, "the stream"), kept)

    def read(self, source: Any, rate: int | None, name: str, voice: VoiceActivity | None = None) -> Tensor:
        if isinstance(source, Frames):
            raise UsageError(f"{name or 'the recording'} holds precomputed frames; this model reads sound.")
        samples = read_audio(source, self.rate, rate, name)
        if voice is not None:
            voice.push(samples)
            voice.finish()
        return self.bank.features(samples)

    def pieces(self, rate: int | None, voice: VoiceActivity | None = None) -> Pieces:
        return SoundPieces(self.bank, self.rate if rate is None else rate, voice)

    def edge(self, frame: Tensor) -> Tensor:
        return torch.full((EDGE_FRAMES, self.width), LOG_FLOOR)

    def loudness(self, features: Tensor) -> Tensor:
        return features.mean(1)

    def varied(self, utterances: Utterances, rows: Sequence[int], pause: int, strength: float) -> Tensor:
        return varied(utterances, rows, pause, strength, self.noises)


class SoundPieces:
    def __init__(self, bank: FilterBank, rate: int, voice: VoiceActivity | None = None) -> None:
        self._bank, self._rate, self._voice = bank, require_rate(rate, "the stream"), voice
        self._begin()

    def _begin(self) -> None:
        self._resampler = Resampler(self._rate, self._bank.rate)
        self._framing = Framing(self._bank)

    def push(self, values: Any) -> Steps[Array]:
        samples = to_samples(values, "the piece of samples", self._rate)
        if self._voice is not None:
            self._voice.push(samples)
        return (yield from self._features(self._framing.push(self._resampler.push(samples))))

    def finish(self) -> Steps[Array]:
        rest = [self._framing.push(self._resampler.finish()), self._framing.finish()]
        self._begin()
        return (yield from self._features(np.concatenate(rest)))

    def _features(self, frames: Samples) -> Steps[Array]:
        features: Array = yield Spectra(self._bank, frames)
        return features


@dataclass(frozen=True, eq=False)
class ReadyFrames:
    """Frames of features that others computed: cepstra, say.

    Attributes:
        deviation: (features,) of each feature in the training data, by which training adds noise.
    """

    width: int
    seconds: float
    deviation: Tensor

    def load(self, recordings: Recordings) -> tuple[Recordings, list[Tensor]]:
        if not recordings.of_frames:
            raise DataError(f"{recordings.name} names recordings of sound; {self._reads}.")
        return recordings.load_frames(self.width)

    def voice(self, rate: int | None = None, kept: float | None = None) -> VoiceActivity:
        raise UsageError(f"vad is for sound; {self._reads}.")

    def read(self, source: Any, rate: int | None, name: str, voice: VoiceActivity | None = None) -> Tensor:
        if rate is not None:
            raise UsageError(f"rate is only for samples; {self._reads}, {self.seconds * 1000:g} ms apart.")
        if not isinstance(source, Frames):
            raise UsageError(f"{name or 'the recording'} holds no precomputed frames; {self._reads}.")
        return source.read(name or "the array of frames", self.width)

    @property
    def _reads(self) -> str:
        return f"this model reads frames of {self.width} features"

    def pieces(self, rate: int | None, voice: VoiceActivity | None = None) -> Pieces:
        if rate is not None:
            raise UsageError(f"rate is only for samples; {self._reads}, {self.seconds * 1000:g} ms apart.")
        return FramePieces(self.width)

    def edge(self, frame: Tensor) -> Tensor:
        # What silence is in them is not known; most recordings begin and end with some.
        return frame.expand(EDGE_FRAMES, -1)

    def loudness(self, features: Tensor) -> Tensor:
        distances: Tensor = (features - features[:1]).norm(dim=1)
        return distances

    def varied(self, utterances: Utterances, rows: Sequence[int], pause: int, strength: float) -> Tensor:
        return varied_frames(utterances, rows, pause, strength, self.deviation)


@dataclass(frozen=True)
class FramePieces:
    width: int

    def push(self, values: Any) -> Steps[Array]:
        yield from ()
        return to_frames(values, "the piece", self.width).numpy()

    def finish(self) -> Steps[Array]:
        yield from ()
        return np.zeros((0, self.width), np.float32)


def with_edges(features: Tensor, of: Features) -> Tensor:
    """Return a recording's features (frames, features) with silence before and after."""
    return torch.cat([of.edge(features[:1]), features, of.edge(features[-1:])])


def features_of(settings: Settings, deviation: Tensor | None = None) -> Features:
    """Return the features that a transcriber with these settings reads; to vary ready frames takes the
    `deviation` (features,) of each."""
    if settings.input == "frames":
        deviation = torch.ones(settings.bins) if deviation is None else deviation
        return ReadyFrames(settings.bins, settings.frame_ms / 1000, deviation)
    return Sound(settings.rate, settings.bins)
