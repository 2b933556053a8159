"""Recordings that nobody made: texts in synthesised voices, in rooms and over lines, all at random; and words
that do not exist."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from elman.data.audio.augment import add_noise
from elman.data.audio.channel import MIN_HIGH_HZ, in_room, through_line, trimmed
from elman.data.audio.resample import resample
from elman.data.audio.samples import MIN_SECONDS, Samples
from elman.data.audio.synthesis import Speaker, Voice
from elman.errors import DataError

SPEEDS: Final = (110, 260)  # words a minute
PITCHES, RANGES = (10, 90), (10, 90)  # of a speaker's 0 to 99
ROOM_SHARE, NOISE_SHARE, LINE_SHARE = 0.4, 0.8, 0.7  # of the recordings
NOISE: Final = (3.0, 35.0)  # dB of the speech over the noise
LOUD: Final = (0.005, 0.1)  # of the peak: what is quieter, before and after, is cut off
MARGIN: Final = 0.1  # seconds, at most, before and after the speech
NOISE_SECONDS: Final = (0.3, 3.0)  # of a recording without speech
LEVEL: Final = 0.01  # of its noise; 1 is full scale
# Parts of words that most languages have and can be read out.
ONSETS: Final = ("", *"bdfghklmnprstvwz", "ch", "sh", "br", "dr", "fl", "gr", "kl", "pl", "st", "tr")
VOWELS: Final = ("a", "e", "i", "o", "u", "ai", "ee", "oo", "ou")
CODAS: Final = ("", "", "", *"bdgklmnprst", "nd", "st")
# Of a word, and words of a text. A shorter word may sound like a phrase, which then was not to be written.
SYLLABLES, WORDS = (2, 4), (1, 4)
MIXED, KNOWN_SHARE = (2, 5), 0.5  # words of a mixed text, and how many of them are known


@dataclass(frozen=True)
class Studio:
    """Where recordings are made.

    Attributes:
        speaker: what reads texts out.
        voices: of which each recording has one.
        rate: of the recordings, in samples per second.
        seed: the same one, texts and voices give the same recordings.
    """

    speaker: Speaker
    voices: Sequence[Voice]
    rate: int
    seed: int

    def recordings(self, texts: Sequence[str], part: int) -> Iterator[Samples]:
        """Yield a recording (samples,) of each text, and of noise for an empty one; `part` numbers the parts
        of the data, which draw different numbers. Raises DataError for a text that a voice is silent on."""
        for number, text in enumerate(texts):
            draw = np.random.default_rng([self.seed, part, number])
            samples = self._spoken(text, draw) if text else self._noise(draw)
            if draw.random() < ROOM_SHARE:
                samples = in_room(samples, self.rate, draw)
            if draw.random() < NOISE_SHARE:
                generator = torch.Generator().manual_seed(int(draw.integers(1 << 62)))
                samples = add_noise(samples, generator, decibels=NOISE)
            if draw.random() < LINE_SHARE and self.rate > 2 * MIN_HIGH_HZ:
                samples = through_line(samples, self.rate, draw)
            yield samples

    def _spoken(self, text: str, draw: np.random.Generator) -> Samples:
        voice = self.voices[int(draw.integers(len(self.voices)))]
        speed, pitch, pitch_range = (int(draw.integers(*limits)) for limits in (SPEEDS, PITCHES, RANGES))
        loud = float(np.exp(draw.uniform(*np.log(LOUD))))
        speech = trimmed(self.speaker.say(text, voice, speed, pitch, pitch_range), loud)
        if len(speech) < MIN_SECONDS * self.speaker.rate:
            raise DataError(f"the voice {voice.name} is silent on {text[:40]!r}; write what it should say.")
        margins = [np.zeros(int(self.rate * draw.uniform(0, MARGIN)), np.float32) for _ in range(2)]
        return np.concatenate([margins[0], resample(speech, self.speaker.rate, self.rate), margins[1]])

    def _noise(self, draw: np.random.Generator) -> Samples:
        noise = draw.normal(scale=LEVEL, size=int(self.rate * draw.uniform(*NOISE_SECONDS)))
        return noise.astype(np.float32)


def made_up_texts(count: int, taken: set[str], draw: np.random.Generator) -> list[str]:
    """Return texts of words that do not exist, and are not `taken`."""
    texts = list[str]()
    while len(texts) < count:
        words = [_word(draw) for _ in range(int(draw.integers(WORDS[0], WORDS[1] + 1)))]
        texts += filter(None, [" ".join(word for word in words if word not in taken)])
    return texts


def mixed_texts(count: int, words: Sequence[str], draw: np.random.Generator) -> list[tuple[str, str]]:
    """Return texts in which `words` stand in any order among words that do not exist, and what each holds of
    `words`."""
    texts = list[tuple[str, str]]()
    for _ in range(count):
        known = draw.random(int(draw.integers(MIXED[0], MIXED[1] + 1))) < KNOWN_SHARE
        text = [str(draw.choice(words)) if one else _word(draw) for one in known]
        held = [word for word, one in zip(text, known, strict=True) if one]
        texts.append((" ".join(text), " ".join(held)))
    return texts


def _word(draw: np.random.Generator) -> str:
    parts = [ONSETS, VOWELS, CODAS] * int(draw.integers(SYLLABLES[0], SYLLABLES[1] + 1))
    return "".join(part[int(draw.integers(len(part)))] for part in parts)
