"""Conversations from files, standard input and lists: turns by "user" and "assistant", who take turns.

A JSONL file holds one conversation a line, as chat programs write it or as bare texts in turn:

    {"messages": [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello."}]}
    {"turns": ["Hi!", "Hello."]}

A TSV or text file holds one pair a line: a question, a tab, an answer.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from elman.data.table.formats import clean, nearest, read_bytes, shorten, unzip
from elman.data.table.table import read_table
from elman.errors import DataError, UsageError

SPEAKERS: Final = ("user", "assistant")
LEFT_OUT: Final = "system"
HEADERS: Final = (("question", "answer"), ("user", "assistant"), ("prompt", "reply"))

LIKE: Final = '{"messages": [{"role": "user", "content": "…"}, …]} or {"turns": ["…", "…"]}'
MESSAGE: Final = '{"role": "user", "content": "…"}'
PAIR: Final = "a question, one tab and an answer"


class Turn(NamedTuple):
    """What one speaker says at once.

    Attributes:
        role: "user" or "assistant".
        text: not blank, without white space at its ends and without line ends.
    """

    role: str
    text: str


Conversation = list[Turn]


@dataclass(frozen=True, eq=False)
class Conversations:
    """Conversations of two turns or more; the roles of each alternate.

    Attributes:
        all: the conversations, in the order of the data.
        name: what messages call the data: the path, "standard input" or "list".
        fingerprint: SHA-256 of the file's bytes, or of the list's turns as JSON, in hexadecimal.
    """

    all: list[Conversation]
    name: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.all)

    def take(self, rows: Iterable[int]) -> "Conversations":
        """Those at `rows` (from 0), in that order; the fingerprint stays that of the whole data."""
        return replace(self, all=[self.all[row] for row in rows])


def read_conversations(data: Any) -> Conversations:
    """Conversations from whatever holds them.

    Messages of "system" are left out, messages of one role in a row are joined by a space, line ends inside
    a text become single spaces, and conversations of fewer than two turns are skipped.

    Args:
        data: a path to JSONL (.jsonl, .ndjson) or pairs (.tsv, .txt), also gzipped, both as at the top of
            this file; "-" for standard input, which is JSONL if it begins with "{"; a list of conversations,
            each a list of messages or a list of texts in turn, the first the user's; or `Conversations`,
            which come back as they are. In pairs quotes are ordinary characters, and a first line
            "question<tab>answer", "user<tab>assistant" or "prompt<tab>reply" is a header.

    Raises:
        DataError: the file is missing, or something in it is wrong; says where, and what would be right.
        UsageError: `data` is nothing that holds conversations.
    """
    if isinstance(data, Conversations):
        return data
    if isinstance(data, list):
        found = _enough(_listed(data), "list")
        text = json.dumps(found)
        return Conversations(found, "list", hashlib.sha256(text.encode()).hexdigest())
    if not isinstance(data, (str, Path)):
        raise UsageError(
            f"data of type {type(data).__name__} hold no conversations; give a path, '-' for standard "
            "input or a list of conversations, each a list of messages or of texts."
        )
    raw, text, name, reader = _opened(data)
    return Conversations(_enough(reader(text, name), name), name, hashlib.sha256(raw).hexdigest())


Reader = Callable[[str, str], Iterator[Conversation]]


def _opened(data: str | Path) -> tuple[bytes, str, str, Reader]:
    """The bytes as they are, their text, what to call them, and how to read them."""
    if str(data) == "-":
        raw, name = sys.stdin.buffer.read(), "standard input"
        text = clean(raw, name).decode()
        return raw, text, name, _jsonl if text.lstrip().startswith("{") else _pairs
    if not str(data) or "\0" in str(data) or "://" in str(data):
        read_table(data)  # which says what is wrong with it
    path, name = Path(data), str(data)
    raw = read_bytes(path)
    packed = path.suffix.lower() == ".gz"
    reader = _reader(Path(path.stem if packed else path.name).suffix.lower(), name)
    return raw, clean(unzip(raw, name) if packed else raw, name).decode(), name, reader


def _reader(ending: str, name: str) -> Reader:
    readers: dict[str, Reader] = {".jsonl": _jsonl, ".ndjson": _jsonl, ".tsv": _pairs, ".txt": _pairs}
    if ending not in readers:
        has = f"ends in {ending}" if ending else "has no ending"
        advice = "; write one conversation a line, for example with `jq -c '.[]'`" * (ending == ".json")
        raise DataError(
            f"{name} {has}, but a file of conversations ends in one of {', '.join(readers)} "
            f"(or .gz after it){advice}."
        )
    return readers[ending]


def _enough(found: Iterable[Conversation], name: str) -> list[Conversation]:
    """Those with an answer.

    Raises:
        DataError: there are none.
    """
    conversations = list(found)
    kept = [conversation for conversation in conversations if len(conversation) > 1]
    if not kept:
        what = "only conversations of fewer than two turns" if conversations else "no conversation"
        raise DataError(f"{name} holds {what}; it should hold at least one question and its answer.")
    return kept


def _jsonl(text: str, name: str) -> Iterator[Conversation]:
    if text.lstrip().startswith("["):
        raise DataError(
            f"{name} begins as one JSON array; write one object a line, for example with `jq -c '.[]'`."
        )
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{name}, line {number}"
            yield _of_object(_parsed(line, where), where)


def _parsed(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as problem:
        reason = f"{problem.msg} at character {problem.colno}"
    except (RecursionError, ValueError):  # the latter: a number of thousands of digits
        reason = "nested too deeply or with a number too long"
    raise DataError(f"{where} is broken JSON ({reason}); mend or remove the line.")


def _of_object(value: Any, where: str) -> Conversation:
    if not isinstance(value, dict):
        raise DataError(f"{where} is {_kind(value)}, not an object; it should look like {LIKE}.")
    key = next((key for key in ("messages", "turns") if key in value), None)
    if key is None:
        has = ", ".join(map(shorten, value)) or "nothing"
        raise DataError(f"{where} has no 'messages' and no 'turns', but {has}; it should look like {LIKE}.")
    items = value[key]
    if not isinstance(items, list) or not items:
        what = "is an empty list" if items == [] else f"is {_kind(items)}, not a list"
        raise DataError(f"{where}: {key!r} {what}; the line should look like {LIKE}.")
    return turns_of(items, where) if key == "messages" else _of_texts(items, where)


def _listed(data: list[Any]) -> Iterator[Conversation]:
    for number, items in enumerate(data):
        where = f"list, conversation {number} (counted from 0)"
        if not isinstance(items, (list, tuple)) or isinstance(items, Turn):
            raise UsageError(
                f"{where} is {_kind(items)}, not a list; each should look like [{MESSAGE}, …] or ['…', '…']."
            )
        if not items:
            raise DataError(f"{where} has no messages; each should look like [{MESSAGE}, …] or ['…', '…'].")
        yield _of_texts(items, where) if isinstance(items[0], str) else turns_of(items, where)


def _pairs(text: str, name: str) -> Iterator[Conversation]:
    first = True
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() and "\t" not in line:
            continue
        header = tuple(cell.strip().lower() for cell in line.split("\t")) in HEADERS
        if not (first and header):
            yield _pair(line, f"{name}, line {number}")
        first = False


def _pair(line: str, where: str) -> Conversation:
    sides = line.split("\t")
    if len(sides) != 2:
        has = f"{len(sides) - 1} tabs" if len(sides) > 1 else "no tab"
        raise DataError(f"{where} has {has}; it should be {PAIR}.")
    for side, which in zip(sides, ("question", "answer"), strict=True):
        if not side.strip():
            raise DataError(f"{where}: the {which} is empty; the line should be {PAIR}.")
    return [Turn(role, _settled(side)) for role, side in zip(SPEAKERS, sides, strict=True)]


def _of_texts(texts: Sequence[Any], where: str) -> Conversation:
    """Speakers alternate, the user begins."""
    return [
        Turn(SPEAKERS[number % 2], _checked(text, f"{where}, turn {number + 1}", "a text"))
        for number, text in enumerate(texts)
    ]


def turns_of(messages: Sequence[Any], where: str) -> Conversation:
    """The turns of a list of messages; messages of one role in a row are joined.

    Raises:
        DataError: one is no message; begins with `where`.
    """
    turns: Conversation = []
    for number, message in enumerate(messages, start=1):
        turn = _of_message(message, f"{where}, message {number}")
        if turn is not None and turns and turns[-1].role == turn.role:
            turns[-1] = Turn(turn.role, f"{turns[-1].text} {turn.text}")
        elif turn is not None:
            turns.append(turn)
    return turns


def _of_message(message: Any, where: str) -> Turn | None:
    """None for what is left out."""
    if not isinstance(message, dict):
        raise DataError(f"{where} is {_kind(message)}, not an object; it should look like {MESSAGE}.")
    for key in ("role", "content"):
        if key not in message:
            hint = nearest(key, map(str, message)) or f"; it should look like {MESSAGE}."
            raise DataError(f"{where} has no {key!r}{hint}")
    role, content = message["role"], message["content"]
    if role == LEFT_OUT:
        return None
    if role not in SPEAKERS:
        known = (*SPEAKERS, LEFT_OUT)
        hint = nearest(str(role), known) or "."
        raise DataError(f"{where}: the role is {shorten(role)}, but must be one of {', '.join(known)}{hint}")
    if isinstance(content, list):
        content = " ".join(_of_part(part, where) for part in content)
    return Turn(role, _checked(content, f"{where}: the content", "a text or a list of text parts"))


def _of_part(part: Any, where: str) -> str:
    """The text of one of the parts that OpenAI's programming interface makes a content of."""
    kind, text = (part.get("type"), part.get("text")) if isinstance(part, dict) else (None, None)
    if kind != "text" or not isinstance(text, str):
        what = f"of type {shorten(kind)}" if kind not in (None, "text") else "no text"
        raise DataError(
            f'{where}: a part of the content is {what}; each should be {{"type": "text", "text": "…"}}.'
        )
    return text


def _checked(text: Any, where: str, right: str) -> str:
    """`text` settled, if it is one and says something."""
    if not isinstance(text, str):
        raise DataError(f"{where} is {_kind(text)}; it should be {right}.")
    if not text.strip():
        raise DataError(f"{where} is empty; write what was said, or remove it.")
    try:
        text.encode()
    except UnicodeEncodeError:  # "\ud83d" alone is JSON but no text
        raise DataError(
            f"{where} holds half of a surrogate pair, which is no character; remove it."
        ) from None
    return _settled(text)


def _settled(text: str) -> str:
    """Without white space at the ends, in one line."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())


def _kind(value: Any) -> str:
    """What `value` is, in the words of JSON."""
    if value is None:
        return "null"
    names = {str: "a text", list: "a list", dict: "an object", bool: "true or false", int: "a number"}
    return (names | {float: "a number"}).get(type(value), f"a {type(value).__name__}")
