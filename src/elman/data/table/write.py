"""Frames → files of tables, as their endings say."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final

from elman.atomic import as_path, check_output, replace_file, writing
from elman.errors import UsageError
from elman.lazy import Lazy

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

DIGITS: Final = 4  # that are printed of a number, at least
ENDINGS: Final = (".csv", ".tsv", ".jsonl", ".parquet")
SEPARATOR: Final = ";"  # of the entries of a list in a cell of CSV


def rounded(value: float) -> float:
    """Return a number as people read it: four digits at least, and all before the point."""
    return round(value, decimals(value)) if math.isfinite(value) else value


def decimals(value: float) -> int:
    """Return how many digits after the point belong to a number of four digits."""
    return max(DIGITS - 1 - math.floor(math.log10(abs(value))), 0) if value else 0


def check_table_path(path: str | Path) -> Path:
    """Return the path of a table to write. Raises UsageError for an ending other than .csv, .tsv, .jsonl and
    .parquet, or where no file can be written."""
    path = as_path(path, "path")
    if path.suffix.lower() not in ENDINGS:
        endings = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise UsageError(f"a table is written as {endings}, not {path.suffix or 'without an ending'}: {path}")
    check_output(path)
    return path


def write_table(frame: "pl.DataFrame", path: str | Path) -> None:
    """Write a frame as its path ends: CSV, TSV, JSON lines or Parquet. In CSV and TSV a list is its entries
    with ";" between them. Raises UsageError as `check_table_path` does."""
    path = check_table_path(path)
    with writing(path, UsageError), replace_file(path) as file:
        match path.suffix.lower():
            case ".parquet":
                frame.write_parquet(file)
            case ".jsonl":
                in_text(frame).write_ndjson(file)
            case ending:
                in_text(_joined(frame)).write_csv(file, separator="\t" if ending == ".tsv" else ",")


def in_text(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a frame with dates and times as text, without the parts that are zero in the whole column."""
    return frame.with_columns(_stamps(cells) for cells in frame if cells.dtype.is_temporal())


def _stamps(cells: "pl.Series") -> "pl.Series":
    if not isinstance(cells.dtype, pl.Datetime):
        return cells.cast(pl.String)
    zone = "%:z" if cells.dtype.time_zone else ""
    for form, unit in (("%Y-%m-%d", "1d"), ("%Y-%m-%d %H:%M", "1m"), ("%Y-%m-%d %H:%M:%S", "1s")):
        if (zone == "" or unit != "1d") and bool((cells.dt.truncate(unit) == cells).all()):
            return cells.dt.strftime(form + zone)
    return cells.dt.strftime("%Y-%m-%d %H:%M:%S%.f" + zone)


def _joined(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return a frame whose lists are text."""
    lists = [cells.name for cells in frame if cells.dtype == pl.List]
    texts = [pl.col(name).cast(pl.List(pl.String)).list.join(SEPARATOR) for name in lists]
    return frame.with_columns(texts)
