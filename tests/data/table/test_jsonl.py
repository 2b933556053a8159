"""JSONL whose values are deep, of many kinds, or under ever new keys."""

import json
from pathlib import Path

import numpy as np
import pytest

from elman.data.table.jsonl import to_series
from elman.data.table.table import read_table
from elman.errors import DataError
from tabular import write


@pytest.mark.parametrize("deep", [5, 300, 900])
def test_deep_values_become_text(tmp_path: Path, deep: int) -> None:
    value = "[" * deep + "]" * deep
    path = write(tmp_path, "a.jsonl", f'{{"text": "t", "o": {value}}}\n' * 3)
    table = read_table(path)
    assert table.texts("text") == ["t"] * 3
    assert table.texts("o") == [value] * 3


def test_new_keys_in_each_line_are_refused(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({f"key {i}": 1}) for i in range(4000))
    with pytest.raises(
        DataError, match=r"has 4,000 different keys in 4,000 lines; give each line the same\."
    ):
        read_table(write(tmp_path, "a.jsonl", lines))


def test_numbers_of_numpy_are_numbers() -> None:
    assert to_series("a", [np.float32(1), np.int8(2), np.longdouble(3)]).to_list() == ["1.0", "2", "3.0"]


def test_values_that_no_text_can_hold_are_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    for value in (circle, "a\ud83d"):
        with pytest.raises(DataError, match="column 'a' holds values that can't be written as text"):
            to_series("a", [value])
