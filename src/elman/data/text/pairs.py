"""Sentences and their translations: from two parallel files, lines with tabs, or the columns of a table."""

import hashlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import polars as pl

from elman.data.table.formats import clean, nearest, read_bytes, read_jsonl, read_parquet, shorten, unzip
from elman.data.table.table import ADVICE, Table, read_table
from elman.errors import DataError, UsageError

Names = tuple[str, str]

WORDS: Final = (("source", "src"), ("target", "tgt", "trg"))
# Languages that a first line may name, in small letters or in capitals, with a region ("pt-BR") or without. A
# line of other short words is a pair, and so is "Go", tab, "Va".
CODES: Final = (
    "af|ar|az|be|bg|bn|bs|ca|cs|cy|da|de|el|en|eo|es|et|eu|fa|fi|fr|ga|gl|gu|he|hi|hr|hu|hy|id|is|it|ja|ka|kk|km|"
    "kn|ko|ky|lt|lv|mk|ml|mn|mr|ms|mt|my|nb|ne|nl|nn|pa|pl|pt|ro|ru|si|sk|sl|sq|sr|sv|sw|ta|te|tg|th|tl|tr|uk|ur|"
    "uz|vi|zh|ara|ces|dan|deu|ell|eng|epo|fin|fra|heb|hin|hun|ind|ita|jpn|kor|nld|nor|pol|por|ron|rus|spa|swe|tur|"
    "ukr|vie|zho"
)
CODE: Final = re.compile(rf"({CODES}|{CODES.upper()})([-_][A-Za-z]{{2,4}})?")
TABLES: Final = (".csv", ".jsonl", ".ndjson", ".parquet", *ADVICE)  # what `read_table` reads or advises on


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sentences and their translations, one for one.

    Attributes:
        source: without white space at the ends, never empty; blanks inside stay as they are.
        target: the same.
        name: what messages call the data: a path, "a.de + a.en", "standard input", the type of a frame.
        fingerprint: SHA-256 in hexadecimal of all the sentences read, in whatever form; `take` keeps it.
        columns: the names of the two columns; None for parallel files and lines without a header.
    """

    source: list[str]
    target: list[str]
    name: str
    fingerprint: str
    columns: Names | None

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: Sequence[int]) -> "Pairs":
        """The pairs at `rows` (from 0), in that order."""
        return replace(self, source=[self.source[i] for i in rows], target=[self.target[i] for i in rows])


def read_pairs(data: Any, source: str | None = None, target: str | None = None) -> Pairs:
    """Sentence pairs from whatever holds them.

    Args:
        data: two paths of parallel text files, whose lines translate each other; or a path to lines of
            sentence, tab, translation (.tsv, or any text), where quotes are ordinary characters; or "-" for
            such lines or JSONL; or a table as `read_table` takes it, in which objects in the column
            "translation" are taken apart into columns. Text may be gzipped.
        source: the column of the sentences.
        target: that of the translations. If both are None, columns called source and target (or src, tgt,
            trg), else the only two columns of text, or the first two fields of a line with tabs.

    Raises:
        DataError: a file is missing, or something in it is wrong; says where, and what would be right.
        UsageError: an argument that cannot be meant.
    """
    named = None if source is None or target is None else (source, target)
    if source == target if named else source != target:
        raise UsageError(f"source is {source!r} and target is {target!r}; name two columns, or neither.")
    if isinstance(data, (tuple, list)) and data and all(isinstance(path, (str, Path)) for path in data):
        return _of_files([Path(path) for path in data], named)
    if isinstance(data, str) and data == "-":
        return _of_stdin(named)
    is_path = isinstance(data, (str, Path)) and not str(data).startswith("hf:") and "://" not in str(data)
    if not is_path or _ending(Path(data)) in TABLES:
        return _of_table(read_table(data), named)
    text = _text(Path(data))
    if _ending(Path(data)) != ".tsv" and not _has_tabs(text):
        raise DataError(
            f"{data} holds lines without tabs, so no translations; give the file of translations beside it, "
            'as ("train.de", "train.en") or on the command line `train.de train.en`.'
        )
    return _of_lines(text, str(data), named)


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _text(path: Path) -> str:
    data = read_bytes(path)
    if path.suffix.lower() == ".gz":
        data = unzip(data, str(path))
    return clean(data, str(path)).decode()


def _has_tabs(text: str) -> bool:
    """Whether the first line holds a tab or at least half of them do: one slip should not hide the rest."""
    lines = text.strip("\n").split("\n")
    return "\t" in lines[0] or 2 * sum("\t" in line for line in lines) >= len(lines)


def _pairs(rows: list[tuple[str, str]], name: str, columns: Names | None) -> Pairs:
    if not rows:
        raise DataError(f"{name} holds no pairs; it should hold at least one sentence and its translation.")
    source, target = [s for s, _ in rows], [t for _, t in rows]
    content = json.dumps([source, target]).encode()
    return Pairs(source, target, name, hashlib.sha256(content).hexdigest(), columns)


def _of_files(paths: list[Path], named: Names | None) -> Pairs:
    if len(paths) != 2:
        raise UsageError(f"parallel files are two, not {len(paths)}; give sentences, then translations.")
    if named:
        raise UsageError("parallel files have no columns; leave out source and target (--source, --target).")
    left, right = ([line.strip() for line in _text(p).removesuffix("\n").split("\n")] for p in paths)
    if len(left) != len(right):
        raise DataError(
            f"{paths[0]} has {len(left)} lines, but {paths[1]} has {len(right)}; "
            "each line of one should be the translation of the same line of the other."
        )
    rows = list(zip(left, right, strict=True))
    for line, (sentence, translation) in enumerate(rows, start=1):
        if bool(sentence) != bool(translation):
            empty, full = paths if translation else paths[::-1]
            raise DataError(
                f"{empty}, line {line} is empty but line {line} of {full} is not; fill it in or remove both."
            )
    return _pairs([row for row in rows if row[0]], f"{paths[0]} + {paths[1]}", None)


def _of_stdin(named: Names | None) -> Pairs:
    raw, name = sys.stdin.buffer.read(), "standard input"
    if raw.startswith(b"PAR1"):
        return _of_table(Table(read_parquet(raw, name).frame, name, ""), named)
    data = clean(raw, name)
    text = data.decode()
    if _has_tabs(text):
        return _of_lines(text, name, named)
    if text.lstrip().startswith("{"):
        parsed = read_jsonl(data, name)
        return _of_table(Table(parsed.frame, name, "", parsed.first_row, parsed.lines), named)
    raise DataError(f"{name} holds no tabs and no JSONL; give lines of sentence, tab, translation, or JSONL.")


def _of_lines(text: str, name: str, named: Names | None) -> Pairs:
    lines = [
        (number, [field.strip() for field in line.split("\t")])
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    number, head = lines[0] if lines else (0, [])
    columns, at = (named or _header(head[:2])) if lines else None, (0, 1)
    if columns:
        otherwise = "; if that is a pair and no header, leave out source and target."
        _require(columns, head, f"{name}, line {number}", otherwise)
        at = head.index(columns[0]), head.index(columns[1])
        del lines[0]
    return _pairs([_row(fields, at, name, number) for number, fields in lines], name, columns)


def _row(fields: list[str], at: tuple[int, int], name: str, number: int) -> tuple[str, str]:
    sentence, translation = ("".join(fields[index : index + 1]) for index in at)
    if sentence and translation:
        return sentence, translation
    if len(fields) < 2:
        problem = "there is no tab, so no translation; write sentence, tab, translation, or remove the line."
    else:
        what, index = ("translation", at[1]) if sentence else ("sentence", at[0])
        problem = f"the {what} (column {index + 1}) is empty; fill it in or remove the line."
    raise DataError(f"{name}, line {number}: {problem}")


def _header(cells: list[str]) -> Names | None:
    """The names of the columns, if that is what the first two cells of a file are."""
    codes = len(set(cells)) == 2 and all(CODE.fullmatch(cell) for cell in cells)
    return _by_word(cells) or ((cells[0], cells[1]) if codes else None)


def _by_word(columns: list[str]) -> Names | None:
    """The column called source or src and the one called target, tgt or trg, if there is one of each."""
    found = [[c for c in columns if c.lower() in words] for words in WORDS]
    return (found[0][0], found[1][0]) if len(found[0]) == len(found[1]) == 1 else None


def _require(wanted: Names, there: list[str], where: str, otherwise: str = ".") -> None:
    for column in wanted:
        if column not in there:
            hint = nearest(column, there) or otherwise
            raise DataError(f"{where} has no column {column!r}; it has {_listed(there)}{hint}")


def _listed(columns: list[str]) -> str:
    return ", ".join([*map(shorten, columns[:12]), *(["…"] if len(columns) > 12 else [])])


def _of_table(table: Table, named: Names | None) -> Pairs:
    frame = table.frame
    wrapped = isinstance(frame.schema.get("translation"), pl.Struct)
    if wrapped and not (named and set(named) <= set(frame.columns)):
        return _of_table(replace(table, frame=frame["translation"].struct.unnest()), named)
    texts = [c.name for c in frame if c.dtype in (pl.String, pl.Categorical, pl.Enum)]
    columns = named or _by_word(frame.columns) or ((texts[0], texts[1]) if len(texts) == 2 else None)
    if columns is None:
        raise DataError(
            f"{table.name} has the columns {_listed(frame.columns)}; name that of the sentences and that of "
            "the translations with source=… and target=… (on the command line --source, --target)."
        )
    _require(columns, frame.columns, table.name)
    source, target = (_stripped(table, column) for column in columns)
    return _pairs(list(zip(source, target, strict=True)), table.name, columns)


def _stripped(table: Table, column: str) -> list[str]:
    texts = [text.strip() for text in table.texts(column)]
    if "" in texts:  # polars does not count some control characters as white space, so `texts` let it pass
        raise DataError(f"{table.row(texts.index(''))}: column {column!r} is empty; fill it in.")
    return texts
