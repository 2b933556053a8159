"""bench/quality_text.py on a few texts: the columns that it prints, and what it makes of them."""

from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def test_a_set_is_scored_beside_the_rivals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import quality_text

    words = {"good": "a fine one", "bad": "an awful one", "odd": "a strange one"}
    rows = [(f"{text} {k % 7}", label) for label, text in words.items() for k in range(20)]
    table = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    monkeypatch.setitem(quality_text.SETS, "few", lambda: quality_text.Texts(table, table))
    settings: dict[str, Any] = {"epochs": 1, "hidden": 8, "progress": False, "device": "cpu"}
    result = quality_text.measure("few", **settings)
    assert [*result["columns"]] == ["elman", "TF-IDF", "network", "TF-IDF + LR", "NB-SVM"]
    assert all(0 <= column[key] <= 1 for column in result["columns"].values() for key in ("accuracy", "ece"))
    assert result["columns"]["TF-IDF + LR"]["accuracy"] == result["baseline"] == 1
    line = quality_text.summary({"few": result})
    assert line.startswith("1 sets; points ahead of the better rival: accuracy +0.00 (least +0.00)")
