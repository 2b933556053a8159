"""`elman chat`: a conversation through a pipe and at a terminal."""

import builtins
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command_line import Run
from elman.cli.chat import converse
from elman.data.text.conversations import Turn
from elman.errors import DataError


class Echo:
    """A stream that answers with what it heard."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.saved: list[tuple[Path, int]] = []

    def push(self, text: str) -> None:
        if text == "!":
            raise DataError("there is no word in it")
        self.turns.append(Turn("user", text))

    def result(self) -> str:
        self.turns.append(Turn("assistant", self.turns[-1].text.upper()))
        return self.turns[-1].text

    def why(self) -> list[tuple[str, float]]:
        return [("[good]", 0.75), ("day", 0.25)]

    def reset(self) -> None:
        self.turns = []

    def load(self, file: Path) -> None:
        self.turns = [Turn("user", "was I here?"), Turn("assistant", "yes")]

    def save(self, file: Path) -> None:
        self.saved.append((file, len(self.turns)))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Type lines at a terminal; an exception is what the last key does."""

    def type_lines(*lines: str | type[BaseException]) -> None:
        typed: Iterator[str | type[BaseException]] = iter(lines)

        def read(prompt: str) -> str:
            line = next(typed)
            if isinstance(line, str):
                return line
            raise line

        monkeypatch.setattr(sys, "stdin", Terminal())
        monkeypatch.setattr(builtins, "input", read)

    return type_lines


def test_a_conversation_through_a_pipe(run: Run) -> None:
    lines = b"hello\n\n/why\n/nothing\n/save\n/save kept.jsonl\n/reset\n/why\n\xff\xfe\n/quit\nnot read\n"
    done = run("chat {chat} --session s.jsonl --json", stdin=lines)
    assert done.code == 0
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [list(record) for record in records] == [["reply"], ["why"], ["reply"]]
    assert abs(sum(weight for _, weight in records[1]["why"])) <= 1 + 1e-6
    assert "there is no command /nothing" in done.err and "/save needs a file" in done.err
    assert "there is no reply to explain yet" in done.err
    kept = json.loads(Path("kept.jsonl").read_text())["messages"]
    assert [message["role"] for message in kept] == ["user", "assistant"]
    assert len(json.loads(Path("s.jsonl").read_text())["messages"]) == 2
    run("chat {chat} --session s.jsonl", stdin=b"hello\n")
    assert len(json.loads(Path("s.jsonl").read_text())["messages"]) == 4


def test_at_a_terminal(
    types: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    session = tmp_path / "talk.jsonl"
    session.touch()
    stream = Echo()
    types("", "Good [day]", "!", "/why", "/help", EOFError)
    converse(stream, session, as_json=False)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[:2] == ["you  was I here?", "bot  yes"]
    assert lines[2:4] == ["/help shows what else can be typed", "bot  GOOD [DAY]"]
    assert lines[4:6] == ["[good] day", "[good] 75%, day 25%"]
    assert "/quit        leave, as the end of input does" in lines
    assert err == "elman: there is no word in it\n"
    assert stream.saved == [(session, 2), (session, 4)]


def test_the_conversation_is_kept_when_it_is_broken_off(
    types: Callable[..., None], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stream = Echo()
    types("hello", "/reset", KeyboardInterrupt)
    converse(stream, tmp_path / "new.jsonl", as_json=False)  # type: ignore[arg-type]
    assert "bot  HELLO" in capsys.readouterr().out
    assert [turns for _, turns in stream.saved] == [0, 2, 0]


@pytest.mark.parametrize(
    ("line", "sentence", "code"),
    [
        ("chat nowhere", "there is no model at nowhere", 2),
        ("chat {classify}", "is a 'classify' model, not a chatbot", 2),
        ("chat {chat} --fallback 0", "fallback", 2),
        ("chat {chat} --session {pairs.tsv}", "pairs.tsv holds no conversation", 1),
    ],
)
def test_wrong_calls(refused: Callable[..., None], line: str, sentence: str, code: int) -> None:
    refused(line, sentence, code)
