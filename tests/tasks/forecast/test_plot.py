"""Pictures come out as asked, with a band for every pair of quantiles."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from elman.data.series.panel import read_panel
from elman.errors import UsageError
from elman.lens.figures import finished
from elman.tasks.forecast.plot import forecasts


def draw(path: Path, count: int, levels: tuple[float, ...]) -> None:
    frame = {
        "unique_id": [f"shop {i}" for i in range(count) for _ in range(12)],
        "ds": [date(2021, 1, 1) + timedelta(d) for _ in range(count) for d in range(12)],
        "y": [None if i % 12 == 5 else float(i) for i in range(12 * count)],
    }
    finished(forecasts(read_panel(frame), np.ones((count, 3, len(levels))).cumsum(-1), levels), path)


@pytest.mark.parametrize("count", [1, 4])
def test_svg_names_every_series_and_band(tmp_path: Path, count: int) -> None:
    draw(tmp_path / "p.svg", count, (0.05, 0.1, 0.5, 0.9, 0.95))
    text = (tmp_path / "p.svg").read_text()
    for words in (*(f"shop {i}" for i in range(count)), "5 to 95 %", "10 to 90 %", "median", "history"):
        assert f"<!-- {words} -->" in text
    assert text.count("<!-- median -->") == 1


def test_png_and_lone_quantiles(tmp_path: Path) -> None:
    draw(tmp_path / "p.PNG", 2, (0.5, 0.9))
    assert (tmp_path / "p.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["p.gif", "p"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"a picture is drawn as \.png or \.svg, not"):
        draw(tmp_path / name, 1, (0.5,))
