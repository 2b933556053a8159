"""`elman chat MODEL`: a conversation in the terminal, or line by line through pipes."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from elman.cli.options import Int8, Json, Model, Seed
from elman.cli.streams import Ended
from elman.errors import ElmanError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from elman.tasks.chat.stream import ChatStream

HELP: Final = """/why         which earlier words weighed most in the last reply
/reset       begin a new conversation
/save FILE   keep the conversation; --session FILE continues it
/quit        leave, as the end of input does"""
MAX_WEIGHED: Final = 8  # words that /why names


def chat(
    model: Model,
    session: Annotated[
        Path | None,
        typer.Option("--session", help="File in which the conversation is kept, and from which it continues"),
    ] = None,
    fallback: Annotated[
        float | None,
        typer.Option(help="Give a training reply where the perplexity of the network's own is above this"),
    ] = None,
    seed: Seed = None,
    int8: Int8 = False,
    as_json: Json = False,
) -> None:
    """Talk to a chatbot. /help lists the commands you can type.

    Example: elman chat runs/bot --session monday.jsonl
    """
    from elman.tasks import load

    loaded: Any = load(model, int8)
    if loaded.task != "chat":
        raise UsageError(f"{model} is a {loaded.task!r} model, not a chatbot")
    converse(loaded.stream(fallback=fallback, seed=seed or 0), session, as_json)


def converse(stream: "ChatStream", session: Path | None, as_json: bool) -> None:
    """Reply until the input ends, and keep the conversation in `session`."""
    from rich.console import Console  # slow to import, for a command that may only say what is wrong

    talks = sys.stdin.isatty() and not as_json
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    if session is not None and session.exists():
        stream.load(session)
        for turn in stream.turns if talks else ():
            name = "you " if turn.role == "user" else "bot "
            console.print(f"{name} {turn.text}", style="dim", markup=False)
    if session is not None:
        stream.save(session)  # a file that can't be written fails before the first turn
    try:
        for line in _typed(talks, console):
            if line.strip() == "/quit":
                break
            before = list(stream.turns[-1:])
            try:
                _answer(stream, line.strip(), console, as_json, talks)
            except ElmanError as error:  # in what was typed; the conversation continues
                print(f"elman: {error}", file=sys.stderr, flush=True)
            if session is not None and stream.turns[-1:] != before:
                stream.save(session)
    except KeyboardInterrupt:
        console.print()
    except Ended:
        console.print()  # the shell's next line begins at its margin
        raise


def _typed(talks: bool, console: "Console") -> Iterator[str]:
    """Yield the lines of the input, with history and editing at a terminal."""
    if not talks:
        for raw in sys.stdin.buffer:
            yield raw.decode(errors="replace")
        return
    with suppress(ImportError):  # missing on some systems, where lines have no history
        import readline  # noqa: F401
    console.print("[dim]/help shows what else can be typed[/dim]")
    while True:
        try:
            yield input("you  ")
        except EOFError:
            console.print()
            return


def _answer(stream: "ChatStream", line: str, console: "Console", as_json: bool, talks: bool) -> None:
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
        raise UsageError(f"there is no command {command}: there are /why, /reset, /save, /help and /quit")
    else:
        stream.push(line)
        reply = stream.result()
        line = json.dumps({"reply": reply}, ensure_ascii=False) if as_json else f"{'bot  ' * talks}{reply}"
        print(line, flush=True)


def _why(stream: "ChatStream", console: "Console", as_json: bool) -> None:
    from rich.text import Text

    weights = stream.why()
    if as_json:
        print(json.dumps({"why": weights}, ensure_ascii=False), flush=True)
        return
    strongest = sorted(range(len(weights)), key=lambda k: -weights[k][1])[:MAX_WEIGHED]
    most = max((weight for _, weight in weights), default=0.0)
    words = Text()
    for k, (word, weight) in enumerate(weights):
        words.append(word, style="bold reverse" if weight > most / 2 else "bold" if k in strongest else "dim")
        words.append(" ")
    console.print(words)
    console.print(", ".join(f"{weights[k][0]} {weights[k][1]:.0%}" for k in strongest), markup=False)
