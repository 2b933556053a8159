"""What a caller may give a model to answer: a text, several, a column of a table in memory, or a file."""

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from elman.data.table.encoding import clean
from elman.data.table.formats import ENDINGS, ending, read_bytes
from elman.data.table.kinds import column_in_kind_of
from elman.data.table.table import Table, read_table
from elman.errors import UsageError
from elman.settings import is_whole

T = TypeVar("T")
MAX_LOOKED: Final = 32  # inputs at once
NO_TEXTS: Final = (bytes, bytearray, memoryview, set, frozenset)  # iterable, but not over texts in an order


class Texts(NamedTuple):
    texts: list[str]
    single: bool  # whether it was one text, to which one answer is returned


def read_texts(data: Any, column: Any = "text") -> Texts:
    """Return the texts in `data`.

    Args:
        data: a string is one text. So is a row of a table: a dict, or a pandas Series whose index names the
            columns. Several: an iterable of strings (list, generator, array, column of a frame); a table in
            memory, as `read_table` takes; a `pathlib.Path` of a table or of a file with one text per line.
        column: the table's column; one of another name is taken if the table has no second.

    Raises:
        UsageError: `data` holds something else.
        DataError: a table or file can't be read, has no such column, or a cell without a text.
    """
    if getattr(data, "ndim", None) == 0 and hasattr(data, "item"):
        data = data.item()
    if isinstance(data, str):
        return Texts([_plain(data)], True)
    if isinstance(data, os.PathLike):
        return Texts(_of_file(Path(data), column), False)
    if is_table(data):
        return Texts([] if _is_empty(data) else texts_of(read_table(data), column), False)
    if (row := _row(data, column)) is not None:
        return Texts(texts_of(read_table([row]), column), True)
    if not isinstance(data, Iterable) or isinstance(data, NO_TEXTS):
        raise UsageError(f"data must be a text, a list of texts, a table or a Path, not {_kind(data)}")
    values = _values(data)
    if values and all(isinstance(value, dict) for value in values):
        return Texts(texts_of(read_table(values), column), False)
    for i, text in enumerate(values):
        if not isinstance(text, str):
            raise UsageError(f"data: text {i} must be a string, not {_kind(text)}")
    return Texts(list(map(_plain, values)), False)


def as_given(answers: list[Any], single: bool, data: Any, name: str) -> Any:
    """Return the answer to a single text; or those to several, a list, which becomes a column called `name`
    where `data` are a frame or column of pandas (with its index), polars or Arrow."""
    return answers[0] if single else column_in_kind_of(answers, data, name)


def looked_at(inputs: Sequence[T]) -> list[T]:
    """Return the inputs that the lens looks at: of many the first. Raises UsageError if there are none."""
    if not inputs:
        raise UsageError("there is nothing to look at: give a text, a recording or a series")
    return list(inputs[:MAX_LOOKED])


def check_text(text: Any, argument: str) -> str:
    """Return a text as a plain string. Raises UsageError, which names the argument, if it is none."""
    if not isinstance(text, str):
        raise UsageError(f"{argument} must be a string, not {_kind(text)}")
    return _plain(text)


def check_count(count: Any, argument: str = "count", least: int = 1, most: float = math.inf) -> None:
    """Raise UsageError unless a count is a whole number from `least` to `most`."""
    if not is_whole(count) or not least <= count <= most:
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise UsageError(f"{argument} must be a whole number {bounds}, not {count!r}")


def check_seed(seed: Any) -> None:
    """Raise UsageError unless a seed is one that PyTorch's generators take, and not negative."""
    if not is_whole(seed) or not 0 <= seed < 2**63:
        raise UsageError(f"seed must be a whole number from 0 to below 2**63, not {seed!r}")


def is_table(data: Any) -> bool:
    """Return whether an object in memory has columns. A dict that holds a string is a row of a table."""
    if isinstance(data, dict):
        return not any(isinstance(value, str) for value in data.values())
    names = ("columns", "column_names", "read_all")
    return isinstance(data, Table) or any(hasattr(type(data), name) for name in names)


def _is_empty(data: Any) -> bool:
    if isinstance(data, dict):
        return all(hasattr(values, "__len__") and len(values) == 0 for values in data.values())
    return hasattr(data, "__len__") and len(data) == 0


def _row(data: Any, column: Any) -> dict[Any, Any] | None:
    """Return a row of a table, a dict or a pandas Series whose index names its columns, as a dict."""
    if isinstance(data, dict):
        return data
    is_series = hasattr(data, "to_dict") and hasattr(data, "index") and not callable(data.index)
    return data.to_dict() if is_series and column in data.index else None


def _values(data: Iterable[Any]) -> list[Any]:
    """Return the values of an iterable as Python's; arrays and columns have a method for that."""
    for name in ("to_pylist", "to_list", "tolist"):
        if callable(method := getattr(data, name, None)):
            return list(method())
    return list(data)


def texts_of(table: Table, column: Any) -> list[str]:
    """Return the texts of a table's only column, or else of `column`; blank ones are texts, too."""
    names = table.frame.columns
    return table.texts(names[0] if len(names) == 1 else column, blank=True)


def only_column(table: Table, argument: str) -> Any:
    """Return the only column of a table. Raises UsageError, which names the argument, if there are more."""
    names = table.frame.columns
    if len(names) != 1:
        raise UsageError(f"{argument} must be one column, not {len(names)}: {', '.join(names[:6])}")
    return table.frame[names[0]]


def _of_file(path: Path, column: Any) -> list[str]:
    if ending(path) in ENDINGS:
        return texts_of(read_table(path), column)
    return clean(read_bytes(path), str(path)).decode().removesuffix("\n").split("\n")


def _plain(text: str) -> str:
    return str.__str__(text)  # of NumPy's str_ and of other subclasses


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
