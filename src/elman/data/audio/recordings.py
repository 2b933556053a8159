"""Recordings and what is said in them: from tables, folders and the hub."""

import contextlib
import hashlib
import io
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import polars as pl
from torch import Tensor

from elman.data.audio.files import ENDINGS
from elman.data.audio.folders import Entry, Folder, is_ljspeech, ljspeech
from elman.data.audio.frames import COLUMNS, Frames, is_frames, parts
from elman.data.audio.names import NamePattern
from elman.data.audio.read import read_audio
from elman.data.audio.samples import Samples, flaw, require_speech
from elman.data.table.bad_rows import BadRows
from elman.data.table.formats import open_file, shorten
from elman.data.table.frames import column_name
from elman.data.table.table import Table, check_path, read_table
from elman.errors import DataError, UsageError

# Names of columns, in the order of preference; lower case.
AUDIO_COLUMNS: Final = (
    "audio",
    "audio_filepath",
    "wav_filename",
    "file_name",
    "filename",
    "path",
    "file",
    "wav",
    *COLUMNS,
)
TEXT_COLUMNS: Final = ("text", "transcript", "transcription", "sentence", "label")
SPEAKER_COLUMNS: Final = ("speaker", "speaker_id", "client_id")
MAX_NAMED: Final = 10  # of missing files
MAX_SECONDS: Final = 600.0  # of a recording to learn from
MAX_FRAMES: Final = 60_000  # likewise, of ready frames

T = TypeVar("T")
_log = logging.getLogger("elman")


@dataclass(frozen=True)
class Recording:
    """One recording and its text."""

    audio: Path | bytes | Frames  # a file, the content of one, or ready frames
    text: str  # one line, without white space at its ends; "" where no texts are needed
    name: str  # in messages
    row: int  # its number in messages about skipped rows
    speaker: str | None = None

    def samples(self, rate: int) -> Samples:
        """Return the samples (samples,) at `rate`. Raises DataError if nothing can be learned from them."""
        assert not isinstance(self.audio, Frames)
        samples = read_audio(self.audio, rate, name=self.name, max_seconds=MAX_SECONDS)
        require_speech(samples, rate, self.name)
        return samples

    def frames(self, features: int | None = None) -> Tensor:
        """Return ready frames (frames, features). Raises as `Frames.read` does."""
        assert isinstance(self.audio, Frames)
        return self.audio.read(self.name, features, MAX_FRAMES)


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings in the order of the data."""

    all: list[Recording]
    name: str  # of the data, in messages
    bad: BadRows

    def __len__(self) -> int:
        return len(self.all)

    @property
    def texts(self) -> list[str]:
        return [recording.text for recording in self.all]

    @property
    def of_frames(self) -> bool:
        """Whether they are ready frames, not sound."""
        return bool(self.all) and isinstance(self.all[0].audio, Frames)

    def take(self, rows: Iterable[int]) -> "Recordings":
        """Return the recordings at `rows` (from 0), in that order."""
        return replace(self, all=[self.all[row] for row in rows])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256, in hexadecimal, of all texts and of the bytes of all files."""
        digest = hashlib.sha256()
        for recording in self.all:
            if isinstance(recording.audio, Frames):
                content = recording.audio.digest
            elif isinstance(recording.audio, bytes):
                content = hashlib.sha256(recording.audio).digest()
            else:
                with open_file(recording.audio) as file:
                    content = hashlib.file_digest(cast(io.BufferedReader, file), "sha256").digest()
            digest.update(content + hashlib.sha256(recording.text.encode()).digest())
        return digest.hexdigest()

    def load(self, rate: int, convert: Callable[[Samples], T]) -> tuple["Recordings", list[T]]:
        """Read all recordings, one at a time, and keep what `convert` makes of their samples.

        Args:
            rate: of the samples, per second.
            convert: called with the samples (samples,) of each recording.

        Returns:
            the recordings that can be used, and the result for each.

        Raises:
            DataError: a recording can't be used and is not to be skipped, or most can't.
        """
        flaws = list[str]()

        def read(recording: Recording) -> T:
            samples = recording.samples(rate)
            if problem_text := flaw(samples):
                flaws.append(f"{recording.name} {problem_text}")
            return convert(samples)

        used, results = self._read(read)
        if flaws:
            _log.warning("%d of %d recordings are poor; the first: %s", len(flaws), len(used), flaws[0])
        return used, results

    @property
    def features(self) -> int:
        """The number of features of the first ready frames that can be read."""
        for recording in self.all if self.bad.skip else self.all[:1]:
            with contextlib.suppress(DataError):
                return recording.frames().shape[1]
        return self.all[0].frames().shape[1]  # says what is wrong

    def load_frames(self, features: int) -> tuple["Recordings", list[Tensor]]:
        """Return the recordings of ready frames that can be used, and the frames (frames, features) of each.
        Raises DataError as `load` does."""
        return self._read(lambda recording: recording.frames(features))

    def _read(self, read: Callable[[Recording], T]) -> tuple["Recordings", list[T]]:
        used, results = list[Recording](), list[T]()
        for recording in self.all:
            try:
                result = read(recording)
            except DataError as problem:
                self.bad.add(recording.row, problem)
                continue
            used.append(recording)
            results.append(result)
        self.bad.report(self.name, len(used))
        return replace(self, all=used), results


