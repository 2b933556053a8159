"""The labels in a column of a table: their type and order, and how a label is recognised in another table."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Number
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from elman.data.table.frames import column_name
from elman.data.table.jsonl import PANDAS_MISSING
from elman.data.table.table import Table, is_text
from elman.errors import DataError, counted
from elman.lazy import Lazy
from elman.tasks.classify.labels import Label

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

LARGE: Final = "a whole number of more than 64 bits"
LIST: Final = "a list"
JSON_LIST: Final = r'^\[(\]|("|-?\d|true|false|null).*\]$)'


class Cells(NamedTuple):
    """All labels of a table, in the order of its rows.

    Attributes:
        table: with a row for each label, whose messages name the row of the cell.
        labels: of each such row.
        rows: the row of each label in the table that was read.
    """

    table: Table
    labels: list[Label]
    rows: list[int]


def has_lists(table: Table, column: Any, separator: str | None) -> bool:
    """Return whether a cell may hold several labels: a list, or a text with a separator. Raises DataError
    for a column of lists and of other labels."""
    table.require(column)
    cells = table.frame[column_name(column)]
    if separator is None and cells.dtype == pl.String:  # what a JSONL file that mixes both becomes
        lists = cells.fill_null("").str.contains(JSON_LIST).arg_true()
        if len(lists):
            raise DataError(
                f"{table.row(int(lists[0]))}: column {column!r} holds a list, and labels of another kind "
                "elsewhere; write all labels as lists of one kind."
            )
    return separator is not None or isinstance(cells.dtype, pl.List | pl.Array)


def read_cells(table: Table, column: Any, several: bool, separator: str | None = None) -> Cells:
    """Return the labels of all cells. Where a cell may hold several, each counts once, and one may hold none.
    Raises DataError for a cell that is empty, if it must not be, or that holds no label."""
    if not several:
        return Cells(table, _typed(table, column), [*range(len(table))])
    lists = _lists(table, column, separator)
    sizes = lists.list.len().to_numpy()
    rows = np.repeat(np.arange(len(table)), sizes)
    flat = replace(table, frame=table.frame.select(column_name(column))).select(rows.tolist())
    flat = replace(flat, frame=lists.filter(sizes > 0).explode().to_frame())
    return Cells(flat, _typed(flat, column) if len(flat) else [], rows.tolist())


def finite(table: Table, column: Any) -> Table:
    """Return the rows whose label is not infinite, if bad rows are skipped, else the table itself. Raises
    DataError for the first infinite label, if they are not."""
    cells = table.frame[column_name(column)]
    if not cells.dtype.is_float():
        return table
    infinite = cells.is_infinite().fill_null(False).to_numpy()
    return _without(table, infinite, f"the label in column {column!r} is infinite.")


def whole_lists(table: Table, column: Any, separator: str | None = None) -> Table:
    """Return the rows whose lists hold no empty or infinite label, if bad rows are skipped, else the table
    itself. Raises DataError for the first list that does, if they are not."""
    lists, label = _lists(table, column, separator), pl.element()
    kind = lists.dtype.inner  # type: ignore[attr-defined]
    empty = label.is_null()
    if kind == pl.String:
        empty |= label == ""
    elif kind.is_float():
        empty |= label.is_nan()
        infinite = lists.list.eval(label.is_infinite()).list.any().to_numpy()
        what = f"a list in column {column!r} holds an infinite label."
        table, lists = _without(table, infinite, what), lists.filter(pl.Series(~infinite))
    bad = lists.list.eval(empty).list.any().to_numpy()
    what = f"a list in column {column!r} holds an empty label; fill it in or remove it."
    return _without(table, bad, what)


def _without(table: Table, bad: NDArray[np.bool_], what: str) -> Table:
    """Return the rows that are not bad, if bad rows are skipped. Raises DataError for the first that is, if
    they are not."""
    for row in np.flatnonzero(bad).tolist():
        table.bad.add(table.line(row), DataError(f"{table.row(row)}: {what}"))
    return table.select(np.flatnonzero(~bad).tolist()) if bad.any() else table


def _lists(table: Table, column: Any, separator: str | None) -> "pl.Series":
    """Return the cells as lists of different labels."""
    cells = table.frame[column_name(column)]
    element = pl.element()
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    if isinstance(cells.dtype, pl.List):
        empty = cells.is_null().arg_true()
        if len(empty):
            what = f"column {column!r} is empty; write [] for a text without a label"
            raise DataError(f"{table.row(int(empty[0]))}: {what}.")
        if cells.dtype.inner != pl.String:
            return cells.list.unique(maintain_order=True)
    elif separator is None:
        kind = "; give lists, or the separator of several labels in a text"
        raise DataError(f"column {column!r} of {table.name} holds no lists{kind}.")
    else:
        texts = cells.cast(pl.String).fill_null("").str.split(separator)
        cells = texts.list.eval(element.filter(element.str.strip_chars() != ""))
    return cells.list.eval(element.str.strip_chars()).list.unique(maintain_order=True)


def _typed(table: Table, column: Any) -> list[Label]:
    """Return the labels in the type of their column: text, numbers, true and false."""
    texts = table.texts(column)
    cells = table.frame[column_name(column)]
    if is_text(cells.dtype):
        return [text.strip() for text in texts]
    whole = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)
    if cells.dtype == pl.Boolean or cells.dtype in whole:
        return cells.to_list()
    if not cells.dtype.is_float():
        kind = str(cells.dtype).partition("(")[0]
        raise DataError(f"column {column!r} of {table.name} holds labels of type {kind}; write them as text.")
    return cells.to_list()


def require_one_kind(data: Any, column: Any) -> None:
    """Raise DataError for labels of several kinds in Python's own values, which a table holds as text: the
    answers would be of another kind than some of the labels."""
    first: dict[str, int] = {}
    for row, value in enumerate(_values(data, column)):
        for kind in _kinds(value):
            first.setdefault(kind, row)
    for kind, row in first.items():
        if kind.endswith(LARGE):
            raise DataError(
                f"{type(data).__name__}, row {row} (counted from 0): the label in column {column!r} is "
                f"{kind}; write it as text."
            )
    if all(kind.startswith(LIST) for kind in first):
        first.pop(LIST, None)  # an empty one is of any kind
    else:
        first = {kind: row for kind, row in first.items() if not kind.startswith(f"{LIST} with")}
    if len(first) > 1:
        (kind, row), (other, there) = list(first.items())[:2]
        raise DataError(
            f"{type(data).__name__}, row {there} (counted from 0): the label in column {column!r} is "
            f"{other}, but that of row {row} is {kind}; give labels of one kind."
        )


def _values(data: Any, column: Any) -> Iterable[Any]:
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        return [row.get(column) for row in data]
    is_pandas = hasattr(data, "dtypes") and hasattr(data, "iloc")
    if not (is_pandas or isinstance(data, dict)) or column not in data:
        return ()
    values = data[column]
    return values if isinstance(values, list | tuple) or str(getattr(values, "dtype", "")) == "object" else ()


def _kinds(cell: Any) -> list[str]:
    """Return the kinds of a cell's labels in words, none for a missing one."""
    cell = cell.tolist() if isinstance(cell, np.ndarray) else cell
    if isinstance(cell, list | tuple):
        return [LIST, *(f"{LIST} with {kind}" for label in cell if (kind := _kind(label)))]
    return [kind] if (kind := _kind(cell)) else []


