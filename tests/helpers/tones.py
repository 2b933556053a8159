"""Speech that is easy to learn: each word is a chord of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_files import save

RATE = 8000
PATTERN = "{label}_{speaker}_{n}.wav"
# Settings of a network that learns them.
SMALL = {"hidden": 32, "front": 32, "layers": 1, "bins": 24, "dropout": 0.0, "progress": False}
CHORDS = {"one": (300, 500), "two": (900, 1300), "three": (2000, 3000)}


def word(text: str, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return a quarter of a second or so of a word, at its own pitch and loudness."""
    count = int(RATE * generator.uniform(0.2, 0.3))
    times = np.arange(count) / RATE
    pitch, loudness = generator.uniform(0.97, 1.03), generator.uniform(0.1, 0.3)
    chord = sum(np.sin(2 * np.pi * pitch * hertz * times) for hertz in CHORDS[text])
    swell = np.minimum(np.minimum(times, times[::-1]) / 0.03, 1)
    return (loudness * chord * swell + 0.003 * generator.normal(size=count)).astype(np.float32)


def sentence(text: str, seed: int, pause: float = 0.15) -> NDArray[np.float32]:
    """Return words with pauses around them, in seconds."""
    generator = np.random.default_rng(seed)
    quiet = int(RATE * pause)
    parts = [0.003 * generator.normal(size=quiet)]
    for one in text.split():
        parts += [word(one, generator), 0.003 * generator.normal(size=quiet)]
    return np.concatenate(parts).astype(np.float32)


def write_words(folder: Path, each: int, speakers: int = 2) -> Path:
    """Write `each` recordings of every word as word_speaker_number.wav."""
    for k, text in enumerate(CHORDS):
        for n in range(each):
            name = f"{text}_s{n % speakers}_{n}.wav"
            save(folder, name, sentence(text, 100 * k + n, pause=0.05), RATE)
    return folder
