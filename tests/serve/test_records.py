"""What models return, as JSON values."""

from datetime import date
from typing import NamedTuple

import numpy as np
import polars as pl

from elman.serve.records import plain_value


class Pair(NamedTuple):
    word: str
    shares: tuple[float, ...]


def test_values_that_json_has() -> None:
    value = {1: [Pair("a", (0.5,)), ("b", None)], False: date(2026, 1, 2)}
    assert plain_value(value) == {
        "1": [{"word": "a", "shares": [0.5]}, ["b", None]],
        "False": "2026-01-02",
    }


def test_frames_of_any_library_are_rows() -> None:
    frame = pl.DataFrame({"ds": [date(2026, 1, 2)], "q0.5": [1.5]})
    for one in (frame, frame.to_pandas(), frame.to_arrow()):
        (row,) = plain_value(one)
        assert row["ds"].startswith("2026-01-02") and row["q0.5"] == np.float64(1.5)