def _kind(label: Any) -> str:
    """Return the kind of one label in words, "" for a missing one."""
    if isinstance(label, str):
        return "a text"
    if isinstance(label, bool | np.bool_):
        return "true or false"
    if isinstance(label, int) and not -(2**63) <= label < 2**64:
        return LARGE
    if isinstance(label, Number):
        return "" if label != label else "a number"
    return "" if label is None or type(label).__name__ in PANDAS_MISSING else type(label).__name__


def by_value(classes: Sequence[Label]) -> Callable[[Label], int | None]:
    """Return a function from a label to its number among `classes`: a label of the same value, or between a
    text and a number or boolean, as where a file is CSV and a frame is not, of the same meaning."""
    same = {label: i for i, label in enumerate(classes)}
    written: dict[Any, set[int]] = {}
    for i, label in enumerate(classes):
        written.setdefault(_meaning(label), set()).add(i)

    def index_of(label: Label) -> int | None:
        if label in same:
            return same[label]
        alike = [
            i
            for i in written.get(_meaning(label), ())
            if isinstance(classes[i], str) != isinstance(label, str)
        ]
        return alike[0] if len(alike) == 1 else None

    return index_of


def _meaning(label: Label) -> Any:
    """Return what a label says whether it is written or not: "true" and True, "1", 1 and 1.0."""
    if isinstance(label, bool):
        return str(label).lower()
    if not isinstance(label, str):
        return label
    if label.lower() in ("true", "false"):
        return label.lower()
    for number in (int, float):
        with suppress(ValueError):
            return number(label)
    return label


def in_order(labels: Sequence[Label], table: Table, column: str, least: int = 2) -> tuple[Label, ...]:
    """Return the different labels: as numbers if all of them are, else by alphabet. Raises DataError if there
    are fewer than `least`, or a label has a single row."""
    counts = Counter(labels)
    if len(counts) < least:
        only = f"only the label {labels[0]!r}" if labels else "no label"
        needed = {1: "a label", 2: "two or more"}[least]
        raise DataError(f"{table.name}: column {column!r} holds {only}; a classifier needs {needed}.")
    lone = next((i for i, label in enumerate(labels) if counts[label] == 1), None)
    if lone is not None:
        more = sum(n == 1 for n in counts.values()) - 1
        others = f" (and {counted(more, 'more label')})" if more else ""
        raise DataError(
            f"{table.row(lone)}: the label {labels[lone]!r} occurs only here{others}; "
            "give it a second example, or remove the row."
        )
    numeric = all(_is_number(label) for label in counts)
    return tuple(sorted(counts, key=lambda label: (float(label), label) if numeric else (0.0, label)))


def _is_number(label: Label) -> bool:
    try:
        return math.isfinite(float(label))
    except ValueError:
        return False
