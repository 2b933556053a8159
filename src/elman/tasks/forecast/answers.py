"""The forecast of one step, as a line and as JSON."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from elman.data.table.write import rounded
from elman.tasks.task import Answer


@dataclass(frozen=True)
class ForecastAnswer(Answer):
    """The forecast of one step: a line of CSV, and the columns of `Forecaster.predict`."""

    row: pl.DataFrame
    heading: str

    def __str__(self) -> str:
        """Return the line, whose numbers have at least four digits, and all before the point; its time has
        fractions of seconds only where there are some."""
        stamp = self.row["ds"][0]
        cells = {"ds": stamp.isoformat() if isinstance(stamp, date) else stamp}  # a datetime is a date
        cells |= {name: rounded(self.row[name][0]) for name in self.row.columns[2:]}
        row = self.row.with_columns(pl.Series(name, [value]) for name, value in cells.items())
        return row.write_csv(include_header=False).removesuffix("\n")

    def to_dict(self) -> dict[str, Any]:
        values = self.row.row(0, named=True)
        return values | {"ds": str(values["ds"])}

    def cells(self) -> dict[str, Any]:
        return self.row.row(0, named=True)
