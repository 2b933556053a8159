"""Tables in memory and data sets of the Hugging Face hub → polars frames."""

import importlib
from collections import Counter
from typing import Any

import polars as pl

from elman.data.table.formats import to_series
from elman.errors import DataError, UsageError, suggestion


def to_frame(source: Any, name: str) -> pl.DataFrame:
    """Convert any table in memory to a polars frame.

    Raises:
        UsageError: `source` is not a table.
        DataError: it has no rows, columns of unequal length, or a column of a type that Arrow lacks.
    """
    if isinstance(source, dict):
        frame = _from_columns(source, name)
    elif isinstance(source, list) and source and all(isinstance(row, dict) for row in source):
        keys = dict.fromkeys(str(key) for row in source for key in row)
        frame = pl.DataFrame([to_series(key, [row.get(key) for row in source]) for key in keys])
    elif isinstance(source, pl.DataFrame | pl.LazyFrame):
        frame = source.lazy().collect()
    elif hasattr(source, "__arrow_c_stream__"):
        frame = _from_arrow(source, name)
    else:
        raise UsageError(
            f"an object of type {type(source).__name__} is not a table; give a path, '-' for standard input, "
            "'hf:user/name', a pandas, polars or pyarrow table, a dict of lists or a list of dicts."
        )
    if frame.is_empty():
        raise DataError(f"{name} holds no rows; it should hold at least one.")
    for cells in frame:
        if cells.dtype == pl.Object:
            kind = type(cells[0]).__name__
            raise DataError(
                f"column {cells.name!r} of {name} holds Python objects ({kind}); give text or numbers."
            )
    return frame


def _from_columns(source: dict[Any, Any], name: str) -> pl.DataFrame:
    columns = []
    for key, values in source.items():
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise UsageError(f"column {str(key)!r} is of type {type(values).__name__}; it should be a list.")
        is_arrow = hasattr(values, "__arrow_c_stream__")
        columns.append(pl.Series(str(key), values) if is_arrow else to_series(str(key), list(values)))
    if len({len(values) for values in columns}) > 1:
        lengths = ", ".join(f"{values.name!r} {len(values)}" for values in columns)
        raise DataError(f"the columns of {name} differ in length ({lengths}); give each one value per row.")
    return pl.DataFrame(columns)


def _from_arrow(source: Any, name: str) -> pl.DataFrame:
    if hasattr(source, "read_all"):  # older polars mistakes a pyarrow reader for a list of batches
        source = source.read_all()
    columns = [str(column) for column in getattr(source, "columns", [])]
    is_pandas = bool(columns) and hasattr(source, "astype")
    if is_pandas:
        repeated = [column for column, count in Counter(columns).items() if count > 1]
        if repeated:
            raise DataError(f"{name} has several columns named {repeated[0]!r}; rename all but one.")
        source = source.rename(columns=str)
    try:
        return pl.DataFrame(source)
    except Exception as problem:  # pandas, pyarrow and polars each raise their own
        if is_pandas:  # pyarrow is not installed, or a column has mixed types
            cells = source.astype(object).mask(source.isna().to_numpy(), None)
            return _from_columns({column: cells[column].tolist() for column in columns}, name)
        raise DataError(
            f"{name} cannot be read as a table ({_reason(problem)}); give named columns of equal length."
        ) from None


def _reason(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


def from_hub(source: str) -> pl.DataFrame:
    """Load `hf:user/name` or `hf:user/name:split` with the `datasets` package; class numbers become names.

    Raises:
        UsageError: `datasets` is not installed, the name is malformed, or the split does not exist.
        DataError: the data set cannot be loaded.
    """
    path, _, split = source.removeprefix("hf:").partition(":")
    if not path:
        raise UsageError(f"{source!r} does not name a data set; give hf:user/name or hf:user/name:split.")
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise UsageError(
            f"{source} requires the package datasets; install it with `pip install 'elman[hub]'`."
        ) from None
    try:
        splits = datasets.load_dataset(path)
    except Exception as problem:  # each builder raises its own
        raise DataError(
            f"{source} cannot be loaded from the hub ({_reason(problem)}); check the name and the connection."
        ) from None
    return _with_class_names(splits[_choose_split(source, split, list(splits))])


def _choose_split(source: str, name: str, splits: list[str]) -> str:
    split = name or (splits[0] if len(splits) == 1 else "train")
    if split not in splits:
        problem = f"has no split {split!r}" if name else "has several splits"
        raise UsageError(f"{source} {problem}; it has {', '.join(splits)}{suggestion(split, splits) or '.'}")
    return split


def _with_class_names(data: Any) -> pl.DataFrame:
    frame: pl.DataFrame = data.to_polars()
    for key, feature in data.features.items():
        names = getattr(feature, "names", None)
        if names:
            ids = list(range(len(names)))
            named = pl.col(key).replace_strict(ids, names, default=None, return_dtype=pl.String)
            frame = frame.with_columns(named)
    return frame
