"""Conversations from files, standard input and lists, in which "user" and "assistant" alternate.

A JSONL file holds one conversation per line, as messages or as alternating texts:

    {"messages": [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello."}]}
    {"turns": ["Hi!", "Hello."]}

A TSV or text file holds one question and its answer per line, separated by a tab.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from elman.data.table.bad_rows import BadRows
from elman.data.table.encoding import clean
from elman.data.table.formats import ending, open_file, read_file, read_pipe, shorten, unpack
from elman.data.table.table import check_path
from elman.errors import DataError, UsageError, suggestion

SPEAKERS: Final = ("user", "assistant")
IGNORED_ROLE: Final = "system"
HEADERS: Final = (("question", "answer"), ("user", "assistant"), ("prompt", "reply"))

# Examples for messages.
JSONL_LINE: Final = '{"messages": [{"role": "user", "content": "…"}, …]} or {"turns": ["…", "…"]}'
MESSAGE: Final = '{"role": "user", "content": "…"}'
TSV_LINE: Final = "a question, one tab and an answer"


class Turn(NamedTuple):
    role: str  # "user" or "assistant"
    text: str  # one line, not blank, without white space at its ends


Conversation = list[Turn]


@dataclass(frozen=True, eq=False)
class Conversations:
    """Conversations of two or more turns, in which the roles alternate."""

    all: list[Conversation]  # in the order of the data
    name: str  # of the data, in messages: the path, "standard input" or "list"
    fingerprint: str  # SHA-256 of the file's bytes, or of the list's turns as JSON, in hexadecimal

    def __len__(self) -> int:
        return len(self.all)

    def take(self, rows: Iterable[int]) -> "Conversations":
        """Return the conversations at `rows` (from 0), in that order; the fingerprint is unchanged."""
        return replace(self, all=[self.all[row] for row in rows])


def read_conversations(data: Any, skip_bad: bool | None = None) -> Conversations:
    """Read conversations from a file, standard input or a list.

    Messages of "system" are ignored, consecutive messages of one role are joined by a space, line ends inside
    a text become single spaces, and conversations of fewer than two turns are skipped.

    Args:
        data: a path to JSONL (.jsonl, .ndjson) or questions and answers (.tsv, .txt) as at the top of this
            file, also gzipped; "-" for standard input, which is JSONL if it begins with "{"; a list of
            conversations, each a list of messages or of alternating texts, the user's first; or
            `Conversations`, which are returned unchanged. In TSV, quotes are ordinary characters, and a first
            line "question<tab>answer", "user<tab>assistant" or "prompt<tab>reply" is a header.
        skip_bad: whether to skip conversations that can't be used, with a warning that counts them, rather
            than to raise DataError for the first, which names this setting unless it is None.

    Raises:
        DataError: the file is missing or malformed; the message says where and what would be right.
        UsageError: `data` cannot hold conversations.
    """
    if isinstance(data, Conversations):
        return data
    bad = BadRows(bool(skip_bad), advise=skip_bad is not None)
    if isinstance(data, list):
        conversations = _with_answers(_from_list(data, bad), "list", bad)
        text = json.dumps(conversations)
        return Conversations(conversations, "list", hashlib.sha256(text.encode()).hexdigest())
    if not isinstance(data, (str, Path)):
        raise UsageError(
            f"data of type {type(data).__name__} cannot hold conversations; give a path, '-' for standard "
            "input or a list of conversations, each a list of messages or of texts."
        )
    if str(data) == "-":
        name = "standard input"
        raw = read_pipe(sys.stdin.buffer, name)
        text = clean(raw, name, bad).decode()
        reader = _reader(".jsonl" if text.lstrip().startswith("{") else ".tsv", name)
    else:
        check_path(data)
        path, name = Path(data), str(data)
        with open_file(path) as file:
            reader = _reader(ending(path), name)
            raw = read_file(file, name)
        text = clean(unpack(raw, path), name, bad).decode()
    conversations = _with_answers(reader(text, name, bad), name, bad)
    return Conversations(conversations, name, hashlib.sha256(raw).hexdigest())


Reader = Callable[[str, str, BadRows], Iterator[Conversation]]


def _reader(kind: str, name: str) -> Reader:
    readers: dict[str, Reader]
    readers = {".jsonl": _read_jsonl, ".ndjson": _read_jsonl, ".tsv": _read_tsv, ".txt": _read_tsv}
    if kind not in readers:
        has = f"ends in {kind}" if kind else "has no ending"
        advice = "; write one conversation per line, for example with `jq -c '.[]'`" * (kind == ".json")
        raise DataError(
            f"{name} {has}, but a file of conversations ends in one of {', '.join(readers)} "
            f"(or .gz after it){advice}."
        )
    return readers[kind]


def _with_answers(conversations: Iterable[Conversation], name: str, bad: BadRows) -> list[Conversation]:
    read = list(conversations)
    bad.report(name, len(read))
    answered = [turns for turns in read if len(turns) > 1]
    if not answered:
        what = "only conversations of fewer than two turns" if read else "no conversation"
        raise DataError(f"{name} holds {what}; it should hold at least one question and its answer.")
    return answered


def _read_jsonl(text: str, name: str, bad: BadRows) -> Iterator[Conversation]:
    if text.lstrip().startswith("["):
        raise DataError(
            f"{name} begins as one JSON array; write one object per line, for example with `jq -c '.[]'`."
        )
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{name}, line {number}"
            try:
                yield _from_object(_parse(line, where), where)
            except DataError as problem:
                bad.add(number, problem)


def _parse(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as problem:
        reason = f"{problem.msg} at character {problem.colno}"
    except (RecursionError, ValueError):  # the latter: a number of thousands of digits
        reason = "nested too deeply or with a number too long"
    raise DataError(f"{where} is not valid JSON ({reason}); correct or remove the line.")


def _from_object(value: Any, where: str) -> Conversation:
    if not isinstance(value, dict):
        raise DataError(f"{where} is {_kind(value)}, not an object; it should look like {JSONL_LINE}.")
    key = next((key for key in ("messages", "turns") if key in value), None)
    if key is None:
        keys = ", ".join(map(shorten, value)) or "no keys"
        raise DataError(
            f"{where} has {keys}; it needs 'messages' or 'turns' and should look like {JSONL_LINE}."
        )
    items = value[key]
    if not isinstance(items, list) or not items:
        what = "is an empty list" if items == [] else f"is {_kind(items)}, not a list"
        raise DataError(f"{where}: {key!r} {what}; the line should look like {JSONL_LINE}.")
    return turns_of(items, where) if key == "messages" else _from_texts(items, where)


def _from_list(data: list[Any], bad: BadRows) -> Iterator[Conversation]:
    for number, items in enumerate(data):
        where = f"list, conversation {number} (counted from 0)"
        if not isinstance(items, (list, tuple)) or isinstance(items, Turn):
            raise UsageError(
                f"{where} is {_kind(items)}, not a list; each should look like [{MESSAGE}, …] or ['…', '…']."
            )
        try:
            if not items:
                advice = f"each should look like [{MESSAGE}, …] or ['…', '…']"
                raise DataError(f"{where} has no messages; {advice}.")
            yield _from_texts(items, where) if isinstance(items[0], str) else turns_of(items, where)
        except DataError as problem:
            bad.add(number, problem)


def _read_tsv(text: str, name: str, bad: BadRows) -> Iterator[Conversation]:
    numbered = enumerate(text.split("\n"), start=1)
    lines = [(number, line) for number, line in numbered if line.strip() or "\t" in line]
    if lines and tuple(cell.strip().lower() for cell in lines[0][1].split("\t")) in HEADERS:
        del lines[0]
    for number, line in lines:
        try:
            yield _from_tsv_line(line, f"{name}, line {number}")
        except DataError as problem:
            bad.add(number, problem)


def _from_tsv_line(line: str, where: str) -> Conversation:
    texts = line.split("\t")
    if len(texts) != 2:
        tabs = f"{len(texts) - 1} tabs" if len(texts) > 1 else "no tab"
        raise DataError(f"{where} has {tabs}; it should be {TSV_LINE}.")
    for text, which in zip(texts, ("question", "answer"), strict=True):
        if not text.strip():
            raise DataError(f"{where}: the {which} is empty; the line should be {TSV_LINE}.")
    return [Turn(role, _in_one_line(text)) for role, text in zip(SPEAKERS, texts, strict=True)]


def _from_texts(texts: Sequence[Any], where: str) -> Conversation:
    return [
        Turn(SPEAKERS[number % 2], _checked(text, f"{where}, turn {number + 1}", "a text"))
        for number, text in enumerate(texts)
    ]


def turns_of(messages: Sequence[Any], where: str) -> Conversation:
    """Return the turns of a list of messages, joining consecutive messages of one role.

    Raises:
        DataError: a message is malformed; the text begins with `where`.
    """
    numbered = enumerate(messages, start=1)
    turns = [_from_message(message, f"{where}, message {number}") for number, message in numbered]
    runs = groupby((turn for turn in turns if turn is not None), lambda turn: turn.role)
    return [Turn(role, " ".join(turn.text for turn in run)) for role, run in runs]


def _from_message(message: Any, where: str) -> Turn | None:
    if not isinstance(message, dict):
        raise DataError(f"{where} is {_kind(message)}, not an object; it should look like {MESSAGE}.")
    for key in ("role", "content"):
        if key not in message:
            hint = suggestion(key, map(str, message)) or f"; it should look like {MESSAGE}."
            raise DataError(f"{where} has no {key!r}{hint}")
    role, content = message["role"], message["content"]
    if role == IGNORED_ROLE:
        return None
    if role not in SPEAKERS:
        roles = (*SPEAKERS, IGNORED_ROLE)
        hint = suggestion(str(role), roles) or "."
        raise DataError(f"{where}: the role is {shorten(role)}; it must be one of {', '.join(roles)}{hint}")
    if isinstance(content, list):
        content = " ".join(_from_part(part, where) for part in content)
    return Turn(role, _checked(content, f"{where}: the content", "a text or a list of text parts"))


def _from_part(part: Any, where: str) -> str:
    """Return the text of one part of a content, as in OpenAI's API."""
    kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
    if kind != "text" or not isinstance(text, str):
        what = f"of type {shorten(kind)}" if kind not in (None, "text") else "no text"
        raise DataError(
            f'{where}: a part of the content is {what}; each should be {{"type": "text", "text": "…"}}.'
        )
    return text


def _checked(text: Any, where: str, expected: str) -> str:
    if not isinstance(text, str):
        raise DataError(f"{where} is {_kind(text)}; it should be {expected}.")
    if not text.strip():
        raise DataError(f"{where} is empty; fill it in or remove it.")
    try:
        text.encode()
    except UnicodeEncodeError:  # "\ud83d" alone is valid JSON
        raise DataError(
            f"{where} holds half of a surrogate pair, which is not a character; remove it."
        ) from None
    return _in_one_line(text)


def _in_one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _kind(value: Any) -> str:
    """Return the type of `value` in JSON's terms."""
    if value is None:
        return "null"
    names = {str: "a text", list: "a list", dict: "an object", bool: "true or false", int: "a number"}
    return (names | {float: "a number"}).get(type(value), f"a {type(value).__name__}")
