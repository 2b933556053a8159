"""A translation: French sentences to English."""

from typing import Any, Final

from elman.demo.part import Measure, Part, Table, columns_of, divided, rows_of, score_table
from elman.tasks.translate.translator import Translator

SHOWN: Final = 6  # the first sentences of those that are scored
SCORED: Final = 100
VALID: Final = 60  # on which the best epoch is chosen
MEASURES: Final = {
    "bleu": Measure("BLEU", "{:.1f}", max),
    "chrf": Measure("chrF", "{:.1f}", max),
}
SETTINGS: Final[dict[str, Any]] = {
    "vocabulary": 1200,
    "hidden": 128,
    "embedding": 64,
    "epochs": 9,
    "batch_size": 64,
    "learning_rate": 6e-3,
    "beam_width": 3,
}


def run(progress: bool, quick: bool) -> Part:
    """Train a translator; score it on sentences that it has not seen."""
    pairs = rows_of("french_english.tsv")[1 : 400 if quick else None]
    train, test = divided(pairs, SCORED / len(pairs))
    seen = {french for french, _ in train}
    test = [pair for pair in test if pair[0] not in seen]
    settings = SETTINGS | ({"epochs": 1, "hidden": 8, "embedding": 8} if quick else {})
    train, valid = divided(train, VALID / len(train))
    model = Translator.fit(
        _columns(train),
        source="french",
        target="english",
        valid=_columns(valid),
        progress=progress,
        **settings,
    )
    evaluation = model.evaluate(_columns(test))
    columns = columns_of(evaluation)
    shown = test[:SHOWN]
    replies = model.predict([french for french, _ in shown])
    rows = [[french, reply, english] for (french, english), reply in zip(shown, replies, strict=True)]
    return Part(
        title="A translation",
        about=(
            f"French to English. Trained on {len(train):,} pairs of short sentences (Tatoeba, by way of "
            f"manythings.org/anki, CC BY 2.0 FR); scored on {len(test)} others, of which the first are shown."
        ),
        table=score_table(columns, MEASURES),
        verdict=verdict(columns),
        scores=evaluation.to_dict() | {"trained on": len(train)},
        examples=Table(["French", "elman", "a person"], rows),
    )


def verdict(columns: Any) -> str:
    """Return which of the two translates better."""
    ours, plain = (columns[name]["bleu"] for name in ("elman", "dictionary"))
    said = f"{ours:.0f} points of BLEU, a word-for-word dictionary {plain:.0f}"
    if ours > plain:
        return f"It translates better than word for word: {said}. Many more pairs would make it good."
    return f"It does not translate better than word for word: {said}."


def _columns(pairs: list[list[str]]) -> dict[str, list[str]]:
    french, english = zip(*pairs, strict=True)
    return {"french": list(french), "english": list(english)}