def read_recordings(
    data: Any,
    audio: str | None = None,
    text: str | None = None,
    pattern: str | None = None,
    labelled: bool = True,
    skip_bad: bool = False,
) -> Recordings:
    """List recordings and their texts; the recordings themselves are read later (`Recordings.load`).

    Args:
        data: a folder in one of the layouts of `folders`; a table as in `read_table`, with a column of paths,
            which are relative to the table's folder, or of files' contents, as data sets of the hub have; one
            file, if no texts are needed; or `Recordings`, which are returned unchanged. Ready frames are
            files that end in .npy, of which the columns first_frame and frame_count of a table take parts; or
            arrays (frames, features) in a list of dicts.
        audio: name of the column of recordings; by default one of AUDIO_COLUMNS.
        text: name of the column of texts; by default one of TEXT_COLUMNS.
        pattern: of the names of the files in a folder, from which labels are taken (`NamePattern.of`).
        labelled: whether each recording needs a text.
        skip_bad: whether to skip recordings that can't be used, with a warning that counts them, rather than
            to raise DataError for the first.

    Raises:
        DataError: files are missing (the message names up to ten), the table is malformed, or a text is
            empty.
        UsageError: an argument is invalid.
    """
    if isinstance(data, Recordings):
        return data
    names, bad = NamePattern.of(pattern) if pattern else None, BadRows(skip_bad)
    is_path = isinstance(data, (str, Path)) and str(data) != "-" and not str(data).startswith("hf:")
    if is_path:
        check_path(data)
        path = Path(data)
        if path.is_dir():
            folder = Folder(path)
            entries = folder.entries(names, labelled)
            data = folder.table()
            if entries:
                return _checked(entries, str(path), labelled, bad)
            if data is None:
                raise DataError(_no_layout(folder))
            path = data
        if is_ljspeech(path):
            return _checked(list(ljspeech(path)), str(path), labelled, bad)
        if path.suffix.lower() in ENDINGS or is_frames(path):
            return _one_file(path, labelled, bad)
    if names:
        raise UsageError(
            "a pattern of file names is for a folder; give the folder that holds the recordings."
        )
    base = Path(data).parent if is_path else Path()
    if (column := array_column(data, audio)) is not None:
        return _from_arrays(data, column, text, labelled, skip_bad)
    return _from_table(read_table(data, skip_bad=skip_bad), base, audio, text, labelled)


def _one_file(path: Path, labelled: bool, bad: BadRows) -> Recordings:
    if labelled:
        raise DataError(f"{path} is one recording without a text; give a folder of them, or a table.")
    open_file(path).close()  # says what is wrong with a path
    return _checked([Entry(path, "", str(path))], str(path), labelled, bad)


def _no_layout(folder: Folder) -> str:
    if not folder.audio:
        return f"{folder.path} holds no recordings ({', '.join(ENDINGS[:3])}, …) and no table of them."
    return (
        f"{folder.path} holds {len(folder.audio):,} recordings but no texts; put name.txt beside name.wav, "
        "add one table with columns audio and text, or give a pattern such as '{label}_{speaker}_{n}.wav'."
    )


def _from_table(table: Table, base: Path, audio: str | None, text: str | None, labelled: bool) -> Recordings:
    audio = _column(table, audio, AUDIO_COLUMNS, "recordings", "audio")
    if labelled or text is not None:
        text = _column(table, text, TEXT_COLUMNS, "texts", "text")
    table = table.usable(audio, *([text] if text else []))
    texts, speakers = _texts(table, text)
    contents = _contents(table, audio)
    if contents is None:
        paths = [base / path.strip() for path in table.texts(audio)]
        rows = zip(paths, texts, speakers, strict=True)
        entries = [Entry(path, said, table.row(i), who) for i, (path, said, who) in enumerate(rows)]
        lines = [table.line(i) for i in range(len(table))]
        listed = _checked(entries, table.name, labelled, table.bad, lines)
        return _with_parts(listed, table, paths, audio) if listed.of_frames else listed
    recordings = [
        Recording(content, " ".join(said.split()), f"the recording of {table.row(i)}", table.line(i), who)
        for i, (content, said, who) in enumerate(zip(contents, texts, speakers, strict=True))
    ]
    return Recordings(recordings, table.name, table.bad)


def _with_parts(recordings: Recordings, table: Table, paths: list[Path], column: str) -> Recordings:
    """Return recordings of ready frames with the parts of files that the table names."""
    frames, rows = parts(table, paths, column), {table.line(i): table.row(i) for i in range(len(table))}
    each = [(one, f"{one.name} ({rows[one.row]})") for one in recordings.all]
    return replace(recordings, all=[replace(one, audio=frames[one.row], name=name) for one, name in each])


