"""`elman chat MODEL`: a conversation in the terminal, or line by line through pipes."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from elman.errors import ElmanError, UsageError
from elman.tasks.chat.stream import ChatStream

HELP: Final = """/why         which earlier words weighed most in the last reply
/reset       begin a new conversation
/save FILE   keep the conversation; --session FILE goes on from it
/quit        leave, as the end of input does"""
WEIGHED: Final = 8  # words that /why names


def converse(stream: ChatStream, session: Path | None, as_json: bool) -> None:
    """Replies until the input ends; then keeps the conversation in `session`."""
    talks = sys.stdin.isatty() and not as_json
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    if session is not None and session.exists():
        stream.load(session)
        if talks:
            _show(stream, console)
    if session is not None:
        stream.save(session)  # what can't be written should be said before a word is
    try:
        for line in _typed(talks, console):
            if line.strip() == "/quit":
                break
            before = list(stream.turns[-1:])
            try:
                _answer(stream, line.strip(), console, as_json, talks)
            except ElmanError as error:  # of what was typed; the conversation goes on
                print(f"elman: {error}", file=sys.stderr, flush=True)
            if session is not None and stream.turns[-1:] != before:
                stream.save(session)
    except KeyboardInterrupt:
        console.print()


def _typed(talks: bool, console: Console) -> Iterator[str]:
    """Lines, with history and editing at a terminal."""
    if not talks:
        for raw in sys.stdin.buffer:
            yield raw.decode(errors="replace")
        return
    with suppress(ImportError):  # not there on some systems; then lines are typed without a history
        import readline  # noqa: F401
    console.print("[dim]/help shows what else can be typed[/dim]")
    while True:
        try:
            yield input("you  ")
        except EOFError:
            console.print()
            return


def _answer(stream: ChatStream, line: str, console: Console, as_json: bool, talks: bool) -> None:
    command, _, rest = line.partition(" ")
    if not line:
        return
    if command == "/help":
        console.print(HELP)
    elif command == "/reset":
        stream.reset()
    elif command == "/save":
        if not rest.strip():
            raise UsageError("/save needs a file, as in /save talk.jsonl")
        stream.save(rest.strip())
    elif command == "/why":
        _why(stream, console, as_json)
    elif command.startswith("/") and command[1:].isalpha():
        raise UsageError(f"there is no {command}: there are /why, /reset, /save, /help and /quit")
    else:
        stream.push(line)
        reply = stream.result()
        print(
            json.dumps({"reply": reply}, ensure_ascii=False) if as_json else f"{'bot  ' * talks}{reply}",
            flush=True,
        )


def _why(stream: ChatStream, console: Console, as_json: bool) -> None:
    weights = stream.why()
    if as_json:
        print(json.dumps({"why": weights}, ensure_ascii=False), flush=True)
        return
    strongest = sorted(range(len(weights)), key=lambda k: -weights[k][1])[:WEIGHED]
    most = max((weight for _, weight in weights), default=0.0)
    said = Text()
    for k, (word, weight) in enumerate(weights):
        said.append(word, style="bold reverse" if weight > most / 2 else "bold" if k in strongest else "dim")
        said.append(" ")
    console.print(said)
    console.print(", ".join(f"{weights[k][0]} {weights[k][1]:.0%}" for k in strongest), markup=False)


def _show(stream: ChatStream, console: Console) -> None:
    for turn in stream.turns:
        console.print(f"{'you ' if turn.role == 'user' else 'bot '} {turn.text}", style="dim", markup=False)
