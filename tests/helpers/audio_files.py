"""Small recordings for tests."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


def noise(count: int, seed: int = 0, level: float = 0.1) -> NDArray[np.float32]:
    return (level * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def encoded(
    samples: NDArray[np.float32], rate: int = 8000, kind: str = "WAV", code: str | None = None
) -> bytes:
    """Return the content of a file of samples (samples,) or (samples, channels)."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=code)
    return file.getvalue()


def save(folder: Path, name: str, samples: NDArray[np.float32] | None = None, rate: int = 8000) -> Path:
    """Write a recording, by default of 0.1 s of noise, in the format of the name's ending."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix[1:].upper()
    path.write_bytes(encoded(noise(800) if samples is None else samples, rate, kind))
    return path


def pieces(samples: NDArray[np.float32], sizes: list[int]) -> list[NDArray[np.float32]]:
    """Cut samples into pieces of these sizes, over and over."""
    cuts, at = [0], 0
    while at < len(samples):
        at += sizes[len(cuts) % len(sizes)]
        cuts.append(min(at, len(samples)))
    return [samples[a:b] for a, b in pairwise(cuts)]


def name_of(value: object) -> str | None:
    """Return the name of a parameter of a test: files of floats hold the time at which they were made."""
    return "file" if isinstance(value, bytes) else None
