"""Made-up data for the lesson's live examples: reviews, next words, translations, talk and tones."""

import random
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

KINDS: Final = ("movie", "film", "book", "play", "song")
WHICH: Final = (
    "",
    "which I watched last year in London",
    "which we found in a shop on Monday",
    "that my friends liked",
    "I told you about last night",
)
HOW: Final = ("", "very", "really", "not", "never")
GOOD: Final = ("good", "great", "lovely", "funny")
BAD: Final = ("bad", "dull", "awful", "boring")
NEGATIONS: Final = ("not", "never")

WHO: Final = ("I", "You", "We", "They")
DEEP: Final = {
    "love": ("learning", "water", "snow"),
    "study": ("learning", "networks"),
    "swim in": ("water",),
}
OFTEN: Final = {"learning": 6, "networks": 3}  # of ten sentences or so; the others once each

NOUNS: Final = {"Hund": "dog", "Kind": "child", "Mann": "man", "Vogel": "bird"}
VERBS: Final = {"rennt": "runs", "singt": "sings", "schläft": "sleeps", "ruft": "calls"}
PLACES: Final = {"im Schnee": "in the snow", "im Park": "in the park", "im Haus": "in the house"}

TALKS: Final = (
    ("Hello!", "Hello, how are you?"),
    ("Good morning!", "Good morning, did you sleep well?"),
    ("What is your name?", "My name is Elman."),
    ("What do you like?", "I like sequences."),
    ("What is a sequence?", "A row of things whose order matters."),
    ("Do you remember me?", "For as long as my hidden state does."),
    ("Thank you!", "You are welcome."),
    ("Goodbye!", "See you soon."),
)

TONES: Final = {"yes": (5, 11), "no": (2, 7), "stop": (8, 14)}  # bands that sound, of 16
BANDS: Final = 16


def reviews() -> dict[str, list[str]]:
    """Return 1,000 sentences as columns `text` and `label`, "good" or "bad": "The movie was not good" is
    bad."""
    rows = {"text": list[str](), "label": list[str]()}
    for kind, which, how, word in product(KINDS, WHICH, HOW, GOOD + BAD):
        rows["text"].append(" ".join(f"The {kind} {which} was {how} {word}".split()))
        rows["label"].append("good" if (word in GOOD) != (how in NEGATIONS) else "bad")
    return rows


def sentences_of_love(count: int = 400, seed: int = 0) -> list[str]:
    """Return lines such as "I love deep learning"; some words follow "deep" more often than others."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        verb = draw.choice(tuple(DEEP))
        words = DEEP[verb]
        word = draw.choices(words, [OFTEN.get(one, 1) for one in words])[0]
        lines.append(f"{draw.choice(WHO)} {verb} deep {word}.")
    return lines


def translations() -> dict[str, list[str]]:
    """Return German sentences and their translations, as columns `german` and `english`."""
    rows = {"german": list[str](), "english": list[str]()}
    for noun, verb, place in product(NOUNS, VERBS, PLACES):
        rows["german"].append(f"Ein {noun} {verb} {place}.")
        rows["english"].append(f"A {NOUNS[noun]} {VERBS[verb]} {PLACES[place]}.")
    return rows


def talks(times: int = 12) -> list[list[str]]:
    """Return conversations of two turns."""
    return [list(turns) for turns in TALKS * times]


def spoken(text: str, seed: int) -> NDArray[np.float32]:
    """Return frames (N, 16) of a sentence of the words "yes", "no" and "stop", with a pause around each: how
    loud each band of pitch is, 100 times a second."""
    generator = np.random.default_rng(seed)
    quiet = np.zeros((8, BANDS))
    parts = [quiet]
    for word in text.split():
        loud = np.zeros((int(generator.integers(15, 25)), BANDS))
        loud[:, list(TONES[word])] = generator.uniform(0.8, 1.2)
        parts += [loud, quiet]
    frames = np.concatenate(parts)
    return (frames + 0.1 * generator.normal(size=frames.shape)).astype(np.float32)


def recordings(count: int = 90) -> list[dict[str, Any]]:
    """Return recordings of one of the words each, as rows of `frames` and `text`."""
    texts = [tuple(TONES)[k % len(TONES)] for k in range(count)]
    return [{"frames": spoken(text, k), "text": text} for k, text in enumerate(texts)]
