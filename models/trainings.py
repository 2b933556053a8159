"""What each model learns from, and how: data, settings, and the part that its training does not see.

The data are public (variable ELMAN_DATA); those of sales, and our own small talk, come with elman.
"""

import itertools
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import elman
from elman.data.batches import normalize, split_groups
from elman.data.text.pairs import read_pairs
from elman.demo import series
from elman.demo.part import rows_of
from elman.demo.sentiment import BAD, GOOD, HELD_OUT, made

Row = tuple[str, str]  # a text and its label
Talk = list[str]  # its turns

TEST_SHARE: Final = 0.1
# sentiment
RATED: Final = ("tweets", "movieReviewSnippets", "amazonReviewSnippets", "nytEditorialSnippets")
MIN_RATING: Final = 0.5  # of -4 to 4, as VADER's authors divide them
MADE: Final = 1800  # sentences such as "The hotel was not lovely"
GLAD: Final = ("happy", "pleased", "satisfied", "impressed", "glad", "delighted")
SORRY: Final = ("sad", "disappointed", "angry", "unhappy", "upset", "bored")
# letters
TEST_PLAYS: Final = ("tempest", "twelfthnight", "macbeth")
REMARKS: Final = 900  # such as “Not bad!”
REMARKS_HELD_OUT: Final = ("boring", "terrible", "weak", "lovely", "funny", "clever")  # none is trained on
BEGINNINGS: Final = ("", "Very ", "Really ", "So ", "It's ", "It was ", "That's ")
NEGATIONS: Final = (
    *("Not ", "Not very ", "Not too ", "Not so ", "Not that "),
    *("It's not ", "It wasn't ", "Isn't "),
)
# words
SENTENCES_TEST_SHARE: Final = 0.05
SENTENCES_TOGETHER: Final = 10  # in a document, whose beginning is what a typed text begins with
# French to English
MAX_WORDS: Final = 5  # of a sentence in either language
PAIRS_TEST_SHARE: Final = 0.02
# digits
DIGITS: Final = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEST_TAKES: Final = 5  # the first of each digit and speaker, as the data set says
# small talk
LEFT_OUT: Final = ("tech_support", "coding")  # most of the corpus, and no small talk
# sales
TEST_MONTHS: Final = 36


def data(part: str) -> Path:
    """Return a folder of ELMAN_DATA; without it, end with a sentence."""
    root = os.environ.get("ELMAN_DATA")
    if not root or not (Path(root) / part).is_dir():
        sys.exit(f"set the variable ELMAN_DATA to the folder that holds {part}")
    return Path(root) / part


# sentiment: (text, label) rows


def rated_texts() -> tuple[list[Row], list[Row]]:
    """Return VADER's texts to train on and to test on; no text is in both."""
    rows = [row for name in RATED for row in _rated(name)]
    train, test = split_groups([normalize(text) for text, _ in rows], TEST_SHARE, seed=0)
    return [rows[i] for i in train], [rows[i] for i in test]


def _rated(name: str) -> Iterator[Row]:
    file = data("sentiment/vader_icwsm2014") / f"{name}_GroundTruth.txt"
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        _, rating, text = line.split("\t", 2)
        value = float(rating)
        label = "positive" if value >= MIN_RATING else "negative" if value <= -MIN_RATING else "neutral"
        yield text, label


def negations(about_movies: bool) -> list[Row]:
    """Return made-up sentences with and without "not": about movies, or about anything else."""
    labels = {"good": "positive", "bad": "negative"}
    return [(text, labels[label]) for text, label in made() if (HELD_OUT in text) == about_movies]


def feelings() -> list[Row]:
    """Return made-up sentences such as "I am not happy" and "We were very disappointed"."""
    subjects, how = ("I am", "We are", "I was", "We were", "She was"), ("", "very ", "not ", "not very ")
    return [
        (f"{subject} {degree}{word}", "positive" if (word in GLAD) != ("not" in degree) else "negative")
        for subject, degree, word in itertools.product(subjects, how, GLAD + SORRY)
    ]


def remarks(held_out: bool) -> list[Row]:
    """Return made-up remarks such as "Not dull at all!", of some words or of the others."""
    rows, ends = [], ("", ".", "!")
    for word in GOOD + BAD:
        if (word in REMARKS_HELD_OUT) != held_out:
            continue
        plain, negated = ("positive", "negative") if word in GOOD else ("negative", "positive")
        rows += [(f"{begin}{word}{end}", plain) for begin, end in itertools.product(BEGINNINGS, ends)]
        shapes = itertools.product(NEGATIONS, ("", " at all"), ends)
        rows += [(f"{begin}{word}{tail}{end}", negated) for begin, tail, end in shapes]
    return rows


def fit_sentiment(work: Path, **options: Any) -> elman.Classifier:
    made_up = random.Random(0)
    rows = rated_texts()[0] + made_up.sample(negations(False), MADE) + feelings()
    rows += made_up.sample(remarks(False), REMARKS)
    return elman.Classifier.fit(labelled(rows), vocabulary=5000, hidden=64, embedding=40, **options)


