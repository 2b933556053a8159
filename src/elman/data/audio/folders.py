"""Folders of recordings and their texts, in the layouts that are usual.

name.wav + name.txt                    the text beside each recording
84/121123/84-121123.trans.txt          LibriSpeech: lines of a recording's name and its text
metadata.csv + wavs/                   LJSpeech: lines of name|text|text as it is read out
7_jackson_32.wav                       labels in names, by a pattern: {label}_{speaker}_{n}.wav
one .csv, .tsv, .jsonl or .parquet     a table beside the recordings, as in `recordings.read_recordings`
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from elman.data.audio.files import ENDINGS
from elman.data.audio.frames import is_frames
from elman.data.audio.names import SPEAKER, NamePattern
from elman.data.table.encoding import clean
from elman.data.table.formats import ending, read_bytes
from elman.errors import DataError

TABLE_ENDINGS: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
TRANSCRIPTS: Final = ".trans.txt"
METADATA: Final = "metadata.csv"


@dataclass(frozen=True)
class Entry:
    """A recording that a folder or a manifest names."""

    path: Path
    text: str | None  # None if there is none, so that the entry is bad
    where: str  # of the text in messages
    speaker: str | None = None


class Folder:
    """The files in a folder and those below it, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = sorted(Path(at, name) for at, _, names in os.walk(path) for name in names)
        self.audio = [file for file in self.files if file.suffix.lower() in ENDINGS or is_frames(file)]

    def table(self) -> Path | None:
        """Return the one table in the folder itself that may name the recordings, or None."""
        tables = [f for f in self.files if f.parent == self.path and ending(f) in TABLE_ENDINGS]
        named = [table for table in tables if table.name.startswith("metadata.")]
        tables = named or tables
        return tables[0] if len(tables) == 1 else None

    def entries(self, pattern: NamePattern | None, labelled: bool) -> list[Entry]:
        """Return the recordings and their texts, or none if the folder has no layout that is known.

        Raises:
            DataError: a file of texts can't be read.
        """
        if pattern:
            return list(self._named(pattern))
        transcripts = [file for file in self.files if file.name.endswith(TRANSCRIPTS)]
        if transcripts:
            return [entry for file in transcripts for entry in _librispeech(file)]
        if is_ljspeech(self.path / METADATA):
            return list(ljspeech(self.path / METADATA))
        texts = set(self.files)
        beside = [(audio, audio.with_suffix(".txt")) for audio in self.audio]
        if not labelled:
            return [Entry(audio, "", str(audio)) for audio in self.audio]
        if not any(text in texts for _, text in beside):
            return []
        return [_with_text(audio, text if text in texts else None) for audio, text in beside]

    def _named(self, pattern: NamePattern) -> Iterator[Entry]:
        for audio in self.audio:
            fields = pattern.match(audio.relative_to(self.path).as_posix()) or {}
            where = f"{audio} (pattern {pattern.text})"
            yield Entry(audio, fields.get("label"), where, fields.get(SPEAKER))


def is_ljspeech(metadata: Path) -> bool:
    """Return whether a file is LJSpeech's metadata.csv, which has no header."""
    if metadata.name != METADATA or not (metadata.parent / "wavs").is_dir() or not metadata.is_file():
        return False
    with metadata.open("rb") as file:
        return b"|" in file.readline(1 << 16)


def ljspeech(metadata: Path) -> Iterator[Entry]:
    """Yield the recordings of LJSpeech's metadata.csv; the last field is the text as it is read out."""
    for number, line in _lines(metadata):
        name, *texts = line.split("|")
        path = metadata.parent / "wavs" / f"{name.strip()}.wav"
        yield Entry(path, texts[-1] if texts else None, f"{metadata}, line {number}")


def _librispeech(transcripts: Path) -> Iterator[Entry]:
    beside = {file.stem: file for file in transcripts.parent.iterdir() if file.suffix.lower() in ENDINGS}
    for number, line in _lines(transcripts):
        name, _, text = line.strip().partition(" ")
        path = beside.get(name, transcripts.parent / f"{name}.flac")
        yield Entry(path, text, f"{transcripts}, line {number}", name.partition("-")[0])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    lines = clean(read_bytes(path), str(path)).decode().split("\n")
    return ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _with_text(audio: Path, text: Path | None) -> Entry:
    if text is None:
        return Entry(audio, None, f"{audio} (no {audio.with_suffix('.txt').name} beside it)")
    try:
        return Entry(audio, clean(read_bytes(text), str(text)).decode(), str(text))
    except DataError as problem:
        if "is empty" in str(problem):
            return Entry(audio, "", str(text))
        raise
