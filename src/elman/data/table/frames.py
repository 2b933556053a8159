"""Tables in memory and data sets of the Hugging Face hub → polars frames."""

import importlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from elman.data.table.formats import require_columns, shorten
from elman.data.table.jsonl import to_series
from elman.errors import DataError, UsageError, suggestion
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")


def to_frame(source: Any, name: str) -> "pl.DataFrame":
    """Convert any table in memory to a polars frame.

    Raises:
        UsageError: `source` is not a table.
        DataError: it has no rows, columns of unequal length, or a column of a type that Arrow lacks.
    """
    if isinstance(source, pl.LazyFrame):
        try:
            source = source.collect()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as problem:
            raise DataError(
                f"{name} cannot be read as a table ({_reason(problem)}); correct its query."
            ) from None
    if isinstance(source, dict):
        frame = _from_columns(list(source.items()), name)
    elif isinstance(source, list) and source and all(isinstance(row, dict) for row in source):
        keys = dict.fromkeys(key for row in source for key in row)
        require_columns(len(keys), name)
        frame = _from_columns([(key, [row.get(key) for row in source]) for key in keys], name)
    elif isinstance(source, pl.DataFrame):
        frame = _renamed(source, name)
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


def column_name(value: Any) -> str:
    """Return the name under which `read_table` keeps a column: the text of a name that is none, such as 0.

    Raises:
        UsageError: the value is None or a list, which name no column.
    """
    if value is None or isinstance(value, (list, dict, set)) or hasattr(value, "__array__"):
        value = value.item() if getattr(value, "shape", None) == () else value
        if not isinstance(value, (str, int, float)):
            kind = type(value).__name__
            raise UsageError(f"a column is named by its text or number, not by a value of type {kind}.")
    if isinstance(value, tuple):  # of a frame with several levels of columns
        return str(tuple(part.item() if hasattr(part, "item") else part for part in value))
    return unicodedata.normalize("NFC", str(value))


def _renamed(frame: "pl.DataFrame", name: str) -> "pl.DataFrame":
    renamed = frame.clone()  # the caller keeps its names
    renamed.columns = _names(frame.columns, name)
    return renamed


def _names(columns: Iterable[Any], name: str) -> list[str]:
    """Return the names of columns as text. Raises DataError if two are the same."""
    names = ["None" if column is None else column_name(column) for column in columns]
    require_columns(len(names), name)
    column, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise DataError(f"{name} has several columns named {shorten(column)}; rename all but one.")
    return names


def _from_columns(source: list[tuple[Any, Any]], name: str) -> "pl.DataFrame":
    columns = []
    for key, (_, values) in zip(_names((key for key, _ in source), name), source, strict=True):
        ordered = hasattr(values, "__iter__") and not isinstance(values, (str, bytes, set, frozenset))
        if not ordered or getattr(values, "ndim", 1) == 0:
            kind = type(values).__name__
            raise UsageError(f"column {shorten(key)} is of type {kind}; it should be a list.")
        columns.append(_column(key, values, name))
    if len({len(values) for values in columns}) > 1:
        lengths = ", ".join(f"{shorten(values.name)} {len(values)}" for values in columns[:12])
        raise DataError(f"the columns of {name} differ in length ({lengths}); give each one value per row.")
    return pl.DataFrame(columns)


def _column(key: str, values: Any, name: str) -> "pl.Series":
    if not hasattr(values, "__arrow_c_stream__"):
        return to_series(key, list(values))
    try:
        return pl.Series(key, values)
    except Exception as problem:  # as for whole tables
        raise DataError(f"column {shorten(key)} of {name} cannot be read ({_reason(problem)}).") from None


def _from_arrow(source: Any, name: str) -> "pl.DataFrame":
    if hasattr(source, "read_all"):  # older polars mistakes a pyarrow reader for a list of batches
        source = source.read_all()
    is_pandas = hasattr(source, "columns") and hasattr(source, "astype")
    if is_pandas:
        columns = _names(source.columns, name)
        source = source.set_axis(columns, axis=1)
    try:
        frame = pl.DataFrame(source)
    except Exception as problem:  # pandas, pyarrow and polars each raise their own
        if is_pandas:  # pyarrow is not installed, or a column has mixed types
            cells = source.astype(object).mask(source.isna().to_numpy(), None)
            return _from_columns([(column, cells[column].tolist()) for column in columns], name)
        raise DataError(
            f"{name} cannot be read as a table ({_reason(problem)}); give named columns of equal length."
        ) from None
    return _renamed(frame, name)


def _reason(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0].rstrip(".")


def from_hub(source: str) -> "pl.DataFrame":
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


def _with_class_names(data: Any) -> "pl.DataFrame":
    frame: pl.DataFrame = data.to_polars()
    for key, feature in data.features.items():
        names = getattr(feature, "names", None)
        if names:
            ids = list(range(len(names)))
            named = pl.col(key).replace_strict(ids, names, default=None, return_dtype=pl.String)
            frame = frame.with_columns(named)
    return frame
