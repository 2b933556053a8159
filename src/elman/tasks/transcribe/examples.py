"""Recordings → features and labels, and what training makes of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from elman.data.audio.augment import add_noise_frames, mask, stretch, warp
from elman.data.audio.features import DITHER_FLOOR, FilterBank

LOG_FLOOR: Final = math.log(DITHER_FLOOR)
SPEEDS: Final = (0.85, 1.15)
WARPS: Final = (0.85, 1.18)
GAINS: Final = (-4.0, 4.0)  # of the log power: 17 dB
TILTS: Final = (-1.5, 1.5)  # of the log power from the lowest to the highest filter: another microphone
SNR: Final = (5.0, 45.0)  # dB
FRAME_SPEEDS: Final = (0.9, 1.1)  # of ready frames
FRAME_NOISE: Final = (0.0, 0.2)  # in deviations of each feature
NOISY_SHARE: Final = 0.5  # of the recordings that training adds noise to
# Of digital silence before and after every recording: a word at its very end has time to be written, and the
# normalisation begins the same for all.
EDGE_FRAMES: Final = 20
PAUSE_FRAMES: Final = 60  # longest pause between joined recordings, and before and after them
NO_PAUSE_SHARE: Final = 0.4  # of the places for a pause that get none
SILENT_SHARE: Final = 0.3  # of the joined recordings, whose pauses are digital silence
FLUTTER: Final = 0.3  # standard deviation of a background's log power
QUIET: Final = 0.1  # share of a recording's frames that are taken for its background
BANDS, SPANS = 2, (2, 20)  # hidden parts: how many of each, and the longest, in frames
BAND_SHARE: Final = 0.15  # of the features that one band hides at most
SPAN_SHARE: Final = 0.12  # of a recording that one span hides at most


def filter_bank(rate: int, bins: int) -> FilterBank:
    """Return what computes the features of all transcribers."""
    return FilterBank(rate, bins, DITHER_FLOOR)


@dataclass(frozen=True, eq=False)
class Utterances:
    """What is learned from: the features of recordings, before normalisation, and the labels said.

    Attributes:
        features: of each recording, (frames, features).
        ids: the labels of each.
        texts: as they are said.
    """

    features: list[Tensor]
    ids: list[list[int]]
    texts: list[str]

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Sequence[int]) -> "Utterances":
        features, ids = [self.features[row] for row in rows], [self.ids[row] for row in rows]
        return Utterances(features, ids, [self.texts[row] for row in rows])


def together(*parts: Utterances) -> Utterances:
    """Return the recordings of all parts."""
    return Utterances(
        [one for part in parts for one in part.features],
        [one for part in parts for one in part.ids],
        [one for part in parts for one in part.texts],
    )


def pad_features(each: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return features padded with zeros (frames, recordings, features), and the frames of each."""
    lengths = torch.tensor([len(one) for one in each])
    return torch.nn.utils.rnn.pad_sequence(list(each)), lengths


def varied(
    utterances: Utterances, rows: Sequence[int], pause: int, strength: float, noises: Sequence[Tensor]
) -> Tensor:
    """Return the features of recordings, each varied at random, joined with pauses of up to `pause` frames
    before, between and after them, and some of them with noise. A strength of 0 leaves them as they are, 1
    varies them fully."""
    each = [utterances.features[row] for row in rows]
    if strength:
        each = [_another_voice(features, strength) for features in each]
    features = torch.cat(_with_pauses(each, pause) if pause else each)
    noisy = _uniform(0, 1) < NOISY_SHARE * strength
    return add_noise_frames(features, noises, torch.default_generator, SNR) if noisy else features


def hide(features: Tensor, lengths: Tensor, strength: float) -> Tensor:
    """Hide parts of normalised, padded features (frames, recordings, features)."""
    widest = max(round(BAND_SHARE * features.shape[2]), 1)
    bands, spans = (BANDS, round(widest * strength)), (SPANS[0], round(SPANS[1] * strength))
    return mask(features, lengths, torch.default_generator, bands, spans, share=SPAN_SHARE)


def _another_voice(features: Tensor, strength: float) -> Tensor:
    features = stretch(features, _around_one(SPEEDS, strength))
    tilt = _uniform(*TILTS) * torch.linspace(-0.5, 0.5, features.shape[1])
    varied = warp(features, _around_one(WARPS, strength)) + strength * (_uniform(*GAINS) + tilt)
    return varied.clamp_min(LOG_FLOOR)


def varied_frames(
    utterances: Utterances, rows: Sequence[int], pause: int, strength: float, deviation: Tensor
) -> Tensor:
    """Return the same of ready frames, of which nothing is known but the `deviation` (features,) of each
    feature: they are resampled in time and get noise; pauses go on as a recording begins or ends."""
    parts: list[Tensor] = []
    for features in (utterances.features[row] for row in rows):
        if strength:
            features = stretch(features, _around_one(FRAME_SPEEDS, strength))
        before, after = (_pause(pause) for _ in range(2))
        parts += [features[:1].expand(before, -1), features, features[-1:].expand(after, -1)]
    features = torch.cat(parts)
    if strength:
        features = features + strength * _uniform(*FRAME_NOISE) * deviation * torch.randn(features.shape)
    return features


def _pause(longest: int) -> int:
    return 0 if not longest or _uniform(0, 1) < NO_PAUSE_SHARE else int(_uniform(0, longest + 1))


def _with_pauses(each: Sequence[Tensor], longest: int) -> list[Tensor]:
    """Return recordings with pauses before, between and after them, in digital silence or background."""
    silent = _uniform(0, 1) < SILENT_SHARE
    parts: list[Tensor] = []
    for features in [*each, each[-1]]:
        frames = _pause(longest)
        quiet = features.quantile(QUIET, 0)
        pause = quiet + FLUTTER * torch.randn(frames, len(quiet))
        parts += [torch.full_like(pause, LOG_FLOOR) if silent else pause, features]
    return parts[:-1]


def _around_one(limits: tuple[float, float], strength: float) -> float:
    return 1 + strength * (_uniform(*limits) - 1)


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))
