"""Recordings and features varied at random for training; a generator given makes it the same again."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from elman.data.audio.features import FilterBank
from elman.data.audio.packages import speech_package
from elman.data.audio.resample import QUALITY
from elman.data.audio.samples import Samples

SPEEDS: Final = (0.9, 1.0, 1.1)
MIN_SNR, MAX_SNR = 5.0, 30.0  # of speech to noise, in dB
NOISE_LEVEL: Final = 0.1  # of the samples, far above the features' floor
MAX_SLOPE: Final = 2.0  # of noise whose power falls as frequency to minus this: from white to brown


def change_speed(samples: Samples, factor: float) -> Samples:
    """Return the recording (samples,) `factor` times as fast, and as much higher (Ko et al., "Audio
    Augmentation for Speech Recognition", Interspeech 2015)."""
    if factor == 1.0 or len(samples) == 0:
        return samples
    changed: Samples = speech_package("soxr").resample(samples, factor, 1.0, quality=QUALITY)
    return changed


def random_speed(samples: Samples, generator: torch.Generator, speeds: Sequence[float] = SPEEDS) -> Samples:
    """Return the recording at one of the speeds."""
    choice = int(torch.randint(len(speeds), (), generator=generator))
    return change_speed(samples, speeds[choice])


def add_noise(
    samples: Samples,
    generator: torch.Generator,
    noises: Sequence[Samples] = (),
    decibels: tuple[float, float] = (MIN_SNR, MAX_SNR),
) -> Samples:
    """Add noise to a recording at a random level.

    Args:
        samples: (samples,)
        generator: draws the noise and its level.
        noises: recordings of noise at the same rate, of which one is taken, from a random place on and
            repeated as needed; if there are none, Gaussian noise between white and brown.
        decibels: lowest and highest ratio of the power of the speech to that of the noise.
    """
    if len(samples) == 0:
        return samples
    draws = torch.rand(3, generator=generator).tolist()
    if noises:
        noise = noises[int(draws[0] * len(noises))]
        at = int(draws[1] * len(noise))
        noise = np.resize(np.roll(noise, -at), len(samples)) - noise.mean()
    else:
        noise = _coloured(len(samples), MAX_SLOPE * draws[0], generator)
    ratio = 10 ** ((decibels[0] + (decibels[1] - decibels[0]) * draws[2]) / 10)
    power, noise_power = float(np.var(samples)), float(np.mean(np.square(noise)))
    scale = (power / ratio / noise_power) ** 0.5 if noise_power > 0 else 0.0
    noisy: Samples = samples + noise.astype(np.float32) * np.float32(scale)
    return noisy


def _coloured(count: int, slope: float, generator: torch.Generator) -> Samples:
    """Return Gaussian noise whose power falls as the frequency to the power of minus `slope`."""
    spectrum = torch.fft.rfft(torch.randn(count, generator=generator))
    spectrum[0] = 0
    spectrum[1:] *= torch.arange(1, len(spectrum)) ** (-slope / 2)
    noise: Samples = torch.fft.irfft(spectrum, count).numpy()
    return noise


def mask(
    features: Tensor,
    lengths: Tensor,
    generator: torch.Generator,
    bands: tuple[int, int] = (2, 15),
    spans: tuple[int, int] = (2, 50),
    share: float = 0.1,
    fill: float = 0.0,
) -> Tensor:
    """Hide bands of frequency and spans of time in each recording: SpecAugment without time warping
    (Park et al., "SpecAugment", Interspeech 2019).

    Args:
        features: (frames, recordings, features), padded; they are left unchanged.
        lengths: (recordings,) number of frames of each.
        generator: of the CPU; draws the places.
        bands: how many, and the widest of each, in features.
        spans: how many, and the longest of each, in frames.
        share: of the frames of a recording that one span may hide at most.
        fill: value put there; 0 is the mean of normalised features.
    """
    frames, bins = len(features), features.shape[2]
    lengths = lengths.cpu()
    in_bins = _hidden(
        bins, torch.full_like(lengths, bins), torch.full_like(lengths, bands[1]), bands[0], generator
    )
    longest = (lengths * share).long().clamp_max(spans[1])
    in_frames = _hidden(frames, lengths, longest, spans[0], generator)
    hidden = in_frames.T[:, :, None] | in_bins
    return features.masked_fill(hidden.to(features.device), fill)


def _hidden(size: int, lengths: Tensor, longest: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return where (recordings, size) one of `count` intervals, up to `longest` long, lies."""
    draws = torch.rand(2, len(lengths), count, generator=generator)
    sizes = (draws[0] * (longest[:, None] + 1)).long()
    starts = (draws[1] * (lengths[:, None] - sizes + 1)).long()
    places = torch.arange(size)[None, :, None]
    inside = (places >= starts[:, None]) & (places < (starts + sizes)[:, None])
    return inside.any(-1)


def warp(features: Tensor, factor: float) -> Tensor:
    """Return log-mel features (frames, bins) of a voice whose resonances lie `factor` times as high: vocal
    tract length perturbation (Jaitly, Hinton, ICML workshop on speech 2013), along the mel scale."""
    bins = features.shape[1]
    places = (torch.arange(bins) / factor).clamp_max(bins - 1)
    before = places.long()
    after = (before + 1).clamp_max(bins - 1)
    return torch.lerp(features[:, before], features[:, after], places - before)


def noise_frames(bank: FilterBank, count: int, seconds: float) -> list[Tensor]:
    """Return the features (frames, bins) of Gaussian noises, from white to brown, of a mean power of 1."""
    generator, samples = torch.Generator().manual_seed(0), round(seconds * bank.rate)
    noises = []
    for k in range(count):
        slope = MAX_SLOPE * k / max(count - 1, 1)
        features = bank.features(NOISE_LEVEL * _coloured(samples, slope, generator))
        noises.append(features - features.logsumexp((0, 1)) + math.log(features.numel()))
    return noises


def add_noise_frames(
    features: Tensor,
    noises: Sequence[Tensor],
    generator: torch.Generator,
    decibels: tuple[float, float] = (MIN_SNR, MAX_SNR),
) -> Tensor:
    """Add noise to log-mel features (frames, bins), in power, at a random level.

    Args:
        features: as `FilterBank` computes them.
        noises: of `noise_frames`, of which one is taken, from a random place on and repeated as needed.
        generator: draws the noise and its level.
        decibels: lowest and highest ratio of the power of the recording to that of the noise.
    """
    choice, place, ratio = torch.rand(3, generator=generator).tolist()
    noise = noises[int(choice * len(noises))]
    rows = (torch.arange(len(features)) + int(place * len(noise))) % len(noise)
    loudness = features.logsumexp((0, 1)) - math.log(features.numel())
    level = loudness - math.log(10) / 10 * (decibels[0] + (decibels[1] - decibels[0]) * ratio)
    return torch.logaddexp(features, noise[rows] + level)


def stretch(features: Tensor, factor: float) -> Tensor:
    """Return the features (frames, features) `factor` times as fast, by linear interpolation: a change of
    speed for which no samples are needed, and which keeps the pitch."""
    frames = max(round(len(features) / factor), 1)
    if len(features) == 0 or frames == len(features):
        return features
    places = torch.linspace(0, len(features) - 1, frames, device=features.device)
    before = places.long()
    after = (before + 1).clamp_max(len(features) - 1)
    return torch.lerp(features[before], features[after], (places - before)[:, None])


def bend(features: Tensor, parts: int, most: float, generator: torch.Generator) -> Tensor:
    """Return the rows of features (rows, columns) resampled unevenly to as many: each of so many equal parts
    becomes up to `most` times as long or as short, for its share of the whole. Of frames, sounds last longer
    or shorter; of filters, resonances move, each on its own."""
    rows = len(features)
    sizes = most ** (2 * torch.rand(parts, generator=generator) - 1)
    ends = torch.cat([torch.zeros(1), sizes.cumsum(0)]) * ((rows - 1) / float(sizes.sum()))
    places = torch.linspace(0, parts, rows)
    part = places.long().clamp_max(parts - 1)
    places = torch.lerp(ends[part], ends[part + 1], places - part).clamp(0, rows - 1)
    before = places.long()
    after = (before + 1).clamp_max(rows - 1)
    return torch.lerp(features[before], features[after], (places - before)[:, None])


def blur(features: Tensor, share: float) -> Tensor:
    """Return log-mel features (frames, bins) of which a `share` of each filter's power comes from its two
    neighbours: wider resonances."""
    power = features.exp()
    around = F.pad(power[None], (1, 1), mode="replicate")[0]
    return ((1 - share) * power + share / 2 * (around[:, :-2] + around[:, 2:])).log()
