"""Bars that start at the level and end at the forecast."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from elman.data.series.panel import Panel, read_panel
from elman.errors import UsageError
from elman.tasks.forecast.component_plot import drawn_components
from elman.tasks.forecast.forecaster import Forecaster


def panel(count: int) -> Panel:
    return read_panel(
        {
            "unique_id": [f"shop {i}" for i in range(count) for _ in range(12)],
            "ds": [date(2021, 1, 1) + timedelta(d) for _ in range(count) for d in range(12)],
            "y": [float(i) for i in range(12 * count)],
        }
    )


def terms(count: int, horizon: int = 9) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    parts = {name: draw.normal(size=(count, horizon)) for name in ("trend", "season", "price")}
    parts = {"level": np.full((count, horizon), 7.0), **parts, "holidays": np.zeros((count, horizon))}
    return {"forecast": np.sum([*parts.values()], 0), **parts}


@pytest.mark.parametrize("count", [1, 5])
def test_bars_add_up_to_the_line(count: int) -> None:
    figure, shown = drawn_components(panel(count), terms(count)), terms(count)
    axes = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title("left") for axis in axes] == [f"shop {i}" for i in range(count)]
    for number, axis in enumerate(axes):
        assert [bars.get_label() for bars in axis.containers] == ["trend", "season", "price"], "none of zeros"
        line = axis.lines[-1].get_ydata()
        assert np.allclose(line, shown["forecast"][number])
        heights = np.sum([[bar.get_height() for bar in bars] for bars in axis.containers], 0)
        assert np.allclose(7.0 + heights, line)
        labels = [label.get_text() for label in axis.get_xticklabels()]
        assert labels[0] == "2021-01-13"
        assert 3 <= len(labels) <= 4


def test_a_picture_is_written_and_returned(model: Forecaster, tmp_path: Path) -> None:
    figure = model.plot_components(tmp_path / "c.svg", series=["b"], horizon=2)
    assert [axis.get_title("left") for axis in figure.axes] == ["b"]
    assert "<!-- season -->" in (tmp_path / "c.svg").read_text()
    with pytest.raises(UsageError, match="drawn as"):
        model.plot_components(tmp_path / "c.gif")
