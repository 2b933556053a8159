"""`elman dictate MODEL`: what is said, while it is said, or subtitles of a recording."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from elman.cli.options import Model, lines_of
from elman.cli.streams import Ended
from elman.errors import UsageError

if TYPE_CHECKING:
    from elman.tasks.transcribe.text import Word

FORMATS: Final = ("text", "srt", "vtt", "json")
BLOCK_SECONDS: Final = 0.1  # after which the terminal is written anew
MIN_WIDTH: Final = 20  # of a terminal, in characters
DIM, PLAIN, CLEAR = "\x1b[2m", "\x1b[0m", "\r\x1b[K"


class Heard(NamedTuple):
    """What is known after a piece of speech."""

    words: "list[Word]"  # certain since the piece before
    tentative: str


def dictate(
    model: Model,
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[INPUT]", help="A recording, or - for standard input; the microphone if omitted"
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Number or name of the microphone")] = None,
    rate: Annotated[int | None, typer.Option(help="Sample rate of raw PCM on standard input")] = None,
    form: Annotated[
        str, typer.Option("--format", help="text, srt, vtt, or json with one line per word")
    ] = "text",
    type_with: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Command to which each word is passed on standard input, such as 'xdotool type --file -'",
        ),
    ] = None,
    phrases: Annotated[
        Path | None, typer.Option(help="File of the phrases that can be said, one per line")
    ] = None,
    hot_words: Annotated[
        Path | None, typer.Option(help="File of expected words and phrases, one per line")
    ] = None,
    false_alarms: Annotated[
        float | None, typer.Option(help="Spot the training phrases, with so many false alarms an hour")
    ] = None,
    vad: Annotated[bool, typer.Option("--vad", help="Leave out words where no voice is heard")] = False,
    pause: Annotated[float, typer.Option(help="Seconds of silence that end an utterance")] = 0.5,
) -> None:
    """Transcribe live speech: final words in normal type, words that may still change dimmed.

    Example: elman dictate runs/dictation

    Example: elman dictate runs/dictation talk.mp3 --format srt > talk.srt

    Example: arecord -q -f S16_LE -r 16000 -t raw | elman dictate runs/dictation - --rate 16000
    """
    from elman.tasks import load

    if form not in FORMATS:
        raise UsageError(f"--format must be one of {', '.join(FORMATS)}, not {form!r}")
    loaded: Any = load(model)
    if loaded.task != "transcribe":
        raise UsageError(f"{model} is a {loaded.task!r} model, not a transcriber")
    if loaded.settings.input == "frames":
        raise UsageError(f"{model} was trained on precomputed frames, so it can't hear sound")
    options: dict[str, Any] = {"phrases": lines_of(phrases), "hot_words": lines_of(hot_words)}
    options |= {"vad": vad, "false_alarms": false_alarms}
    if source not in (None, "-") and loaded.settings.bidirectional:
        heard = iter([Heard(loaded.predict(Path(str(source)), words=True, **options), "")])
    else:
        stream = loaded.stream(pause=pause, **options)
        heard = _heard(stream, _blocks(source, device, rate, loaded.settings.rate))
    if type_with is not None:
        heard = _typed(heard, shlex.split(type_with))
    if form == "text":
        (_show if sys.stdout.isatty() else _print)(heard, pause)
        return
    for line in _formatted((word for piece in heard for word in piece.words), form, pause):
        print(line, flush=True)


def _blocks(source: str | None, device: str | None, rate: int | None, own_rate: int) -> Iterator[Any]:
    from elman.data.audio.microphone import microphone_blocks
    from elman.data.audio.read import audio_blocks

    if source is None:
        return microphone_blocks(own_rate, int(device) if device and device.isdecimal() else device)
    if device is not None:
        raise UsageError("--device names a microphone: leave it out, or the input")
    return _small(audio_blocks(source if source == "-" else Path(source), own_rate, rate), own_rate)


def _small(blocks: Iterator[Any], rate: int) -> Iterator[Any]:
    size = int(rate * BLOCK_SECONDS)
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]


def _heard(stream: Any, blocks: Iterator[Any]) -> Iterator[Heard]:
    """Yield what is heard; where it is interrupted, the last words, too."""
    try:
        for block in blocks:
            yield Heard(stream.push(block), stream.tentative)
    except (KeyboardInterrupt, Ended):
        yield Heard(stream.finish(), "")
        raise
    yield Heard(stream.finish(), "")


def _typed(heard: Iterator[Heard], command: list[str]) -> Iterator[Heard]:
    """Hand each word that is certain to a command of the user's."""
    for piece in heard:
        text = "".join(f"{word.text} " for word in piece.words)
        if text:
            try:
                done = subprocess.run(command, input=text.encode(), check=False)
            except OSError as error:
                raise UsageError(f"--type: {command[0]!r} can't be run ({error.strerror})") from None
            if done.returncode:
                raise UsageError(f"--type: {command[0]!r} ended with the exit code {done.returncode}")
        yield piece


def _formatted(words: "Iterator[Word]", form: str, pause: float) -> Iterator[str]:
    from elman.tasks.transcribe.subtitles import srt, vtt

    if form == "json":
        return (json.dumps(word._asdict(), ensure_ascii=False) for word in words)
    return (srt if form == "srt" else vtt)(words, pause)


def _print(heard: Iterator[Heard], pause: float) -> None:
    """Print words as they become certain, a line for each utterance."""
    end = None
    try:
        for word in (word for piece in heard for word in piece.words):
            between = "" if end is None else "\n" if word.start - end >= pause else " "
            print(f"{between}{word.text}", end="", flush=True)
            end = word.end
    finally:
        if end is not None:
            print(flush=True)


def _show(heard: Iterator[Heard], pause: float) -> None:
    """Write the line of an utterance anew whenever more is known, in a terminal."""
    line, end, shown = "", 0.0, ""
    try:
        for words, tentative in heard:
            for word in words:
                if line and (word.start - end >= pause or len(line) + len(word.text) >= _width()):
                    print(f"{CLEAR}{line}")
                    line = ""
                line, end = f"{line} {word.text}".lstrip(), word.end
            rest = f" {tentative}"[: max(_width() - len(line), 0)] if tentative else ""
            if line + rest != shown:
                print(f"{CLEAR}{line}{DIM}{rest}{PLAIN}", end="", flush=True)
            shown = line + rest
    finally:
        if shown:
            print(f"{CLEAR}{line}", flush=True)


def _width() -> int:
    return max(shutil.get_terminal_size().columns - 1, MIN_WIDTH)
