"""Log-mel filter banks, computed as samples arrive: any cut into pushes gives the same bits as the whole.

Frames, window, filters and floor are Kaldi's with snip_edges=false and dither 0 (Povey et al., "The Kaldi
Speech Recognition Toolkit", ASRU 2011; feat/feature-window.cc and feat/mel-computations.cc), for samples on
the scale of 16-bit integers. A frame lasts 25 ms and is centred on its 10 ms of the recording, which is
mirrored at its ends, so that no sample is lost.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.data.audio.samples import Samples
from elman.errors import UsageError

FRAME_SECONDS, SHIFT_SECONDS = 0.025, 0.010
LOW_HZ: Final = 20.0  # where the lowest filter begins; the highest ends at half the rate
PREEMPHASIS: Final = 0.97
FLOOR: Final = float(np.finfo(np.float32).eps)  # of the energy in a filter, before the logarithm
# About the power in a filter of noise as large as one step of 16-bit integers.
DITHER_FLOOR: Final = 400.0
FULL_SCALE: Final = 32768.0
# Frames computed at a time, always as many, frame k in row k % BLOCK_FRAMES: libraries choose their kernels
# by shape, and the bits of a row would depend on how many frames a push completes.
BLOCK_FRAMES: Final = 16


class FilterBank:
    """Computes the features of samples at one rate. It holds no state and may serve many streams."""

    def __init__(self, rate: int, bins: int, floor: float = FLOOR) -> None:
        """Make the window and the filters.

        Args:
            rate: of the samples, per second.
            bins: number of filters.
            floor: least power in a filter. DITHER_FLOOR makes digital silence what a quiet room is.

        Raises:
            UsageError: there are more filters than the resolution at this rate allows.
        """
        self.rate, self.bins, self.floor = rate, bins, floor
        self.length, self.shift = int(rate * FRAME_SECONDS), int(rate * SHIFT_SECONDS)
        self.left = self.length // 2 - self.shift // 2  # samples by which the first frame begins before 0
        self.points = 1 << (self.length - 1).bit_length()
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.length) / (self.length - 1))
        self.window = torch.from_numpy((FULL_SCALE * hann**0.85).astype(np.float32))
        self.filters = torch.from_numpy(mel_filters(rate, bins, self.points).astype(np.float32))

    def log_mel(self, frames: Tensor) -> Tensor:
        """Return the features (frames, bins) of samples (frames, length)."""
        centred = frames - frames.mean(1, keepdim=True)
        emphasised = centred.clone()
        emphasised[:, 1:].sub_(centred[:, :-1], alpha=PREEMPHASIS)
        emphasised[:, :1].mul_(1 - PREEMPHASIS)
        spectrum = torch.fft.rfft(emphasised.mul_(self.window), self.points)
        power = torch.view_as_real(spectrum).square_().sum(-1)
        return (power @ self.filters).clamp_min_(self.floor).log_()

    def frame_count(self, samples: int) -> int:
        """Return how many frames a recording of so many samples has."""
        return (samples + self.shift // 2) // self.shift

    def features(self, samples: Samples) -> Tensor:
        """Return the features (frames, bins) of a whole recording (samples,)."""
        stream = FeatureStream(self)
        return torch.cat([stream.push(samples), stream.finish()])


def mel_filters(rate: int, bins: int, points: int) -> NDArray[np.float64]:
    """Return triangular filters, of equal width in mel, of shape (points // 2 + 1, bins).

    Args:
        rate: of the samples, per second.
        bins: number of filters.
        points: of the Fourier transform.

    Raises:
        UsageError: a filter lies between two frequencies of the transform.
    """
    low, high = mel(np.array([LOW_HZ, rate / 2], dtype=np.float64))
    width = (high - low) / (bins + 1)
    centres = low + width * np.arange(1, bins + 1)
    frequencies = np.arange(points // 2 + 1, dtype=np.float64) * (rate / points)
    distances = np.abs(mel(frequencies[:, None]) - centres)
    filters: NDArray[np.float64] = np.maximum(1 - distances / width, 0.0)
    filters[-1] = 0.0  # Kaldi leaves out half the rate
    if not filters.any(axis=0).all():
        raise UsageError(f"{bins} filters are too many for {rate:,} samples a second; give fewer.")
    return filters


def mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies on O'Shaughnessy's mel scale."""
    return 1127.0 * np.log1p(hertz / 700.0)


class FeatureStream:
    """Features of samples that arrive piece by piece; holds less than a frame of samples."""

    def __init__(self, bank: FilterBank) -> None:
        self._bank = bank
        self._block = torch.zeros(BLOCK_FRAMES, bank.length)
        self._reset()

    def _reset(self) -> None:
        self._received = 0  # samples
        self._frame = 0  # number of the next frame
        self._pending = np.zeros(0, dtype=np.float32)
        self._start = (
            0  # position of the first pending sample in the recording; negative in the mirrored part
        )

    def push(self, samples: Samples) -> Tensor:
        """Return the features (frames, bins) of the frames that these samples complete."""
        bank = self._bank
        self._pending = np.concatenate([self._pending, samples])
        self._received += len(samples)
        if self._start == 0 == self._frame:
            if self._received < max(bank.left, 1):
                return torch.zeros(0, bank.bins)
            self._pending = np.concatenate([self._pending[: bank.left][::-1], self._pending])
            self._start = -bank.left
        count = max((len(self._pending) - bank.length) // bank.shift + 1, 0)
        features = self._features(self._pending, count)
        self._pending = self._pending[count * bank.shift :].copy()
        self._start += count * bank.shift
        return features

    def finish(self) -> Tensor:
        """Return the features (frames, bins) of the frames that reach beyond the end, and begin anew."""
        bank, received = self._bank, self._received
        count = bank.frame_count(received) - self._frame
        if count <= 0:
            self._reset()
            return torch.zeros(0, bank.bins)
        first = self._frame * bank.shift - bank.left
        positions = np.arange(first, first + (count - 1) * bank.shift + bank.length) % (2 * received)
        mirrored = np.minimum(positions, 2 * received - 1 - positions)
        features = self._features(self._pending[mirrored - self._start], count)
        self._reset()
        return features

    @torch.no_grad()
    def _features(self, samples: Samples, count: int) -> Tensor:
        """Return the features of the next `count` frames, of which `samples` are the first."""
        bank = self._bank
        if not count:
            return torch.zeros(0, bank.bins)
        frames, parts = torch.from_numpy(samples).unfold(0, bank.length, bank.shift), []
        for start in range(0, count, BLOCK_FRAMES):
            row, step = self._frame % BLOCK_FRAMES, min(BLOCK_FRAMES, count - start)
            fits = min(BLOCK_FRAMES - row, step)  # the others go on at the top of the block
            self._block[row : row + fits] = frames[start : start + fits]
            self._block[: step - fits] = frames[start + fits : start + step]
            features = bank.log_mel(self._block)
            parts += [features[row : row + fits], features[: step - fits]]
            self._frame += step
        return torch.cat(parts)