def array_column(data: Any, column: str | None = None) -> str | None:
    """Return the name under which a list of dicts, or the first of them, holds arrays; None if it doesn't."""
    if not isinstance(data, list) or not data or not all(isinstance(row, dict) for row in data):
        return None
    names = COLUMNS if column is None else (column,)
    return next((name for name in names if any(hasattr(row.get(name), "__array__") for row in data)), None)


def _from_arrays(data: Any, column: str, text: str | None, labelled: bool, skip_bad: bool) -> Recordings:
    """Return recordings of ready frames in memory, each with its text."""
    # numbers stand for the arrays, which no table holds
    rows = [row | {column: None if row.get(column) is None else str(k)} for k, row in enumerate(data)]
    table = read_table(rows, skip_bad=skip_bad)
    if labelled or text is not None:
        text = _column(table, text, TEXT_COLUMNS, "texts", "text")
    table = table.usable(column, *([text] if text else []))
    arrays = [data[int(k)][column] for k in table.texts(column)]
    recordings = [
        Recording(Frames(array), " ".join(said.split()), table.row(i), table.line(i), who)
        for i, (array, said, who) in enumerate(zip(arrays, *_texts(table, text), strict=True))
    ]
    return Recordings(recordings, table.name, table.bad)


def _texts(table: Table, text: str | None) -> tuple[list[str], list[str | None]]:
    """Return the text and the speaker of every row, as far as the table has them."""
    texts = table.texts(text) if text else [""] * len(table)
    speaker = next((c for c in table.frame.columns if c.lower() in SPEAKER_COLUMNS), None)
    return texts, table.frame[speaker].cast(pl.String).to_list() if speaker else [None] * len(table)


def _column(table: Table, name: str | None, usual: Sequence[str], what: str, argument: str) -> str:
    if name is not None:
        table.require(name)
        return column_name(name)
    columns = {column.lower(): column for column in reversed(table.frame.columns)}
    found = next((columns[column] for column in usual if column in columns), None)
    if found is None:
        listed = ", ".join(map(shorten, table.frame.columns[:12]))
        raise DataError(f"{table.name} has the columns {listed}; name that of the {what} with {argument}=….")
    return found


def _contents(table: Table, column: str) -> list[bytes] | None:
    """Return the content of files in a column of bytes, or of objects with them; None for paths."""
    cells = table.frame[column]
    if isinstance(cells.dtype, pl.Struct) and "bytes" in {field.name for field in cells.dtype.fields}:
        cells = cells.struct.field("bytes")
    if cells.dtype != pl.Binary:
        return None
    contents: list[bytes | None] = cells.to_list()
    if None in contents:
        raise DataError(f"{table.row(contents.index(None))}: column {column!r} is empty; remove the row.")
    return [content for content in contents if content is not None]


def _checked(
    entries: list[Entry], name: str, labelled: bool, bad: BadRows, rows: Sequence[int] = ()
) -> Recordings:
    """Return the recordings whose files exist and whose texts are not empty."""
    numbers = rows or range(1, len(entries) + 1)
    # unlike Path's, this accepts any string
    missing = [i for i, entry in enumerate(entries) if not os.path.exists(entry.path)]  # noqa: PTH110
    if missing:
        problem = _missing([entries[i] for i in missing], len(entries), name)
        for i in missing:
            bad.add(numbers[i], problem)
    recordings, absent = list[Recording](), set(missing)
    for i, entry in enumerate(entries):
        said = " ".join((entry.text or "").split())
        if labelled and not said:
            what = "has no text" if entry.text is None else "holds an empty text"
            bad.add(numbers[i], DataError(f"{entry.where} {what}; write what is said, or remove it."))
        elif i not in absent:
            audio = Frames(entry.path) if is_frames(entry.path) else entry.path
            recordings.append(Recording(audio, said, str(entry.path), numbers[i], entry.speaker))
    if not recordings:
        bad.report(name, 0)
        raise DataError(f"{name} holds no recording that can be used; give at least one.")
    if len({isinstance(one.audio, Frames) for one in recordings}) > 1:
        raise DataError(f"{name} names both sound and precomputed frames; a model learns from one of them.")
    return Recordings(recordings, name, bad)


def _missing(entries: list[Entry], count: int, name: str) -> DataError:
    listed = ", ".join(str(entry.path) for entry in entries[:MAX_NAMED])
    more = f" and {len(entries) - MAX_NAMED:,} more" if len(entries) > MAX_NAMED else ""
    where = f"the {count:,} files that {name} names"
    are = "does" if len(entries) == 1 else "do"
    return DataError(
        f"{len(entries):,} of {where} {are} not exist: {listed}{more}; paths are relative to its folder."
    )
