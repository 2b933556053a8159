"""Good or bad: "The movie was not good", word by word.

Real tweets and sentences of product reviews teach the words of praise and blame; made-up sentences, none of
them about a movie, what "not" does to them.
"""

import random
from itertools import product
from typing import Any, Final

from elman.demo.part import Measure, Part, Table, Word, columns_of, divided, rows_of, score_table
from elman.tasks.classify.classifier import Classifier

THINGS: Final = ["movie", "film", "book", "song", "meal", "hotel", "show", "story", "concert", "game"]
WHICH: Final = (
    "",
    "",
    " I watched last year in London with my old friends",
    " that my sister told me about",
    " we found on Monday",
)
GOOD: Final = (
    *("good", "great", "lovely", "funny", "nice", "excellent", "beautiful"),
    *("exciting", "wonderful", "brilliant", "amazing", "clever"),
)
BAD: Final = (
    *("bad", "dull", "awful", "boring", "terrible", "horrible", "poor"),
    *("weak", "ugly", "stupid", "silly", "dreadful"),
)
HOW: Final = ("", "", "very ", "really ", "not ", "never ", "not very ")
FORMS: Final = (
    "The {thing}{which} was {how}{word}",
    "I found the {thing}{which} {how}{word}",
    "It was {how}{word}",
)
MADE: Final = 1800  # sentences
HELD_OUT: Final = "movie"  # the thing of which no training sentence is
SHOWN: Final = {  # and the true answers
    "The movie was good": "good",
    "The movie was not good": "bad",
    "not bad": "good",
    "The movie I watched last year in London with my old friends was not good": "bad",
}
MEASURES: Final = {
    "real": Measure("accuracy, real texts", "{:.1%}", max),
    "movies": Measure("accuracy, made-up sentences about a movie", "{:.1%}", max),
}
SETTINGS: Final[dict[str, Any]] = {
    "networks": 1,
    "hidden": 48,
    "embedding": 48,
    "phrase": 0,
    "word_dropout": 0.0,
    "epochs": 8,
    "dropout": 0.2,
    "embedding_dropout": 0.1,
    "learning_rate": 5e-3,
}
Row = tuple[str, str]  # a text and its label


def made() -> list[Row]:
    """Return every sentence of the forms above, and whether it praises or blames."""
    rows: dict[str, str] = {}
    for form, thing, which, how, word in product(FORMS, THINGS, WHICH, HOW, GOOD + BAD):
        negated = how.startswith(("not", "never"))
        text = form.format(thing=thing, which=which, how=how, word=word)
        rows[text] = "good" if (word in GOOD) != negated else "bad"
    return list(rows.items())


def training_rows(quick: bool) -> list[Row]:
    """Return real texts, and sentences made up of other things than movies."""
    train, _ = divided(_real())
    train += random.Random(0).sample([row for row in made() if HELD_OUT not in row[0]], MADE)
    return train[-200:] if quick else train


def trained(progress: bool, quick: bool) -> Classifier:
    """Return the classifier."""
    settings = SETTINGS | ({"epochs": 1, "hidden": 8} if quick else {})
    rows = _columns(training_rows(quick))
    return Classifier.fit(rows, text="text", label="label", stream=True, progress=progress, **settings)


def _real() -> list[Row]:
    return [(text, label) for label, text in rows_of("reviews.tsv")[1:]]


def run(progress: bool, quick: bool) -> Part:
    """Train a classifier; score it on real texts and on sentences whose negation it has never seen."""
    real, train, model = _real(), training_rows(quick), trained(progress, quick)
    _, real_test = divided(real)
    movies = [row for row in made() if HELD_OUT in row[0]][: 40 if quick else None]
    tests = {"real": model.evaluate(_columns(real_test)), "movies": model.evaluate(_columns(movies))}
    by_test = {key: columns_of(test) for key, test in tests.items()}
    columns = {
        name: {key: columns[name]["accuracy"] for key, columns in by_test.items()} for name in by_test["real"]
    }
    read = [_read(model, text) for text in SHOWN]
    answers = [Word(text, words[-1].good) for text, words in zip(SHOWN, read, strict=True)]
    return Part(
        title="Sentiment",
        about=(
            f"Does a sentence praise or blame? Trained on {len(real) - len(real_test):,} real tweets and "
            "sentences of product reviews, each rated by 20 people (VADER, C.J. Hutto, MIT licence), and "
            f"{MADE:,} made-up sentences such as “The hotel was not lovely”, none of them about a movie. "
            f"Scored on {len(real_test)} other real texts and on {len(movies):,} made-up sentences about a "
            "movie."
        ),
        table=score_table(columns, MEASURES),
        verdict=verdict(columns, answers),
        scores={"trained on": len(train), "scores": columns.pop("elman"), "baselines": columns},
        examples=Table(["sentence", "answer", "probability"], [_answer(*answer) for answer in answers]),
        read=read,
    )


def verdict(columns: dict[str, dict[str, float | None]], answers: list[Word]) -> str:
    """Return what the scores say, and which of the sentences shown it got wrong."""
    wrong = [text for text, good in answers if (good > 0.5) != (SHOWN[text] == "good")]
    ours, plain = (columns[name] for name in ("elman", "TF-IDF"))
    said = (
        f"It gets {ours['real']:.0%} of the real texts right, words and word pairs alone (TF-IDF) "
        f"{plain['real']:.0%}; of the made-up sentences about a movie {ours['movies']:.0%} and "
        f"{plain['movies']:.0%}."
    )
    return f"{said} Wrong here: {'; '.join(f'“{text}”' for text in wrong)}." if wrong else said


def _read(model: Classifier, text: str) -> list[Word]:
    stream, words = model.stream(), []
    for word in text.split():
        stream.push(f"{word} ")
        words.append(Word(word, stream.result(probabilities=True)["good"]))
    return words


def _answer(text: str, good: float) -> list[str]:
    return [text, "good" if good > 0.5 else "bad", f"{max(good, 1 - good):.0%}"]


def _columns(rows: list[Row]) -> dict[str, list[str]]:
    texts, labels = zip(*rows, strict=True)
    return {"text": list(texts), "label": list(labels)}
