"""bench/quality_series.py: the scores that only the competitions use."""

from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def test_owa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import quality_series

    # M4's published row for hourly seasonal naive against Naive2.
    assert quality_series.owa(13.912, 1.193, 18.383, 2.395) == pytest.approx(0.628, abs=1e-3)
