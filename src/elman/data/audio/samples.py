"""Samples as the rest of the package takes them: mono, float32, 1 for full scale; and checks of them."""

import math
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.errors import DataError, UsageError, counted

Samples = NDArray[np.float32]  # (samples,)

MIN_RATE, MAX_RATE = 4_000, 768_000  # samples a second; telephones have 8,000
MAX_CHANNELS: Final = 32
# A file of floats may pass full scale by far less; 16-bit integers that became floats pass it by far more.
MAX_AMPLITUDE: Final = 100.0
MIN_SECONDS: Final = 0.025  # of a recording to learn from: one frame
SILENCE: Final = 1e-4  # between the lowest and the highest sample: three steps of 16 bits
CLIPPED_SHARE, FULL_SCALE = 0.01, 0.985
OFFSET: Final = 0.1  # of the mean of all samples from zero
# Integers → the value of silence and that of full scale.
SCALES: Final = {"i1": (0, 2**7), "u1": (2**7, 2**7), "i2": (0, 2**15), "i4": (0, 2**31)}


def require_rate(rate: Any, name: str) -> int:
    """Return a rate as an integer. Raises DataError if no recording of speech can have it."""
    number = float(rate) if isinstance(rate, (int, float, np.integer, np.floating)) else math.nan
    if not (MIN_RATE <= number <= MAX_RATE and number == int(number)):
        raise DataError(
            f"{name} has a rate of {rate!r}; speech has {MIN_RATE:,} to {MAX_RATE:,} samples a second."
        )
    return int(number)


def require_channels(count: int, name: str) -> None:
    if not 1 <= count <= MAX_CHANNELS:
        raise DataError(f"{name} has {counted(count, 'channel')}; it may have 1 to {MAX_CHANNELS}.")


def mono(block: NDArray[np.float32]) -> Samples:
    """Return the mean of the channels of a block of shape (samples, channels)."""
    with np.errstate(over="ignore", invalid="ignore"):  # `require_finite` follows
        return block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)


def require_finite(samples: Samples, name: str, start: float = 0.0, rate: int = 1) -> None:
    """Raise DataError for samples that are NaN, infinite or of another scale.

    Args:
        samples: (samples,)
        name: of the recording.
        start: seconds of the recording before these samples.
        rate: of the samples, per second.
    """
    if len(samples) == 0 or np.abs(samples).max() <= MAX_AMPLITUDE:  # false for NaN
        return
    wrong = ~(np.abs(samples) <= MAX_AMPLITUDE)
    at, value = f"{start + wrong.argmax() / rate:.3f} s", samples[wrong.argmax()]
    if np.isfinite(value):
        advice = "between -1 and 1, or 16-bit integers"
        raise DataError(f"{name} has a sample of {value:,.0f} at {at}; samples should be floats {advice}.")
    kind = "NaN (not a number)" if np.isnan(value) else "infinite"
    raise DataError(f"{name} has a sample that is {kind} at {at}; record or convert it again.")


def to_samples(values: Any, name: str, rate: int = 1) -> Samples:
    """Convert an array, a tensor or a list of samples.

    Args:
        values: (samples,), or (samples, channels) or (channels, samples), whichever axis is longer; floats
            with 1 for full scale, or integers of 8, 16 or 32 bits.
        name: of the samples in messages.
        rate: of the samples, per second, for messages.

    Raises:
        UsageError: the shape or the type is another.
        DataError: a sample is not finite, or there are too many channels.
    """
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype in (torch.bfloat16, torch.float16) else values).numpy()
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # rows of different lengths
        array = np.asarray(None)
    if array.ndim not in (1, 2):
        raise UsageError(f"{name} has the shape {array.shape}; give samples, or samples by channels.")
    kind = array.dtype.kind
    scale = SCALES.get(array.dtype.str[1:])
    if kind != "f" and scale is None and array.size:
        raise UsageError(
            f"{name} is of type {array.dtype}; give floats with 1 for full scale, or 16-bit integers."
        )
    if array.ndim == 2 and array.shape[0] < array.shape[1]:
        array = array.T
    if array.ndim == 2:
        require_channels(array.shape[1], name)
    if kind == "f":
        with np.errstate(over="ignore"):
            scaled = array.astype(np.float32)
    else:  # exact: what full scale is divided by is a power of two
        zero, full = scale or (0, 1)
        scaled = (array.astype(np.float32) - np.float32(zero)) * np.float32(1 / full)
    scaled = mono(scaled) if scaled.ndim == 2 else scaled
    if kind == "f":
        require_finite(scaled, name, rate=rate)
    return np.ascontiguousarray(scaled)


def require_speech(samples: Samples, rate: int, name: str) -> None:
    """Raise DataError for a recording from which nothing can be learned: empty, very short or silent."""
    if len(samples) == 0:
        raise DataError(f"{name} holds no samples; record it again.")
    if len(samples) < MIN_SECONDS * rate:
        seconds = len(samples) / rate
        raise DataError(
            f"{name} lasts {seconds * 1000:.3g} ms; speech lasts {MIN_SECONDS * 1000:.0f} ms at least."
        )
    if np.ptp(samples) <= SILENCE:
        raise DataError(f"{name} is silent; record it again, or remove it.")


def flaw(samples: Samples) -> str | None:
    """Return what is wrong with a recording that can still be used, or None."""
    if len(samples) == 0:
        return None
    share = float(np.mean(np.abs(samples) >= FULL_SCALE))
    if share > CLIPPED_SHARE:
        return f"is clipped ({share:.0%} of its samples are at full scale)"
    offset = float(samples.mean(dtype=np.float64))
    return f"is shifted (its mean is {offset:.2f}, not 0)" if abs(offset) > OFFSET else None
