"""Decode the samples that clients send."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.serve.answers import ApiError
from elman.settings import is_number

Samples = NDArray[np.int16] | NDArray[np.float32]


def pcm16(content: bytes) -> NDArray[np.int16]:
    """Return 16-bit samples, little-endian. Raises ApiError for an odd number of bytes."""
    if len(content) % 2:
        raise ApiError(422, "a binary message must hold 16-bit samples, in an even number of bytes")
    return np.frombuffer(content, "<i2").astype(np.int16)


def samples_of(item: Any) -> Samples:
    """Return samples: 16-bit PCM as it comes in a binary message, or a list of numbers from -1 to 1. Raises
    ApiError for anything else."""
    if isinstance(item, bytes):
        return pcm16(item)
    if not isinstance(item, list) or not all(map(is_number, item)):
        raise ApiError(422, "push takes a list of numbers, or 16-bit PCM as a binary message", "push")
    return np.array(item, np.float32)


def _mu_law() -> NDArray[np.int16]:
    codes = ~np.arange(256)
    magnitudes = (((codes & 15) << 3) + 132 << ((codes >> 4) & 7)) - 132
    return np.where(codes & 128, -magnitudes, magnitudes).astype(np.int16)


def _a_law() -> NDArray[np.int16]:
    codes = np.arange(256) ^ 0x55
    steps, exponents = ((codes & 15) << 4) + 8, (codes >> 4) & 7
    magnitudes = np.where(exponents, steps + 256 << np.maximum(exponents - 1, 0), steps)
    return np.where(codes & 128, magnitudes, -magnitudes).astype(np.int16)


# The two logarithmic codes of telephony, by their names in MIME types (ITU-T G.711).
G711: Final = {"pcmu": _mu_law(), "pcma": _a_law()}
