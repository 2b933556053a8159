"""Words with their times → subtitles."""

from collections.abc import Iterable, Iterator
from typing import Final

from elman.tasks.transcribe.text import Word, text_of

MAX_CHARACTERS, MAX_SECONDS = 84, 7.0  # of a subtitle: two lines of 42, as broadcasters have it
MIN_SECONDS: Final = 1.0  # that a subtitle is shown, unless the next comes


def cues(words: Iterable[Word], pause: float) -> Iterator[list[Word]]:
    """Yield the words of each subtitle. One ends where nothing is said for `pause` seconds, or where it would
    get too long."""
    cue: list[Word] = []
    for word in words:
        if cue and (
            word.start - cue[-1].end >= pause
            or word.end - cue[0].start > MAX_SECONDS
            or len(text_of([*cue, word])) > MAX_CHARACTERS
        ):
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue


def srt(words: Iterable[Word], pause: float) -> Iterator[str]:
    """Yield the lines of a SubRip file, a subtitle at a time."""
    for number, (start, end, text) in enumerate(_timed(words, pause), 1):
        yield f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"


def vtt(words: Iterable[Word], pause: float) -> Iterator[str]:
    """Yield the lines of a WebVTT file, a subtitle at a time."""
    yield "WEBVTT\n"
    for start, end, text in _timed(words, pause):
        yield f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n"


def _timed(words: Iterable[Word], pause: float) -> Iterator[tuple[float, float, str]]:
    """Yield each subtitle's seconds and text; each stays for a while, unless the next comes."""
    before: list[Word] | None = None
    for cue in cues(words, pause):
        if before is not None:
            end = max(before[-1].end, min(before[0].start + MIN_SECONDS, cue[0].start))
            yield before[0].start, end, text_of(before)
        before = cue
    if before is not None:
        yield before[0].start, max(before[-1].end, before[0].start + MIN_SECONDS), text_of(before)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"
