"""Log-mel filter banks, computed as samples arrive: any cut into pushes gives the same bits as the whole, and
so do the frames of many streams that are computed together.

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

Features = NDArray[np.float32]

FRAME_SECONDS, SHIFT_SECONDS = 0.025, 0.010
LOW_HZ: Final = 20.0  # where the lowest filter begins; the highest ends at half the rate
PREEMPHASIS: Final = 0.97
FLOOR: Final = float(np.finfo(np.float32).eps)  # of the energy in a filter, before the logarithm
# About the power in a filter of noise as large as one step of 16-bit integers.
DITHER_FLOOR: Final = 400.0
FULL_SCALE: Final = 32768.0
BLOCK_FRAMES: Final = 128  # computed at once: they fit the cache


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
        self._window, self._filters = self.window.numpy(), self.filters.numpy()
        self._floor = np.float32(floor)

    def log_mel(self, frames: Samples) -> Features:
        """Return the features (frames, bins) of samples (frames, length). A frame has the same bits among any
        others: sums, Fourier transforms and products with the filters are made frame by frame, not by
        routines that libraries choose by the number of frames."""
        starts = range(0, len(frames), BLOCK_FRAMES)
        blocks = [self._log_mel(frames[start : start + BLOCK_FRAMES]) for start in starts]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.bins), np.float32)

    def _log_mel(self, frames: Samples) -> Features:
        centred = frames - frames.mean(1, keepdims=True)
        emphasised = np.empty_like(centred)
        np.multiply(centred[:, :-1], -PREEMPHASIS, out=emphasised[:, 1:])
        emphasised[:, 1:] += centred[:, 1:]
        np.multiply(centred[:, 0], 1 - PREEMPHASIS, out=emphasised[:, 0])
        emphasised *= self._window
        spectrum = np.fft.rfft(emphasised, self.points)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        power = power.astype(np.float32, copy=False)  # NumPy 1 transforms in float64
        energy: Features = (power[:, None] @ self._filters)[:, 0]
        return np.log(np.maximum(energy, self._floor))

    def frame_count(self, samples: int) -> int:
        """Return how many frames a recording of so many samples has."""
        return (samples + self.shift // 2) // self.shift

    def features(self, samples: Samples) -> Tensor:
        """Return the features (frames, bins) of a whole recording (samples,)."""
        framing = Framing(self)
        frames = [framing.push(samples), framing.finish()]
        return torch.from_numpy(np.concatenate([self.log_mel(one) for one in frames]))


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


class Framing:
    """Cuts samples that arrive piece by piece into overlapping frames; holds less than a frame of samples."""

    def __init__(self, bank: FilterBank) -> None:
        self._bank = bank
        self._reset()

    def _reset(self) -> None:
        self._received = 0  # samples
        self._frame = 0  # number of the next frame
        self._pending = np.zeros(0, dtype=np.float32)
        self._start = (
            0  # position of the first pending sample in the recording; negative in the mirrored part
        )

    def push(self, samples: Samples) -> Samples:
        """Return the frames (frames, length) that these samples complete, which may share memory."""
        bank = self._bank
        self._pending = np.concatenate([self._pending, samples], dtype=np.float32)
        self._received += len(samples)
        if self._start == 0 == self._frame:
            if self._received < max(bank.left, 1):
                return self._frames(self._pending, 0)
            self._pending = np.concatenate([self._pending[: bank.left][::-1], self._pending])
            self._start = -bank.left
        count = max((len(self._pending) - bank.length) // bank.shift + 1, 0)
        frames = self._frames(self._pending, count)
        self._pending = self._pending[count * bank.shift :].copy()
        self._start += count * bank.shift
        return frames

    def finish(self) -> Samples:
        """Return the frames (frames, length) that reach beyond the end, and begin anew."""
        bank, received = self._bank, self._received
        count = max(bank.frame_count(received) - self._frame, 0)
        samples = self._pending
        if count:
            first = self._frame * bank.shift - bank.left
            positions = np.arange(first, first + (count - 1) * bank.shift + bank.length) % (2 * received)
            mirrored = np.minimum(positions, 2 * received - 1 - positions)
            samples = self._pending[mirrored - self._start]
        frames = self._frames(samples, count)
        self._reset()
        return frames

    def _frames(self, samples: Samples, count: int) -> Samples:
        """Return the next `count` frames, of which `samples` are the first."""
        self._frame += count
        step = samples.itemsize
        strides = (self._bank.shift * step, step)
        # a view as `sliding_window_view` makes it, in a tenth of the time
        return np.ndarray((count, self._bank.length), samples.dtype, samples, strides=strides)
