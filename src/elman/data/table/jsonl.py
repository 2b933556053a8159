"""JSONL: one object per line → a frame."""

import json
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from elman.data.table.bad_rows import STOP, BadRows
from elman.data.table.formats import Parsed, require_columns, shorten
from elman.errors import DataError
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

# Deeper values become text, as polars takes the cube of the depth.
MAX_DEPTH: Final = 4
MAX_EXACT: Final = 2**53  # the largest whole number up to which a float holds all
PANDAS_MISSING: Final = ("NAType", "NaTType")
# Where each line has other keys, the table is far larger than the file.
MIN_CELLS: Final = 1_000_000
MAX_CELLS_PER_BYTE: Final = 20


def read_jsonl(data: bytes, name: str, bad: BadRows = STOP) -> Parsed:
    """Read one JSON object per line; the keys are the columns, in the order of their first appearance.

    Raises:
        DataError: a line is not a JSON object; the message names the line and the character.
    """
    if data.lstrip().startswith(b"["):
        raise DataError(
            f"{name} is one JSON array; write one object per line, for example with `jq -c '.[]'`."
        )
    objects: list[dict[str, Any]] = []
    lines, rows = array("q"), array("q")
    row = 0
    for number, line in enumerate(_lines(data), start=1):
        if line.strip():
            try:
                objects.append(_object(line, f"{name}, line {number}"))
            except DataError as problem:
                bad.add(number, problem)
            else:
                lines.append(number)
                rows.append(row)
            row += 1
    columns = dict.fromkeys(key for item in objects for key in item)
    if not columns:
        bad.report(name, 0)  # raises DataError if there are bad lines
        raise DataError(f'{name} holds objects without keys; each should look like {{"text": "…"}}.')
    require_columns(len(columns), name)
    if len(columns) * len(objects) > max(MIN_CELLS, MAX_CELLS_PER_BYTE * len(data)):
        raise DataError(
            f"{name} has {len(columns):,} different keys in {len(objects):,} lines; give each line the same."
        )
    frame = pl.DataFrame([to_series(key, [item.get(key) for item in objects]) for key in columns])
    starts = np.array(lines) if lines[-1] != len(lines) else None
    return Parsed(frame, 1, starts, np.array(rows) if rows[-1] + 1 != len(rows) else None)


def _lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines one by one, as a list of them would take the file's size again."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end]
        start = end + 1
    yield data[start:]


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
        if b"\\u" in line:  # "\ud83d" alone is valid JSON
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as problem:
        reason = f"{problem.msg} at character {problem.colno}"
        raise DataError(f"{where} is not valid JSON ({reason}); correct or remove the line.") from None
    except UnicodeEncodeError:
        raise DataError(
            f"{where} holds half of a surrogate pair, which is not a character; remove it."
        ) from None
    except RecursionError:
        raise DataError(f"{where} is nested too deeply; it should be one flat object.") from None
    except ValueError:  # Python limits the digits of an integer
        raise DataError(f"{where} holds a number of thousands of digits; shorten it.") from None
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else f"the value {shorten(value)}"
        raise DataError(f'{where} is {kind}, not an object; it should look like {{"text": "…"}}.')
    return value


def _is_exact(value: Any) -> bool:
    """Return whether a value is a number that float64 holds exactly."""
    return type(value) is float or (type(value) is int and abs(value) <= MAX_EXACT)


def to_series(name: str, values: list[Any]) -> "pl.Series":
    """Return `values` in the type they share, or else as text, with objects and lists as JSON.

    Raises:
        DataError: a value is nested too deeply to be written as JSON.
    """
    values = [None if type(value).__name__ in PANDAS_MISSING else value for value in values]
    values = [value.tolist() if isinstance(value, np.ndarray) and value.ndim else value for value in values]
    try:
        if not any(_is_deep(value, MAX_DEPTH) for value in values):
            return pl.Series(name, values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        if all(value is None or _is_exact(value) for value in values):
            return pl.Series(name, values, dtype=pl.Float64, strict=False)
    try:
        return pl.Series(name, [_text(value) for value in values], dtype=pl.String)
    except (RecursionError, ValueError):
        raise DataError(f"column {shorten(name)} holds values that can't be written as text.") from None


def _is_deep(value: Any, limit: int) -> bool:
    if not isinstance(value, list | dict):
        return False
    items = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_is_deep(item, limit - 1) for item in items)


def _text(value: Any) -> str | None:
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        value = float(value) if isinstance(value, np.longdouble) else value.item()  # NumPy's scalars
    if value is None or isinstance(value, str):
        return value
    missing = isinstance(value, float) and value != value
    return None if missing else json.dumps(value, ensure_ascii=False, default=str)
