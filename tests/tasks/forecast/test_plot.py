"""Pictures come out as asked, with a band for every pair of quantiles."""

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.text import Text

from elman.data.series.panel import read_panel
from elman.errors import UsageError
from elman.lens.figures import finished
from elman.tasks.forecast.plot import bridged, forecasts, scored_forecasts
from elman.tasks.forecast.table import table_of


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


def days(count: int, series: int = 1, start: date = date(2021, 1, 1)) -> dict[str, list[Any]]:
    each = [start + timedelta(d) for d in range(count)]
    frame: dict[str, list[Any]] = {"ds": each * series, "x": [float(d % 7) for d in range(count)] * series}
    return frame | ({"shop": [f"s{k}" for k in range(series) for _ in each]} if series > 1 else {})


def drawn(figure: Figure) -> list[str]:
    """Return all text of a figure."""
    figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("hours", [1, 1.6, 24, 24 * 7, 24 * 24, 24 * 30])
@pytest.mark.parametrize("count", [1, 6])
def test_dates_do_not_lie_over_each_other(count: int, hours: int) -> None:
    frame = days(40, count)
    frame["ds"] = [datetime(2012, 10, 1) + k * timedelta(hours=hours) for k in range(40)] * count
    series = "shop" if count > 1 else None
    figure = forecasts(
        read_panel(frame, value="x", series=series), np.ones((count, 3, 3)).cumsum(-1), (0.1, 0.5, 0.9)
    )
    figure.draw_without_rendering()
    for axis in figure.axes:
        low, high = axis.get_xlim()
        labels = [
            label
            for place, label in zip(axis.get_xticks(), axis.get_xticklabels(), strict=True)
            if low <= place <= high and label.get_text()
        ]
        assert 2 <= len(labels) <= 7
        boxes = [label.get_window_extent() for label in labels]
        assert all(left.x1 + 5 < right.x0 for left, right in itertools.pairwise(boxes))


def test_the_legend_covers_no_panel_and_the_rest_is_said() -> None:
    panel = read_panel(days(12, 3), value="x", series="shop")
    figure = forecasts(panel, np.ones((3, 3, 3)).cumsum(-1), (0.1, 0.5, 0.9), total=8)
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert not any(axis.get_legend() or legend.overlaps(axis.get_window_extent()) for axis in figure.axes)
    texts = drawn(figure)
    assert "3 of 8 series" in texts and "s2" in texts
    assert not any("of" in text for text in drawn(forecasts(panel, np.ones((3, 3, 1)), (0.5,))))


def test_series_named_by_numbers_and_large_values() -> None:
    frame = days(12, 2)
    frame["shop"], frame["x"] = [1] * 12 + [2] * 12, [1_500_000.0 + k for k in range(24)]
    texts = drawn(forecasts(read_panel(frame, value="x", series="shop"), np.full((2, 3, 1), 2e6), (0.5,)))
    assert {"shop 1", "shop 2"} <= {*texts} and any(text.startswith("1,500,") for text in texts)
    assert "1e6" not in texts


def test_a_lone_series_is_named_by_its_axis() -> None:
    figure = forecasts(read_panel(days(12), value="x"), np.ones((1, 3, 1)), (0.5,))
    (axis,) = figure.axes
    assert axis.get_title("left") == "" and axis.get_ylabel() == "x"


@given(st.lists(st.one_of(st.none(), st.floats(-9, 9)), min_size=1, max_size=30))
def test_short_gaps_are_bridged(values: list[float | None]) -> None:
    numbers = np.array([np.nan if value is None else value for value in values])
    stamps, kept = bridged(np.arange(len(values)), numbers)
    known = np.flatnonzero(~np.isnan(numbers))
    assert stamps[~np.isnan(kept)].tolist() == known.tolist()
    runs = [len(list(run)) for gap, run in itertools.groupby(np.isnan(numbers)) if gap]
    assert int(np.isnan(kept).sum()) == sum(run for run in runs if run > 4)


@pytest.mark.parametrize("horizon", [1, 4])
def test_every_scored_forecast_is_a_line_of_its_own(horizon: int) -> None:
    panel = read_panel(days(60, 8), value="x", series="shop")
    cutoffs = [(s, cutoff) for s in range(8) for cutoff in range(20, 60, horizon)][: 8 * 40]
    quantiles = np.ones((len(cutoffs), horizon, 3)).cumsum(-1)
    frame = table_of(panel, cutoffs, quantiles, (0.1, 0.5, 0.9), 7, [None] * 8)
    figure = scored_forecasts(frame)
    assert len(figure.axes) == 6
    medians = [line for line in figure.axes[0].lines if line.get_label() == "median"]
    count = 40 // horizon
    assert [len(line.get_xdata()) for line in medians] == [horizon] * min(count, 12)
    note = "6 of 8 series" + (f", the last 12 of up to {count} forecasts" if count > 12 else "")
    texts = drawn(figure)
    assert note in texts and "truth" in texts and "10 to 90 %" in texts


def test_stamps_with_a_zone_and_steps_without_dates() -> None:
    frame = days(30)
    frame["ds"] = [datetime(2024, 3, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(30)]
    for data in (frame, {"x": frame["x"]}):
        panel = read_panel(data, value="x")
        table = table_of(panel, [(0, 20)], np.ones((1, 4, 3)), (0.1, 0.5, 0.9), 7, [None])
        assert "truth" in drawn(scored_forecasts(table))
