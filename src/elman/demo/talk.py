"""A talk with a chatbot."""

from typing import Any, Final

from elman.demo.part import Measure, Part, Table, columns_of, rows_of, score_table
from elman.tasks.chat.chatbot import Chatbot

SHOWN: Final = (
    "Hello!",
    "What is your name?",
    "Do you like films?",
    "Can you feel anything?",
    "Good night!",
)
MEASURES: Final = {
    "hits": Measure("true reply first of 20", "{:.0%}", max),
    "distinct2": Measure("different word pairs", "{:.0%}", max),
}
SETTINGS: Final[dict[str, Any]] = {
    "hidden": 96,
    "embedding": 64,
    "epochs": 8,
    "num_samples": 4,
    "beam_width": 2,
    "max_tokens": 24,
}


def talks_of(quick: bool) -> list[list[str]]:
    """Return questions and their answers, ours last."""
    return [*([] if quick else rows_of("talks.tsv")), *rows_of("our_talks.tsv")]


def trained(progress: bool, quick: bool) -> Chatbot:
    """Return the chatbot."""
    settings = SETTINGS | ({"epochs": 1, "hidden": 8, "ranker_epochs": 1, "max_tokens": 4} if quick else {})
    return Chatbot.fit(talks_of(quick), progress=progress, **settings)


def run(progress: bool, quick: bool) -> Part:
    """Train a chatbot; talk to it."""
    ours, talks, model = rows_of("our_talks.tsv"), talks_of(quick), trained(progress, quick)
    columns = columns_of(model.validation)
    stream, rows, answers = model.stream(), [], {answer for _, answer in talks}
    for question in SHOWN:
        stream.push(question)
        reply = stream.result()
        rows.append([question, reply, "no" if reply in answers else "yes"])
    return Part(
        title="A talk",
        about=(
            f"A chatbot. Trained on nine tenths of {len(talks)} short questions and answers, {len(ours)} of "
            "them written by us, the others from chatterbot-corpus (BSD 3-Clause); scored on the rest. It "
            "chooses among replies that it writes and training replies."
        ),
        table=score_table(columns, MEASURES),
        verdict=verdict(columns),
        scores=model.validation.to_dict() | {"trained on": len(talks)},
        examples=Table(["you", "elman", "its own words"], rows),
    )


def verdict(columns: Any) -> str:
    """Return how often each finds the true reply."""
    ours, plain = (columns[name]["hits"] for name in ("elman", "retrieval"))
    return (
        f"It ranks the true reply first among 20 for {ours:.0%} of the held-out questions; the nearest "
        f"training question does for {plain:.0%}, chance for 5%. A few hundred lines teach replies, not a "
        "conversation."
    )
