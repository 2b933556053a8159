"""Tables that are already in memory, and data sets of the Hugging Face hub → polars frames."""

import importlib
from collections import Counter
from typing import Any

import polars as pl

from elman.data.table.formats import column, nearest
from elman.errors import DataError, UsageError

ACCEPTED = (
    "a path, '-' for standard input, 'hf:user/name', a pandas, polars or pyarrow table, "
    "a dict of lists or a list of dicts"
)


def to_frame(source: Any, name: str) -> pl.DataFrame:
    """Any table in memory as a polars frame.

    Raises:
        UsageError: `source` is no table.
        DataError: it is one, but without rows, with columns of unequal length or of a type that Arrow lacks.
    """
    if isinstance(source, dict):
        frame = _from_columns(source, name)
    elif isinstance(source, list) and source and all(isinstance(row, dict) for row in source):
        keys = dict.fromkeys(str(key) for row in source for key in row)
        frame = pl.DataFrame([column(key, [row.get(key) for row in source]) for key in keys])
    elif isinstance(source, pl.DataFrame):
        frame = source
    elif hasattr(source, "__arrow_c_stream__"):
        frame = _from_arrow(source, name)
    else:
        raise UsageError(f"an object of type {type(source).__name__} is not a table; give {ACCEPTED}.")
    if frame.is_empty():
        raise DataError(f"{name} holds no rows; it should hold at least one.")
    for cells in frame:
        if cells.dtype == pl.Object:
            kind = type(cells[0]).__name__
            raise DataError(
                f"column {cells.name!r} of {name} holds Python objects ({kind}); make them text or numbers."
            )
    return frame


def _from_columns(source: dict[Any, Any], name: str) -> pl.DataFrame:
    columns = []
    for key, values in source.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise UsageError(
                f"column {str(key)!r} of the dict should be a list, not {type(values).__name__}."
            )
        is_arrow = hasattr(values, "__arrow_c_stream__")
        columns.append(pl.Series(str(key), values) if is_arrow else column(str(key), list(values)))
    if len({len(values) for values in columns}) > 1:
        told = ", ".join(f"{values.name!r} {len(values)}" for values in columns)
        raise DataError(f"the columns of {name} are not equally long ({told}); give each one value per row.")
    return pl.DataFrame(columns)


def _from_arrow(source: Any, name: str) -> pl.DataFrame:
    if hasattr(source, "read_all"):  # a pyarrow reader, which older polars takes for a list of batches
        source = source.read_all()
    columns = [str(column) for column in getattr(source, "columns", [])]
    is_pandas = bool(columns) and hasattr(source, "astype")
    if is_pandas:
        twice = [column for column, count in Counter(columns).items() if count > 1]
        if twice:
            raise DataError(f"{name} has several columns named {twice[0]!r}; rename all but one.")
        source = source.rename(columns=str)
    try:
        return pl.DataFrame(source)
    except Exception as problem:  # pandas, pyarrow and polars each have their own
        if is_pandas:  # there is no pyarrow, or a column of mixed types
            cells = source.astype(object).mask(source.isna().to_numpy(), None)
            return _from_columns({column: cells[column].tolist() for column in columns}, name)
        raise DataError(
            f"{name} cannot be read as a table ({_reason(problem)}); give named columns of equal length."
        ) from None


def _reason(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


def from_hub(source: str) -> pl.DataFrame:
    """`hf:user/name` or `hf:user/name:split` through the `datasets` package; class numbers become names.

    Raises:
        UsageError: `datasets` is not installed, or the name is malformed, or the split does not exist.
        DataError: the hub could not give the data set.
    """
    path, _, split = source.removeprefix("hf:").partition(":")
    if not path:
        raise UsageError(f"{source!r} names no data set; write hf:user/name or hf:user/name:split.")
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise UsageError(
            f"{source} needs the package datasets; install it with `pip install 'elman[hub]'`."
        ) from None
    try:
        found = datasets.load_dataset(path)
    except Exception as problem:  # every builder has its own errors
        raise DataError(
            f"{source} cannot be loaded from the hub ({_reason(problem)}); check the name and the connection."
        ) from None
    return _named_classes(found[_split(source, split, list(found))])


def _split(source: str, split: str, there: list[str]) -> str:
    wanted = split or (there[0] if len(there) == 1 else "train")
    if wanted not in there:
        problem = f"has no split {wanted!r}" if split else "has several splits"
        raise UsageError(f"{source} {problem}; it has {', '.join(there)}{nearest(wanted, there) or '.'}")
    return wanted


def _named_classes(data: Any) -> pl.DataFrame:
    frame: pl.DataFrame = data.to_polars()
    for key, feature in data.features.items():
        names = getattr(feature, "names", None)
        if names:
            ids = list(range(len(names)))
            frame = frame.with_columns(
                pl.col(key).replace_strict(ids, names, default=None, return_dtype=pl.String)
            )
    return frame
