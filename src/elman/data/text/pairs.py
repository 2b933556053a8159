"""Sentence pairs for translation: from two parallel files, lines with tabs, or two columns of a table."""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from elman.data.table.bad_rows import BadRows
from elman.data.table.encoding import clean
from elman.data.table.formats import ending, read_bytes, read_pipe, shorten, unpack
from elman.data.table.frames import column_name
from elman.data.table.jsonl import read_jsonl
from elman.data.table.parquet import read_parquet
from elman.data.table.table import ADVICE, Table, check_path, is_text, read_table
from elman.errors import DataError, UsageError, suggestion

Names = tuple[str, str]

COLUMN_NAMES: Final = (("source", "src"), ("target", "tgt", "trg"))
# Language codes that make a first line a header, in lower or upper case, perhaps with a region ("pt-BR"). A
# line of other short words is a pair, such as "Go", tab, "Va".
LANGUAGES: Final = (
    "af|ar|az|be|bg|bn|bs|ca|cs|cy|da|de|el|en|eo|es|et|eu|fa|fi|fr|ga|gl|gu|he|hi|hr|hu|hy|id|is|it|ja|ka|kk|km|"
    "kn|ko|ky|lt|lv|mk|ml|mn|mr|ms|mt|my|nb|ne|nl|nn|pa|pl|pt|ro|ru|si|sk|sl|sq|sr|sv|sw|ta|te|tg|th|tl|tr|uk|ur|"
    "uz|vi|zh|ara|ces|dan|deu|ell|eng|epo|fin|fra|heb|hin|hun|ind|ita|jpn|kor|nld|nor|pol|por|ron|rus|spa|swe|tur|"
    "ukr|vie|zho"
)
LANGUAGE_CODE: Final = re.compile(rf"({LANGUAGES}|{LANGUAGES.upper()})([-_][A-Za-z]{{2,4}})?")
TABLE_ENDINGS: Final = (".csv", ".jsonl", ".ndjson", ".parquet", *ADVICE)  # left to `read_table`


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sentences and their translations, one for one, without white space at their ends, and never empty."""

    source: list[str]
    target: list[str]
    name: str  # of the data, in messages: a path, "a.de + a.en", "standard input", the type of a frame
    fingerprint: str  # SHA-256 in hexadecimal of all sentences, whatever form they came in; `take` keeps it
    columns: Names | None  # names of the two columns; None for parallel files and lines without a header

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Sequence[int]) -> "Pairs":
        """Return the pairs at `rows` (from 0), in that order."""
        return replace(self, source=[self.source[i] for i in rows], target=[self.target[i] for i in rows])


def read_pairs(
    data: Any, source: str | None = None, target: str | None = None, skip_bad: bool | None = None
) -> Pairs:
    """Read sentence pairs from files, standard input or a table.

    Args:
        data: two paths of parallel text files, whose lines translate each other; or a path to lines of
            sentence, tab, translation (.tsv, or any text), in which quotes are ordinary characters; or "-"
            for such lines or JSONL on standard input; or a table as in `read_table`, in which objects in the
            column "translation" are unpacked into columns. Text may be gzipped.
        source: name of the column of sentences.
        target: name of the column of translations. If both are None: columns named source and target (or src,
            tgt, trg), else the only two columns of text, or the first two fields of a line with tabs.
        skip_bad: whether to skip pairs that can't be used, with a warning that counts them, rather than to
            raise DataError for the first.

    Raises:
        DataError: a file is missing or malformed; the message says where and what would be right.
        UsageError: an argument is invalid.
    """
    names = None if source is None or target is None else (column_name(source), column_name(target))
    bad = BadRows(bool(skip_bad), advise=skip_bad is not None)
    if source == target if names else source != target:
        raise UsageError(f"source is {source!r} and target is {target!r}; name two columns, or neither.")
    if isinstance(data, (tuple, list)) and data and all(isinstance(path, (str, Path)) for path in data):
        return _from_files([Path(path) for path in data], names, bad)
    if isinstance(data, str) and data == "-":
        return _from_stdin(names, bad)
    is_path = isinstance(data, (str, Path)) and not str(data).startswith("hf:") and "://" not in str(data)
    if not is_path or ending(Path(data)) in TABLE_ENDINGS:
        return _from_table(read_table(data, skip_bad=bool(skip_bad)), names)
    check_path(data)
    text = _text(Path(data), bad)
    if ending(Path(data)) != ".tsv" and not _has_tabs(text):
        raise DataError(
            f"{data} has no tabs, so no translations; give the file of translations as well, as in "
            '("train.de", "train.en") or, on the command line, `train.de train.en`.'
        )
    return _from_lines(text, str(data), names, bad)


def _text(path: Path, bad: BadRows) -> str:
    return clean(unpack(read_bytes(path), path), str(path), bad).decode()


def _has_tabs(text: str) -> bool:
    """Return whether the first line or half of all lines have a tab; a line without one is then an error."""
    lines = text.strip("\n").split("\n")
    return "\t" in lines[0] or 2 * sum("\t" in line for line in lines) >= len(lines)


def _pairs(rows: list[tuple[str, str]], name: str, columns: Names | None, bad: BadRows) -> Pairs:
    bad.report(name, len(rows))
    if not rows:
        raise DataError(f"{name} holds no pairs; it should hold at least one sentence and its translation.")
    source, target = [s for s, _ in rows], [t for _, t in rows]
    content = json.dumps([source, target]).encode()
    return Pairs(source, target, name, hashlib.sha256(content).hexdigest(), columns)


def _from_files(paths: list[Path], names: Names | None, bad: BadRows) -> Pairs:
    if len(paths) != 2:
        raise UsageError(f"data has {len(paths)} paths; give two: sentences, then their translations.")
    if names:
        raise UsageError("parallel files have no columns; omit source and target (--source, --target).")
    left, right = ([line.strip() for line in _text(p, bad).removesuffix("\n").split("\n")] for p in paths)
    if len(left) != len(right):
        raise DataError(
            f"{paths[0]} has {len(left)} lines, but {paths[1]} has {len(right)}; "
            "each line of one file should be the translation of the same line of the other."
        )
    rows = list(zip(left, right, strict=True))
    for line, (sentence, translation) in enumerate(rows, start=1):
        if bool(sentence) != bool(translation):
            empty, full = paths if translation else paths[::-1]
            what = f"{empty}, line {line} is empty, but line {line} of {full} is not"
            bad.add(line, DataError(f"{what}; fill it in or remove both."))
    return _pairs([row for row in rows if row[0] and row[1]], f"{paths[0]} + {paths[1]}", None, bad)


def _from_stdin(names: Names | None, bad: BadRows) -> Pairs:
    name = "standard input"
    raw = read_pipe(sys.stdin.buffer, name)
    if raw.startswith(b"PAR1"):
        return _from_table(Table(read_parquet(raw, name).frame, name, "", bad=bad), names)
    data = clean(raw, name, bad)
    text = data.decode()
    if _has_tabs(text):
        return _from_lines(text, name, names, bad)
    if text.lstrip().startswith("{"):
        parsed = read_jsonl(data, name, bad)
        table = Table(parsed.frame, name, "", parsed.first_row, parsed.lines, parsed.origins, bad)
        return _from_table(table, names)
    raise DataError(f"{name} has no tabs and is not JSONL; give sentence, tab, translation on each line.")


def _from_lines(text: str, name: str, names: Names | None, bad: BadRows) -> Pairs:
    lines = [
        (number, [field.strip() for field in line.split("\t")])
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    number, head = lines[0] if lines else (0, [])
    columns, indices = (names or _header(head[:2])) if lines else None, (0, 1)
    if columns:
        advice = "; if that line is a pair and not a header, omit source and target."
        _require(columns, head, f"{name}, line {number}", advice)
        indices = head.index(columns[0]), head.index(columns[1])
        del lines[0]
    rows = list[tuple[str, str]]()
    for number, fields in lines:
        try:
            rows.append(_row(fields, indices, name, number))
        except DataError as problem:
            bad.add(number, problem)
    return _pairs(rows, name, columns, bad)


def _row(fields: list[str], indices: tuple[int, int], name: str, number: int) -> tuple[str, str]:
    sentence, translation = ("".join(fields[index : index + 1]) for index in indices)
    if sentence and translation:
        return sentence, translation
    if len(fields) < 2:
        advice = "write sentence, tab, translation, or remove the line."
        raise DataError(f"{name}, line {number} has no tab, so no translation; {advice}")
    what, index = ("translation", indices[1]) if sentence else ("sentence", indices[0])
    raise DataError(
        f"{name}, line {number}: the {what} (column {index + 1}) is empty; fill it in or remove the line."
    )


def _header(cells: list[str]) -> Names | None:
    """Return the first two cells of a file if they are names of columns rather than a pair."""
    codes = len(set(cells)) == 2 and all(LANGUAGE_CODE.fullmatch(cell) for cell in cells)
    return _by_name(cells) or ((cells[0], cells[1]) if codes else None)


def _by_name(columns: list[str]) -> Names | None:
    """Return the column named source or src and the one named target, tgt or trg, if there is one of each."""
    sources, targets = ([c for c in columns if c.lower() in names] for names in COLUMN_NAMES)
    return (sources[0], targets[0]) if len(sources) == len(targets) == 1 else None


def _require(names: Names, columns: list[str], where: str, advice: str = ".") -> None:
    for name in names:
        if name not in columns:
            hint = suggestion(name, columns) or advice
            raise DataError(f"{where} has no column {name!r}; it has {_listed(columns)}{hint}")


def _listed(columns: list[str]) -> str:
    return ", ".join([*map(shorten, columns[:12]), *(["…"] if len(columns) > 12 else [])])


def _from_table(table: Table, names: Names | None) -> Pairs:
    import polars as pl  # slow to import; a translator that only answers does without

    frame = table.frame
    wrapped = isinstance(frame.schema.get("translation"), pl.Struct)
    if wrapped and not (names and set(names) <= set(frame.columns)):
        return _from_table(replace(table, frame=frame["translation"].struct.unnest()), names)
    texts = [c.name for c in frame if is_text(c.dtype)]
    columns = names or _by_name(frame.columns) or ((texts[0], texts[1]) if len(texts) == 2 else None)
    if columns is None:
        raise DataError(
            f"{table.name} has the columns {_listed(frame.columns)}; name the column of sentences and the "
            "column of translations with source=… and target=… (on the command line, --source and --target)."
        )
    _require(columns, frame.columns, table.name)
    table = table.usable(*columns)
    source, target = (_stripped(table, column) for column in columns)
    return _pairs(list(zip(source, target, strict=True)), table.name, columns, table.bad)


def _stripped(table: Table, column: str) -> list[str]:
    texts = [text.strip() for text in table.texts(column)]
    if "" in texts:  # `texts` accepts some control characters, which polars does not count as white space
        raise DataError(f"{table.row(texts.index(''))}: column {column!r} is empty; fill it in.")
    return texts
