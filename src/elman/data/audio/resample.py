"""Samples at one rate → samples at another, at once or as they arrive."""

from typing import Any, Final

import numpy as np

from elman.data.audio.packages import speech_package
from elman.data.audio.samples import Samples

QUALITY: Final = "HQ"  # of soxr: 20 bits
EMPTY: Final[Samples] = np.zeros(0, dtype=np.float32)


class Resampler:
    """Converts a stream of samples. However it is cut into pushes, the result has the same bits."""

    def __init__(self, source_rate: int, rate: int) -> None:
        self._soxr: Any = None
        if source_rate != rate:
            package = speech_package("soxr")
            self._soxr = package.ResampleStream(source_rate, rate, 1, dtype="float32", quality=QUALITY)

    def push(self, samples: Samples) -> Samples:
        """Return the samples that are ready: the filter holds back some milliseconds."""
        if self._soxr is None or len(samples) == 0:
            return samples
        ready: Samples = self._soxr.resample_chunk(np.ascontiguousarray(samples))
        return ready

    def finish(self) -> Samples:
        """Return the samples that were held back; the stream is over."""
        if self._soxr is None:
            return EMPTY
        rest: Samples = self._soxr.resample_chunk(EMPTY, last=True)
        return rest


def resample(samples: Samples, source_rate: int, rate: int) -> Samples:
    """Convert samples of shape (samples,) from `source_rate` to `rate`, both in samples per second."""
    resampler = Resampler(source_rate, rate)
    return np.concatenate([resampler.push(samples), resampler.finish()])
