"""A chatbot on public data (variable ELMAN_DATA), through the public API.

ELMAN_DATA=... python bench/quality.py dialog
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import elman
from elman.data.batches import normalize
from quality_text import _data

MIN_WORDS: Final = 8  # of a turn that two dialogues hardly share by chance
EPOCHS: Final = 4
REPLIES: Final = 30


def dialog(**settings: Any) -> dict[str, Any]:
    """DailyDialog: trained on train, the best model chosen on validation. Test dialogues that occur word for
    word in train are dropped; "strict" also drops those that share a turn of 8 words or more with it, case
    and punctuation aside."""
    file = _data("chat/dailydialog") / "dailydialog.jsonl"
    parts: dict[str, list[list[str]]] = {}
    for line in file.read_text().splitlines():
        row = json.loads(line)
        parts.setdefault(row["split"], []).append(row["turns"])
    train_dialogues = {tuple(turns) for turns in parts["train"]}
    test = [turns for turns in parts["test"] if tuple(turns) not in train_dialogues]
    train_turns = {_plain(turn) for turns in parts["train"] for turn in turns}
    strict = [
        turns for turns in test if not any(_long(turn) and _plain(turn) in train_turns for turn in turns)
    ]
    start = time.perf_counter()
    model = elman.Chatbot.fit(parts["train"], valid=parts["validation"], **{"epochs": EPOCHS} | settings)
    seconds = time.perf_counter() - start
    scoring = time.perf_counter()
    results = {"dialogues": model.evaluate(test), "strict": model.evaluate(strict)}
    return {
        "score": results["dialogues"].scores["perplexity"],
        "test dialogues": len(test),
        "strict dialogues": len(strict),
        "seconds": round(seconds, 1),
        "seconds to score": round(time.perf_counter() - scoring, 1),
        "settings": asdict(model.settings),
        "replies": replies(model, strict),
    } | {name: result.to_dict() for name, result in results.items()}


def replies(model: elman.Chatbot, dialogues: list[list[str]], count: int = REPLIES) -> list[dict[str, Any]]:
    """Return replies to read by eye, in dialogues spread evenly: each to the user's second turn, or first."""
    rows = []
    for turns in (dialogues[k * len(dialogues) // count] for k in range(count)):
        before = turns[: 3 if len(turns) > 3 else 1]
        roles = ("user", "assistant", "user")
        stream = model.stream()
        stream.tell([{"role": role, "content": text} for role, text in zip(roles, before, strict=False)])
        best = stream.candidates()[0]
        answers = {"reply": best.text, "retrieved": best.retrieved, "true": turns[len(before)]}
        rows.append({"before": before} | answers)
    return rows


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"dialog": dialog}


def _plain(turn: str) -> str:
    return normalize("".join(letter if letter.isalnum() else " " for letter in turn))


def _long(turn: str) -> bool:
    return len(_plain(turn).split()) >= MIN_WORDS
