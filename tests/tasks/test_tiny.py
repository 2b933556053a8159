"""The smallest data: each text task trains and answers, or says in one sentence what it needs."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import elman
from elman.errors import DataError

pytestmark = pytest.mark.usefixtures("short_talks")
LINE = st.lists(st.sampled_from(["rain", "cat", "ñandú", "дом", "雨", "👍🏽", "a"]), min_size=1, max_size=8)
LINES = st.lists(LINE.map(" ".join), min_size=1, max_size=8)
QUICK: dict[str, Any] = {"epochs": 1, "hidden": 8, "progress": False}
SHORT = QUICK | {"max_tokens": 6}  # an untrained chatbot ends no reply, also when it talks with itself
few_examples = settings(
    max_examples=4, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
POEM = ["the rain came down", "upon the town", "the cat sat by the door", "it rained", "some more"]


def one_sentence(problem: DataError) -> bool:
    return "\n" not in str(problem) and str(problem).endswith(".")


@few_examples
@given(lines=LINES)
def test_a_text(lines: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tiny") / "poem.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        model = elman.LanguageModel.fit(path, **QUICK)
    except DataError as problem:
        assert one_sentence(problem) and len("\n".join(lines)) < 25
    else:
        assert isinstance("".join(model.generate("a", length=3, seed=0)), str)


@few_examples
@given(lines=LINES)
def test_labelled_texts(lines: list[str]) -> None:
    rows = [{"text": line, "label": "ab"[i % 2]} for i, line in enumerate(lines)]
    try:
        model = elman.Classifier.fit(rows, **QUICK)
    except DataError as problem:
        assert one_sentence(problem)
    else:
        assert model.predict(lines[0]) in ("a", "b")


@few_examples
@given(lines=LINES)
def test_pairs(lines: list[str]) -> None:
    pairs = [{"source": line, "target": line.upper()} for line in lines]
    try:
        model = elman.Translator.fit(pairs, **QUICK)
    except DataError as problem:
        assert one_sentence(problem) and len(set(lines)) == 1
    else:
        assert isinstance(model.predict(lines[0]), str)


@few_examples
@given(lines=LINES)
def test_conversations(lines: list[str]) -> None:
    try:
        model = elman.Chatbot.fit([[line, line[::-1]] for line in lines], **SHORT)
    except DataError as problem:
        assert one_sentence(problem) and len(set(lines)) == 1
    else:
        assert isinstance(model.predict(lines[0]), str)


def test_five_lines_are_enough_and_a_note_says_that_they_are_few(tmp_path: Any) -> None:
    path = tmp_path / "poem.txt"
    path.write_text("\n".join(POEM), encoding="utf-8")
    rows = [{"text": line, "label": "ab"[i % 2]} for i, line in enumerate(POEM[:4])]
    models = [
        elman.LanguageModel.fit(path, **QUICK),
        elman.Classifier.fit(rows, **QUICK),
        elman.Translator.fit([{"source": line, "target": line.upper()} for line in POEM], **QUICK),
        elman.Chatbot.fit([[line, line.upper()] for line in POEM], **SHORT),
    ]
    for model in models:
        assert any("too few to rely on" in note for note in model.validation.notes), model
