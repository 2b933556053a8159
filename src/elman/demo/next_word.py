"""The next word: "I love deep ___"."""

import re
from typing import Any, Final

from elman.demo.part import Measure, Part, Table, columns_of, divided, rows_of, score_table, text_of
from elman.tasks.generate.language_model import LanguageModel

SHOWN: Final = ("I love deep", "The network forgets the", "Do you want to", "It will")
WRITTEN: Final = ("The network", "I love", "Why")  # beginnings of sentences
SENTENCE: Final = re.compile(r"[^.?!]*[.?!]?")
WORDS: Final = 3  # shown of each
MEASURES: Final = {
    "perplexity": Measure("perplexity ↓", "{:.1f}", min),
    "top1": Measure("next word right", "{:.1%}", max),
    "top3": Measure("among the first three", "{:.1%}", max),
}
SETTINGS: Final[dict[str, Any]] = {
    "hidden": 96,
    "embedding": 64,
    "epochs": 13,
    "bptt": 32,
    "batch_size": 16,
    "learning_rate": 8e-3,
    "dropout": 0.4,
    "weight_dropout": 0.0,
}


def sentences() -> list[str]:
    """Return the English sentences of the translation data, and ours about networks and the world."""
    return [
        *text_of("sentences.txt").splitlines(),
        *(english for _, english in rows_of("french_english.tsv")[1:]),
    ]


def trained(progress: bool, quick: bool) -> LanguageModel:
    """Return the language model."""
    train, test = divided(sentences()[: 400 if quick else None])
    settings = SETTINGS | ({"epochs": 1, "hidden": 8} if quick else {})
    return LanguageModel.fit(
        {"text": train}, text="text", tokenizer="word", valid={"text": test}, progress=progress, **settings
    )


def run(progress: bool, quick: bool) -> Part:
    """Train a language model of words; ask for the next word, and let it write."""
    ours = len(text_of("sentences.txt").splitlines())
    train, test = divided(sentences()[: 400 if quick else None])
    model = trained(progress, quick)
    columns = columns_of(model.validation)
    rows = []
    for prompt in SHOWN:
        words = model.predict(prompt, WORDS)
        listed = ", ".join(f"{word} {chance:.0%}" for word, chance in words)
        rows.append([f"{prompt} ___", listed, str(sum(f"{prompt} " in text for text in train))])
    return Part(
        title="The next word",
        about=(
            f"What comes next? Trained on {len(train):,} short English sentences: those of the translations "
            f"below (Tatoeba, CC BY 2.0 FR) and {ours} that we wrote about learning, water, snow and "
            f"networks. Scored on {len(test)} others."
        ),
        table=score_table(columns, MEASURES),
        verdict=verdict(columns),
        scores=model.validation.to_dict() | {"trained on": len(train), "written": _written(model)},
        examples=Table(["beginning", "next words", "times in training"], rows),
        notes=[f"It writes: {' '.join(_written(model))}"],
    )


def verdict(columns: Any) -> str:
    """Return which of the two models predicts better."""
    plain = next(name for name in columns if name != "elman")
    ours, theirs = columns["elman"]["perplexity"], columns[plain]["perplexity"]
    than = f"its perplexity is {ours:.1f}, that of the {plain}, which counts words, {theirs:.1f}"
    if ours < theirs:
        return f"The network predicts better than counting: {than}."
    return f"With so little text, counting predicts better: {than}."


def _written(model: LanguageModel) -> list[str]:
    """Return a sentence for each beginning."""
    sentences = []
    for begin in WRITTEN:
        rest = "".join(model.generate(begin, 80, temperature=0.5, seed=1))
        sentences.append(begin + SENTENCE.match(rest)[0])  # type: ignore[index]  # matches any text
    return sentences
