"""What lies between a mouth and a recording, at random: the room, the microphone, the line."""

from typing import Final

import numpy as np

from elman.data.audio.samples import Samples

DECAY: Final = (0.1, 0.6)  # seconds in which the sound of a room falls by 60 dB
DIRECT: Final = (0.0, 15.0)  # dB of the sound that comes straight from the mouth over that of the room
KEPT_SECONDS: Final = 0.1  # of the room's sound, after the end
COLOUR: Final = 16.0  # dB between the most and the least that a microphone may favour
POINTS: Final = 8  # of the response, which is a smooth curve between them
LOW_HZ: Final = (50.0, 400.0)  # where a line begins to let sound through, and ends to
MIN_HIGH_HZ, MAX_HIGH_HZ = 2_800.0, 8_000.0
EDGE: Final = 0.1  # width of these limits, as a share of their frequency


def trimmed(samples: Samples, loud: float) -> Samples:
    """Return the recording (samples,) from the first to the last of the samples that are louder than a share
    of the peak."""
    loud_ones = np.flatnonzero(np.abs(samples) > loud * np.abs(samples).max(initial=0.0))
    return samples[loud_ones[0] : loud_ones[-1] + 1] if len(loud_ones) else samples[:0]


def in_room(samples: Samples, rate: int, draw: np.random.Generator) -> Samples:
    """Return the recording (samples,) as a room sounds: its impulse response is noise that decays
    exponentially, after the sound that comes straight."""
    decay, direct = draw.uniform(*DECAY), draw.uniform(*DIRECT)
    times = np.arange(1, int(rate * decay)) / rate
    tail = draw.normal(size=len(times)) * 10 ** (-3 * times / decay)
    tail *= (10 ** (-direct / 10) / np.square(tail).sum()) ** 0.5
    count = len(samples) + int(KEPT_SECONDS * rate)
    size = power_of_two(len(samples) + len(tail) + 1)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(np.concatenate([[1.0], tail]), size)
    sound = np.fft.irfft(spectrum, size)[:count]
    return sound.astype(np.float32)


def through_line(samples: Samples, rate: int, draw: np.random.Generator) -> Samples:
    """Return the recording (samples,) as a microphone of a random colour and a line of random limits, a
    telephone's among them, leave it."""
    size = power_of_two(len(samples))
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    points = np.geomspace(100.0, rate / 2, POINTS)
    decibels = np.interp(frequencies, points, draw.uniform(-COLOUR / 2, COLOUR / 2, POINTS))
    low, high = draw.uniform(*LOW_HZ), draw.uniform(MIN_HIGH_HZ, MAX_HIGH_HZ)
    for limit, side in ((low, -1), (high, 1)):
        decibels -= 60 * np.clip(side * (frequencies - limit) / (EDGE * limit), 0, 1)
    sound = np.fft.irfft(np.fft.rfft(samples, size) * 10 ** (decibels / 20), size)[: len(samples)]
    return sound.astype(np.float32)


def power_of_two(length: int) -> int:
    """Return the least power of two, of which transforms are fast, that is no less."""
    return 1 << max(length - 1, 0).bit_length()
