"""The forecast of one step, as a line and as JSON."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from elman.tasks.task import Answer


@dataclass(frozen=True)
class ForecastAnswer(Answer):
    """The forecast of one step: a line of CSV, and the columns of `Forecaster.predict`."""

    row: pl.DataFrame
    heading: str

    def __str__(self) -> str:
        return self.row.write_csv(include_header=False).removesuffix("\n")

    def to_dict(self) -> dict[str, Any]:
        return self.row.with_columns(pl.col("ds").cast(pl.String)).row(0, named=True)
