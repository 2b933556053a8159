"""Make the demo's small data sets again from the public ones: python bench/demo_data.py src/elman/demo

`ELMAN_DATA` names the folder of the public sets. src/elman/demo/DATA.md tells their sources and licences.
"""

import html
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

WORD: Final = re.compile(r"[\w']+|[^\w\s]")
# sentiment
RATED: Final = ("tweets_GroundTruth.txt", "amazonReviewSnippets_GroundTruth.txt")
MIN_RATING: Final = 1.0  # from -4 to 4, the mean of 20 people: clearly good or bad
MAX_TEXT_WORDS: Final = 16
TEXTS: Final = 600  # of each label
COARSE: Final = re.compile(
    r"fuck|shit|bitch|damn|\bass\b|crap|sex|nigg|whore|slut|suck|kill|rape|\bmate\b|@|http|�", re.I
)
# translation
MAX_SENTENCE_WORDS: Final = 6
MIN_WORD_COUNT: Final = 20  # among the pairs that are kept: every word can be learned
PAIRS: Final = 2600
# talk
TOPICS: Final = (
    *("greetings", "conversations", "botprofile", "ai", "emotion"),
    *("food", "movies", "psychology", "science"),
)
MAX_TURN_WORDS: Final = 12
# digits
SPEAKER: Final = "nicolas"
TAKES: Final = (*range(3), *range(5, 15))  # of each digit; those below 5 are in the set's test part
MU: Final = 255  # of the companding (ITU-T G.711)


def reviews(folder: Path) -> Iterator[str]:
    """Yield lines of label, tab, text: as many good as bad, shuffled."""
    texts: dict[str, list[str]] = {"good": [], "bad": []}
    for name in RATED:
        for line in (folder / name).read_text(encoding="utf-8", errors="replace").splitlines():
            _, rating, text = line.split("\t")[:3]
            text = " ".join(html.unescape(text).replace("@anonymous", "").split())
            clear = abs(float(rating)) >= MIN_RATING and 3 <= len(text.split()) <= MAX_TEXT_WORDS
            if clear and not COARSE.search(text):
                texts["good" if float(rating) > 0 else "bad"].append(text)
    rows = []
    for label, all_texts in texts.items():
        different = list({text.lower(): text for text in all_texts}.values())
        rows += [f"{label}\t{text}" for text in random.Random(0).sample(different, TEXTS)]
    random.Random(0).shuffle(rows)
    yield "label\ttext"
    yield from rows


def pairs(file: Path) -> Iterator[str]:
    """Yield lines of French, tab, English: short sentences of frequent words, an English one once."""
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        english, french = line.split("\t")[:2]
        if len(english.split()) <= MAX_SENTENCE_WORDS and not COARSE.search(english):
            found.setdefault(english, french.replace("\u202f", " ").replace("\xa0", " "))
    kept = list(found.items())
    while True:
        counts = [Counter(word for pair in kept for word in set(_words(pair[side]))) for side in (0, 1)]
        frequent = [
            pair
            for pair in kept
            if all(counts[side][word] >= MIN_WORD_COUNT for side in (0, 1) for word in _words(pair[side]))
        ]
        if len(frequent) == len(kept):
            break
        kept = frequent
    yield "french\tenglish"
    yield from (f"{french}\t{english}" for english, french in random.Random(0).sample(kept, PAIRS))


def talks(folder: Path) -> Iterator[str]:
    """Yield lines of question, tab, answer."""
    for topic in TOPICS:
        turns: list[str] = []
        for line in [*(folder / f"{topic}.yml").read_text(encoding="utf-8").splitlines(), "- - "]:
            if line.startswith("- - "):
                yield from _short(turns)
                turns = []
            if match := re.match(r"(?:- | {2})- (.*)", line):
                turns.append(match[1].strip("'\" ").replace("''", "'"))
            elif line.startswith("    ") and turns:  # a turn of several lines
                turns[-1] += " " + line.strip().strip("'\"")


def digits(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return lines of digit, take and number of samples, and all samples (N,), 8 kHz, as µ-law bytes."""
    import soundfile

    lines, samples = ["digit,take,samples"], []
    for digit, take in product(range(10), TAKES):
        sound, _ = soundfile.read(folder / f"{digit}_{SPEAKER}_{take}.wav", dtype="float32")
        lines.append(f"{digit},{take},{len(sound)}")
        loud = np.log1p(MU * np.abs(sound)) / np.log1p(MU)
        samples.append(np.round(127.5 * (1 + np.sign(sound) * loud)).astype(np.uint8))
    return lines, np.concatenate(samples)


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def _short(turns: list[str]) -> Iterator[str]:
    for question, answer in zip(turns[::2], turns[1::2], strict=False):
        short = all(0 < len(turn.split()) <= MAX_TURN_WORDS for turn in (question, answer))
        if short and not COARSE.search(question + answer):
            yield f"{question}\t{answer}"


def write(path: Path, lines: Iterable[str]) -> None:
    """Write lines as UTF-8."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def main(place: Path) -> None:
    """Write all files."""
    data = Path(os.environ["ELMAN_DATA"])
    write(place / "reviews.tsv", reviews(data / "sentiment/vader_icwsm2014"))
    write(place / "french_english.tsv", pairs(data / "translation/tatoeba/fra-eng.txt"))
    write(place / "talks.tsv", dict.fromkeys(talks(data / "chat/chatterbot_corpus")))
    lines, samples = digits(data / "speech/fsdd")
    write(place / "digits.csv", lines)
    np.savez_compressed(place / "digits.npz", samples=samples)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
