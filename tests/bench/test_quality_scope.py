"""bench/quality_scope.py: the area under the curve against all pairs, and the figure on a few texts."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BENCH = Path(__file__).parents[2] / "bench"
SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=6)


@given(SCORES, SCORES)
@settings(deadline=None)
def test_the_area_counts_pairs(inside: list[float], outside: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        from quality_scope import area
    wins = [(a > b) + (a == b) / 2 for a in inside for b in outside]
    assert area(inside, outside) == pytest.approx(sum(wins) / len(wins))


def test_texts_about_something_else_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import quality_scope
    from quality_text import Texts

    words = {"good": "a fine one", "bad": "an awful one", "left out": "a strange one"}
    rows = [(f"{text} {k % 7}", label) for label, text in words.items() for k in range(20)]
    table = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
    other = {"text": ["zebra crossing"], "label": ["road"]}
    sets = {"few": lambda: Texts(table, table), "other": lambda: Texts(other, other)}
    monkeypatch.setattr(quality_scope, "SETS", sets)
    monkeypatch.setattr(quality_scope, "PAIRS", (("few", 3, "other"),))
    options: dict[str, Any] = {"epochs": 1, "hidden": 8, "progress": False, "device": "cpu"}
    result = quality_scope.scope(**options)
    assert result["columns"]["few"]["far"]["familiar"] == 1
    assert {*result["columns"]["few"]} == {"near", "far"}
