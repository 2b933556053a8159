"""Conversations that are trained on and held out, and what a small chatbot learns of them."""

import pytest

from elman.data.text.conversations import read_conversations
from elman.errors import DataError
from elman.tasks import Chatbot
from elman.tasks.chat.train import TrainingData, conversation_hashes, require_replies
from toy_language import SMALL_BOT, world

pytestmark = pytest.mark.usefixtures("short_talks")
THINGS = ("house", "tree", "river", "stone", "horse", "book", "letter", "song")


def test_conversations_that_begin_alike_are_on_one_side() -> None:
    openings = [[f"Hello {k}!", f"Hello yourself, {k}!"] for k in range(20)]
    whole = read_conversations([[*opening, f"And {n}?", "Yes."] for opening in openings for n in range(3)])
    choices = {name: value for name, value in SMALL_BOT.items() if name != "progress"}
    data = TrainingData.of(whole, None, choices)
    first, second = ({turns[0].text for turns in part} for part in (data.train, data.held_out))
    assert first and second and not first & second and len(first) + len(second) == 20
    assert not {*conversation_hashes(data.train)} & {*conversation_hashes(data.held_out)}
    assert data.ranker_trial(data.settings).model is not None


def test_conversations_without_a_reply_are_named() -> None:
    silent = [[{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]]
    with pytest.raises(DataError, match=r"^bare holds no turn of the assistant after one of the user\.$"):
        require_replies(read_conversations(silent).all, "bare")
    require_replies(read_conversations(world(1)).all, "bare")


def test_a_small_bot_answers_its_training_questions() -> None:
    questions = [f"What is {a} {b}?" for a in ("a red", "a cold", "an old", "my") for b in THINGS]
    pairs = [(question, f"{question[8:-1]} is number {k}.") for k, question in enumerate(questions)]
    model = Chatbot.fit(
        [list(pair) for pair in pairs], **SMALL_BOT | {"ranker_units": 16, "ranker_epochs": 30}
    )
    answers = dict(zip(*model.pairs, strict=True))
    assert sum(model.predict(question) == answers[question] for question in answers) >= 0.95 * len(answers)
