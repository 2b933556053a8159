"""A chatbot on public data (variable ELMAN_DATA), through the public API.

ELMAN_DATA=... python bench/quality.py dialog ranker small_talk
ELMAN_DATA=... python bench/quality_chat.py dialog FOLDER [epochs=2 ...]

The second command keeps the model in a folder, scores the one that is there already, goes on with a training
that was interrupted, and prints the thirty replies as a table.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import elman
from elman.data.batches import normalize
from quality_text import _data

MIN_WORDS: Final = 8  # of a turn that two dialogues hardly share by chance
EPOCHS: Final = 4
PROMPTS: Final = (
    "Hello, how are you today?",
    "What do you do for a living?",
    "I would like to book a table for two.",
    "Thank you very much!",
    "Where did you grow up?",
    "I have a terrible headache.",
    "Can you recommend a good film?",
    "How much is this coat?",
    "I am looking for the nearest bank.",
    "What is the weather like in your town?",
    "My train leaves in ten minutes!",
    "Do you play any sports?",
    "I lost my passport yesterday.",
    "Shall we go for a walk after dinner?",
    "I failed my exam again.",
    "Could you turn the music down, please?",
    "What would you like to drink?",
    "I got the job!",
    "Why are you late?",
    "May I speak to Mr. Miller?",
    "Is there a swimming pool in the hotel?",
    "I want to open an account.",
    "My brother is getting married next week.",
    "Do you have brothers or sisters?",
    "I think it will rain tomorrow.",
    "How long does it take to the airport?",
    "You look tired.",
    "What is the capital of Peru?",
    "Colourless ideas sleep furiously.",
    "Goodbye, see you on Monday.",
)


def dialog(folder: str | None = None, **settings: Any) -> dict[str, Any]:
    """DailyDialog: trained on train, the best model chosen on validation. Test dialogues that occur word for
    word in train are dropped; "strict" also drops those that share a turn of 8 words or more with it, case
    and punctuation aside."""
    parts = _dialogues()
    start = time.perf_counter()
    files = {path.name for path in Path(folder).glob("*")} if folder is not None else set()
    if "config.json" in files and "checkpoint.pt" not in files:
        model = elman.load(folder)
    else:
        options = {"epochs": EPOCHS, "folder": folder, "resume": "checkpoint.pt" in files} | settings
        model = elman.Chatbot.fit(parts["train"], valid=parts["validation"], **options)
    seconds, scoring = time.perf_counter() - start, time.perf_counter()
    results = {name: model.evaluate(parts[name]) for name in ("dialogues", "strict")}
    return {
        "score": results["dialogues"].scores["perplexity"],
        "test dialogues": len(parts["dialogues"]),
        "strict dialogues": len(parts["strict"]),
        "seconds": round(seconds, 1),
        "seconds to score": round(time.perf_counter() - scoring, 1),
        "settings": asdict(model.settings),
        "weights": None if model.rank_weights is None else model.rank_weights.tolist(),
        "replies": replies(model),
    } | {name: result.to_dict() for name, result in results.items()}


def replies(model: elman.Chatbot) -> list[dict[str, Any]]:
    """Return the reply to each prompt, and whether it is one of the training data, to read by eye."""
    rows = []
    for prompt in PROMPTS:
        stream = model.stream()
        stream.push(prompt)
        best = stream.candidates()[0]
        rows.append({"prompt": prompt, "reply": best.text, "retrieved": best.retrieved})
    return rows


def ranker(**settings: Any) -> dict[str, Any]:
    """The same dialogues with a small language model that reads them once: what the ranker does."""
    return dialog(**{"epochs": 1, "hidden": 128, "embedding": 128} | settings)


def small_talk(**settings: Any) -> dict[str, Any]:
    """The questions and answers of the ChatterBot corpus with all defaults: how many of 60 training questions
    are answered as in the data."""
    pairs = [pair for file in sorted(_data("chat/chatterbot_corpus").glob("*.yml")) for pair in _pairs(file)]
    start = time.perf_counter()
    model = elman.Chatbot.fit(pairs, **settings)
    seconds = time.perf_counter() - start
    answers: dict[str, set[str]] = {}
    for question, answer in zip(*model.pairs, strict=True):
        answers.setdefault(question, set()).add(answer)
    asked = random.Random(0).sample(sorted(answers), 60)
    return {
        "score": sum(model.predict(question) in answers[question] for question in asked),
        "of": len(asked),
        "pairs": len(pairs),
        "seconds": round(seconds, 1),
        "validation": model.validation.to_dict(),
    }


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "dialog": dialog,
    "ranker": ranker,
    "small_talk": small_talk,
}


def main(figure: str, folder: str, *options: str) -> None:
    """Compute a figure of `dialog` or `ranker` with the model in a folder, which is trained if it is not
    there yet, with settings such as "epochs=2"."""
    figures = {"dialog": dialog, "ranker": ranker}
    if figure not in figures:
        sys.exit(f"there is no figure {figure!r} of a model in a folder: there are {', '.join(figures)}")
    settings = {name: int(value) for name, value in (option.split("=") for option in options)}
    result = figures[figure](folder=folder, **settings)
    print(json.dumps({"figure": figure} | result), flush=True)
    for row in result["replies"]:
        print(f"| {row['prompt']} | {row['reply']} | {'retrieved' if row['retrieved'] else 'written'} |")


def _dialogues() -> dict[str, list[list[str]]]:
    """Return DailyDialog's parts, and of its test dialogues those that are scored."""
    file = _data("chat/dailydialog") / "dailydialog.jsonl"
    parts: dict[str, list[list[str]]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        parts.setdefault(row["split"], []).append(row["turns"])
    train = {tuple(turns) for turns in parts["train"]}
    train_turns = {_plain(turn) for turns in parts["train"] for turn in turns}
    parts["dialogues"] = [turns for turns in parts["test"] if tuple(turns) not in train]
    parts["strict"] = [
        turns
        for turns in parts["dialogues"]
        if not any(_long(turn) and _plain(turn) in train_turns for turn in turns)
    ]
    return parts


def _pairs(file: Path) -> list[list[str]]:
    """Read lists of turns, "- - question" and "  - answer" below it, as pairs of neighbours."""
    talks: list[list[str]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("- - "):
            talks.append([])
        if line.startswith(("- - ", "  - ")) and talks and line[4:].strip():
            talks[-1].append(line[4:].strip().strip("'\""))
    return [list(pair) for talk in talks for pair in pairwise(talk)]


def _plain(turn: str) -> str:
    return normalize("".join(letter if letter.isalnum() else " " for letter in turn))


def _long(turn: str) -> bool:
    return len(_plain(turn).split()) >= MIN_WORDS


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("which figure, and in which folder?")
    main(*sys.argv[1:])