def labelled(rows: list[Row]) -> dict[str, list[str]]:
    return {"text": [text for text, _ in rows], "label": [label for _, label in rows]}


# letters: files of plays


def plays(work: Path, test: bool) -> Path:
    """Write the plays to train on, or those to test on, as one file."""
    files = sorted(data("lm/shakespeare_plays").glob("*.txt"))
    chosen = [file for file in files if file.stem != "SOURCE" and (file.stem in TEST_PLAYS) == test]
    work.mkdir(parents=True, exist_ok=True)
    joined = work / ("test-plays.txt" if test else "plays.txt")
    joined.write_text("\n\n".join(file.read_text(encoding="utf-8") for file in chosen), encoding="utf-8")
    return joined


def fit_letters(work: Path, **options: Any) -> elman.LanguageModel:
    settings = {"tokenizer": "character", "hidden": 256, "embedding": 64, "epochs": 4, "batch_size": 16}
    settings |= {"dropout": 0.1, "weight_dropout": 0.0}  # a small network that reads 20 million letters
    return elman.LanguageModel.fit(plays(work, test=False), **settings, **options)


# words: documents of a few sentences, one a line


def sentences(test: bool) -> dict[str, list[str]]:
    """Return Tatoeba's English sentences in random order; no sentence is in both parts."""
    pairs = read_pairs(data("translation/tatoeba") / "fra-eng.txt")
    every = list(dict.fromkeys(pairs.source))
    random.Random(0).shuffle(every)
    chosen = split_groups([normalize(text) for text in every], SENTENCES_TEST_SHARE, seed=0)[test]
    lines = [every[i] for i in chosen]
    together = SENTENCES_TOGETHER
    return {"text": ["\n".join(lines[k : k + together]) for k in range(0, len(lines), together)]}


def fit_words(work: Path, **options: Any) -> elman.LanguageModel:
    settings = {"tokenizer": "word", "min_count": 3, "hidden": 384, "embedding": 160, "epochs": 8}
    settings |= {"batch_size": 16, "bptt": 64, "dropout": 0.25, "logit_scale": 4.0}  # as for Penn Treebank
    return elman.LanguageModel.fit(sentences(test=False), **settings, **options)


# French to English: pairs of sentences


def sentence_pairs(test: bool) -> dict[str, list[str]]:
    """Return short pairs, French and English; no French sentence is in both parts."""
    pairs = read_pairs(data("translation/tatoeba") / "fra-eng.txt")
    rows = [
        (french, english)
        for english, french in zip(pairs.source, pairs.target, strict=True)
        if max(len(french.split()), len(english.split())) <= MAX_WORDS
    ]
    chosen = split_groups([normalize(french) for french, _ in rows], PAIRS_TEST_SHARE, seed=0)[test]
    return {"source": [rows[i][0] for i in chosen], "target": [rows[i][1] for i in chosen]}


def fit_french(work: Path, **options: Any) -> elman.Translator:
    settings = {"vocabulary": 2000, "hidden": 128, "embedding": 96, "epochs": 3}
    return elman.Translator.fit(sentence_pairs(test=False), **settings, **options)


# digits: recordings named digit_speaker_take.wav


def recordings(test: bool) -> list[dict[str, str]]:
    rows = []
    for file in sorted(data("speech/fsdd").rglob("*.wav")):
        digit, speaker, take = file.stem.split("_")
        if (int(take) < TEST_TAKES) == test:
            rows.append({"audio": str(file), "text": DIGITS[int(digit)], "speaker": speaker})
    return rows


def fit_digits(work: Path, **options: Any) -> elman.Transcriber:
    return elman.Transcriber.fit(recordings(test=False), live=True, **options)


# small talk: lists of turns


def talks(test: bool) -> list[Talk]:
    """Return conversations of the corpus and our own; no first turn is in both parts."""
    files = sorted(data("chat/chatterbot_corpus").glob("*.yml"))
    every = [talk for file in files if file.stem not in LEFT_OUT for talk in _turns(file)]
    every += rows_of("our_talks.tsv")
    chosen = split_groups([normalize(talk[0]) for talk in every], TEST_SHARE, seed=0)[test]
    return [every[i] for i in chosen]


def _turns(file: Path) -> Iterator[Talk]:
    """Read a list of lists: "- - question", and "  - answer" below it."""
    talk: Talk = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("- - ") and len(talk) > 1:
            yield talk
        if line.startswith("- - "):
            talk = []
        if line.startswith(("- - ", "  - ")) and line[4:].strip():
            talk.append(line[4:].strip().strip("'\""))
    if len(talk) > 1:
        yield talk


def fit_talk(work: Path, **options: Any) -> elman.Chatbot:
    return elman.Chatbot.fit(talks(test=False), **options)


# sales: a table of months


def fit_sales(work: Path, **options: Any) -> elman.Forecaster:
    return elman.Forecaster.fit(series.sales()[:-TEST_MONTHS], horizon=12, **options)
