"""Tables go back to the caller as the kind of frame that came: pandas, Arrow, or polars.

pandas is imported only for a caller who uses it, and pyarrow is not needed for it.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from elman.data.table.table import is_text
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

Kind = Literal["pandas", "pyarrow", "polars"]


def kind_of(data: Any) -> Kind:
    """Return the library of a frame or column; "polars" for anything else, such as a path, a list or None."""
    pandas: Any = sys.modules.get("pandas")  # without which there are no objects of it
    if pandas is not None and isinstance(data, pandas.DataFrame | pandas.Series | pandas.Index):
        return "pandas"
    return "pyarrow" if type(data).__module__.partition(".")[0] == "pyarrow" else "polars"


def is_frame(data: Any) -> bool:
    """Return whether data are a frame or a column of one of these libraries."""
    polars: Any = sys.modules.get("polars")
    if polars is not None and isinstance(data, polars.DataFrame | polars.LazyFrame | polars.Series):
        return True
    return kind_of(data) != "polars"


def in_kind_of(frame: "pl.DataFrame", data: Any, *, same_rows: bool = False) -> Any:
    """Return a table as the kind of frame that the caller's `data` are, in the caller's types.

    In pandas, stamps have the time zone and the unit of the caller's, and dates are stamps. Arrow data get a
    `pyarrow.Table`; for data of any other kind, the table stays as it is.

    Args:
        frame: the table.
        data: what the caller gave.
        same_rows: whether row i of the table belongs to row i of the data, whose index it then takes.
    """
    kind = kind_of(data)
    if kind != "pandas":
        return in_kind(frame, kind)
    return _to_pandas(frame, [*_dtypes(data)], getattr(data, "index", data) if same_rows else None)


def in_kind(frame: "pl.DataFrame", kind: Kind) -> Any:
    """Return a table as a frame of this kind, in its library's usual types. ImportError if it is missing."""
    if kind == "pandas":
        return _to_pandas(frame, [], None)
    return frame.to_arrow() if kind == "pyarrow" else frame


def column_in_kind_of(values: list[Any], data: Any, name: str) -> Any:
    """Return values, one for each row of the caller's `data`, as a column of the library of that frame or
    column, with the index of a pandas one; as the list itself for any other data."""
    if not is_frame(data):
        return values
    column, kind = pl.Series(name, values), kind_of(data)
    if kind == "pandas":
        return in_kind_of(column.to_frame(), data, same_rows=True)[name]
    return column.to_arrow() if kind == "pyarrow" else column


def _dtypes(data: Any) -> Iterator[Any]:
    """Yield the types of a pandas object's columns and of its index."""
    yield from data.dtypes if hasattr(data, "columns") else [data.dtype]
    index: Any = getattr(data, "index", data)
    for level in range(index.nlevels):
        yield index.get_level_values(level).dtype


def _to_pandas(frame: "pl.DataFrame", dtypes: list[Any], index: Any) -> Any:
    """Return a pandas frame, whose columns are of the caller's `dtypes` where one of them fits."""
    pandas = importlib.import_module("pandas")
    texts = [dtype for dtype in dtypes if isinstance(dtype, pandas.StringDtype)]
    text = texts[0] if texts else pandas.Series(["text"]).dtype  # pandas 2 and 3 have different ones
    units = [pandas.Series(dtype=dtype).dt.unit for dtype in dtypes if getattr(dtype, "kind", "") == "M"]
    unit = units[0] if units else pandas.to_datetime(["2024-01-01"]).unit
    zones = {str(dtype.tz): dtype.tz for dtype in dtypes if isinstance(dtype, pandas.DatetimeTZDtype)}
    columns = {}
    for cells in frame:
        if cells.dtype in (pl.Date, pl.Datetime):
            column = _stamps(pandas, cells, unit, zones)
        elif is_text(cells.dtype):
            column = pandas.Series(cells.cast(pl.String).to_list(), dtype=text)
        elif cells.has_nulls() and (cells.dtype.is_integer() or cells.dtype == pl.Boolean):
            column = pandas.Series(cells.to_list(), dtype=str(cells.dtype).replace("Bool", "bool"))
        elif cells.dtype.is_numeric() or cells.dtype == pl.Boolean:
            column = pandas.Series(cells.to_numpy())
        else:
            column = pandas.Series(cells.to_list(), dtype=object)
        columns[cells.name] = column
    table = pandas.DataFrame(columns)
    return table if index is None else table.set_axis(index, axis=0)


def _stamps(pandas: Any, cells: "pl.Series", unit: str, zones: Mapping[str, Any]) -> Any:
    """Return dates or times as pandas' stamps, with the caller's own object for their zone."""
    zone = getattr(cells.dtype, "time_zone", None)
    moments = cells.cast(pl.Datetime("us", zone))
    if zone is not None:
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    column = pandas.Series(moments.to_numpy())
    with suppress(pandas.errors.OutOfBoundsDatetime):  # in nanoseconds, years are from 1678 to 2262
        column = column.dt.as_unit(unit)
    return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zones.get(zone, zone))
