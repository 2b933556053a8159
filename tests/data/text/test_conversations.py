"""Conversations: every way to write them gives the same turns, and what is wrong is named with its place."""

import gzip
import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.text.conversations import SPEAKERS, Conversations, Turn, read_conversations
from elman.errors import DataError, UsageError
from tabular import FOLDER, write

TEXTS = [["Hi!", 'Say "hello", 👍'], ["How’s it?", "Fine."]]
EXPECTED = [[Turn("user", question), Turn("assistant", answer)] for question, answer in TEXTS]
MESSAGES = [[{"role": turn.role, "content": turn.text} for turn in turns] for turns in EXPECTED]


def jsonl(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


CONTENTS = {
    "a.jsonl": jsonl(*({"messages": messages, "id": 7} for messages in MESSAGES)),
    "b.ndjson": jsonl(*({"turns": turns} for turns in TEXTS)),
    "c.tsv": "".join(f"{question}\t{answer}\n" for question, answer in TEXTS),
    "d.txt": "Question\tANSWER\n\n" + "".join(f" {q} \t{a}\n\n" for q, a in TEXTS),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("disguise", ["plain", "bom", "crlf", "gzip", "capitals", "no last line end"])
def test_every_form_in_every_disguise(tmp_path: Path, name: str, disguise: str) -> None:
    content = CONTENTS[name].encode()
    if disguise == "bom":
        content = b"\xef\xbb\xbf" + content
    elif disguise == "crlf":
        content = content.replace(b"\n", b"\r\n")
    elif disguise == "gzip":
        content, name = gzip.compress(content, mtime=0), name + ".gz"
    elif disguise == "capitals":
        name = name.upper()
    elif disguise == "no last line end":
        content = content.rstrip(b"\n")
    found = read_conversations(write(tmp_path, name, content))
    assert found.all == EXPECTED and len(found) == 2
    assert found.name == str(tmp_path / name)
    assert found.fingerprint == hashlib.sha256(content).hexdigest()
    assert read_conversations(found) is found


@pytest.mark.parametrize("name", CONTENTS)
def test_standard_input(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    content = b"\n " * name.endswith("json") + CONTENTS[name].encode()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    found = read_conversations("-")
    assert found.all == EXPECTED
    assert (found.name, found.fingerprint) == ("standard input", hashlib.sha256(content).hexdigest())


def test_lists() -> None:
    found = [read_conversations(data) for data in (TEXTS, MESSAGES, [tuple(texts) for texts in TEXTS])]
    assert all(one.all == EXPECTED and one.name == "list" for one in found)
    assert len({one.fingerprint for one in found}) == 1
    assert read_conversations(TEXTS[:1]).fingerprint != found[0].fingerprint


def test_take() -> None:
    whole = read_conversations(TEXTS)
    part = whole.take([1, 0, 1])
    assert part.all == [EXPECTED[1], EXPECTED[0], EXPECTED[1]]
    assert (part.name, part.fingerprint) == (whole.name, whole.fingerprint)


def of(*messages: tuple[str, Any]) -> list[Turn]:
    (found,) = read_conversations([[{"role": role, "content": content} for role, content in messages]]).all
    return found


def test_system_is_left_out_and_one_speaker_is_joined() -> None:
    found = of(("system", None), ("user", "a"), ("user", " b\n"), ("system", "x"), ("user", "c"), OK, OK)
    assert found == [Turn("user", "a b c"), Turn("assistant", "ok ok")]


OK = ("assistant", "ok")


def test_line_ends_become_single_spaces() -> None:
    assert of(("user", "\n one \r\n\n two  three\u2028four\n"), OK)[0].text == "one two  three four"


def test_text_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two\n"}]
    assert of(("user", parts), OK)[0].text == "one two"


def test_an_assistant_may_begin() -> None:
    assert [turn.role for turn in of(OK, ("user", "a"))] == ["assistant", "user"]


def test_short_conversations_are_skipped(tmp_path: Path) -> None:
    lines = [{"turns": ["alone"]}, {"messages": MESSAGES[0]}, {"messages": MESSAGES[1][:1] * 3}]
    assert read_conversations(write(tmp_path, "a.jsonl", jsonl(*lines))).all == EXPECTED[:1]


def test_only_the_first_line_can_be_a_header(tmp_path: Path) -> None:
    found = read_conversations(write(tmp_path, "a.tsv", "\nUser\tAssistant\nprompt\treply\n"))
    assert found.all == [[Turn("user", "prompt"), Turn("assistant", "reply")]]


said = st.text(min_size=1).filter(str.strip)


@given(st.lists(st.lists(said, min_size=2, max_size=5), min_size=1, max_size=4))
@FOLDER
def test_what_is_said_comes_back(tmp_path: Path, conversations: list[list[str]]) -> None:
    path = write(tmp_path, "a.jsonl", jsonl(*({"turns": texts} for texts in conversations)))
    for found in (read_conversations(path), read_conversations(conversations)):
        assert [[turn.role for turn in turns] for turns in found.all] == [
            [SPEAKERS[k % 2] for k in range(len(texts))] for texts in conversations
        ]
        for turns, texts in zip(found.all, conversations, strict=True):
            for turn, text in zip(turns, texts, strict=True):
                assert turn.text.split() == text.split()
                assert turn.text == turn.text.strip() and len(turn.text.splitlines()) == 1


USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": [', "a.jsonl, line 3 is not valid JSON (Expecting value at character 15); correct or"),
        ("[" * 100_000, "line 3 is not valid JSON (nested too deeply"),
        (
            '{"turns": [' + "9" * 5000 + "]}",
            "line 3 is not valid JSON (nested too deeply or with a number",
        ),
        ("[1]", "line 3 is a list, not an object; it should look like {"),
        ("null", "line 3 is null, not an object"),
        (
            {"text": "x", "label": 1},
            "line 3 has 'text', 'label'; it needs 'messages' or 'turns' and",
        ),
        ({}, "line 3 has no keys; it needs 'messages' or 'turns' and should look"),
        ({"messages": []}, "line 3: 'messages' is an empty list; the line should look like"),
        ({"turns": "Hi"}, "line 3: 'turns' is a text, not a list"),
        ({"messages": ["Hi"]}, 'message 1 is a text, not an object; it should look like {"role": "user"'),
        ({"messages": [USER, {"content": "x"}]}, "line 3, message 2 has no 'role'; it should look like"),
        ({"messages": [USER, {"rol": "user", "content": "x"}]}, "has no 'role'; did you mean 'rol'?"),
        ({"messages": [{"role": "user"}]}, "line 3, message 1 has no 'content'; it should look like"),
        (
            {"messages": [{"role": "asistant", "content": "x"}]},
            "role is 'asistant'; it must be one of user, assistant, system; did you mean 'assistant'?",
        ),
        (
            {"messages": [{"role": ["x"], "content": "x"}]},
            "role is ['x']; it must be one of user, assistant",
        ),
        ({"messages": [{"role": "user", "content": None}]}, "message 1: the content is null; it should be a"),
        ({"messages": [{"role": "user", "content": 3.5}]}, "content is a number; it should be a text or"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "message 1: the content is empty; fill it"),
        ({"messages": [{"role": "user", "content": []}]}, "message 1: the content is empty; fill it"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "a part of the content is no text; each"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "message 1: a part of the content is of type 'image_url'; each should be",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "a part of the content is no text"),
        ({"turns": ["Hi", ""]}, "line 3, turn 2 is empty; fill it in or remove it."),
        ({"turns": ["Hi", True]}, "line 3, turn 2 is true or false; it should be a text."),
        ('{"turns": ["\\ud83d", "x"]}', "turn 1 holds half of a surrogate pair"),
    ],
)
def test_a_wrong_line_of_jsonl(tmp_path: Path, line: Any, message: str) -> None:
    text = line if isinstance(line, str) else json.dumps(line)
    path = write(tmp_path, "a.jsonl", jsonl({"turns": ["a", "b"]}) + "\n" + text + "\n")
    with pytest.raises(DataError) as caught:
        read_conversations(path)
    assert message in str(caught.value) and "a.jsonl, line 3" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no tab", "a.tsv, line 3 has no tab; it should be a question, one tab and an answer."),
        ("a\tb\tc", "a.tsv, line 3 has 2 tabs; it should be"),
        ("\tb", "a.tsv, line 3: the question is empty; the line should be"),
        ("a\t ", "a.tsv, line 3: the answer is empty"),
        ("\t", "a.tsv, line 3: the question is empty"),
    ],
)
def test_a_wrong_pair(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_conversations(write(tmp_path, "a.tsv", f"a\tb\n\n{line}\n"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "question\tanswer\n", "a.tsv holds no conversation; it should hold at least one question"),
        ("a.jsonl", jsonl({"turns": ["x"]}), "a.jsonl holds only conversations of fewer than two turns"),
        ("a.jsonl", "[\n", "a.jsonl begins as one JSON array; write one object per line"),
        ("a.json", "[]", "a.json ends in .json, but a file of conversations ends in one of .jsonl"),
        ("a.json", "[]", "(or .gz after it); write one conversation per line, for example with `jq"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b", mtime=0),
            "ends in .csv, but a file of conversations ends in one of",
        ),
        ("a", "x", "a has no ending, but"),
        ("a.tsv", "é\tè".encode("latin-1"), "a.tsv, line 1: byte 1 is 0xE9"),
        ("a.tsv", "", "a.tsv is empty"),
        ("a.tsv.gz", b"x", "a.tsv.gz is not a gzip file, or is a damaged one"),
    ],
)
def test_a_wrong_file(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_conversations(write(tmp_path, name, content))
    assert message in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path, "chats.tsv", "a\tb")
    with pytest.raises(DataError, match=r"did you mean 'chats\.tsv'\?"):
        read_conversations(tmp_path / "chat.tsv")


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (3, UsageError, "data of type int cannot hold conversations; give a path"),
        ({"turns": ["a", "b"]}, UsageError, "data of type dict cannot hold conversations"),
        ("https://x.org/a.tsv", UsageError, "is a web address"),
        ("", UsageError, "is not a path"),
        (MESSAGES[0], UsageError, r"list, conversation 0 \(counted from 0\) is an object, not a list; each"),
        (["Hi", "Hello"], UsageError, "is a text, not a list"),
        (
            [TEXTS[0], [*TEXTS[1], 3]],
            DataError,
            r"list, conversation 1 \(counted from 0\), turn 3 is a",
        ),
        ([TEXTS[0], []], DataError, r"conversation 1 \(counted from 0\) has no messages"),
        ([[None]], DataError, r"message 1 is null, not an object"),
        ([], DataError, "list holds no conversation;"),
        ([["alone"]], DataError, "list holds only conversations of fewer than two turns"),
    ],
)
def test_what_holds_no_conversations(data: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        read_conversations(data)


def test_dataclass_is_compared_by_identity() -> None:
    assert Conversations([], "a", "b") != Conversations([], "a", "b")
