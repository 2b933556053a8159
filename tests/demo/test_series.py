"""The demo's data sets."""

from datetime import date
from importlib.resources import files

from elman.demo import series


def test_the_sales_figures_are_all_there() -> None:
    frame = series.sales()
    assert frame.height == 293
    assert (frame["ds"].min(), frame["ds"].max()) == (date(1992, 1, 1), date(2016, 5, 1))
    assert frame["y"].sum() == 90528594
    # December is the year's best month but for the crisis of 2008: a slip of a column would show
    months = frame["y"].to_list()
    weak = [1992 + i // 12 for i in range(0, 288, 12) if max(months[i : i + 12]) > months[i + 11]]
    assert weak == [2008]


def test_the_prices_and_temperatures_are_all_there() -> None:
    stocks, days = series.stocks(), series.weather()
    assert dict(stocks["unique_id"].value_counts().iter_rows()) == {
        "MSFT": 123,
        "AMZN": 123,
        "IBM": 123,
        "GOOG": 68,
        "AAPL": 123,
    }
    assert (stocks["ds"].min(), stocks["ds"].max()) == (date(2000, 1, 1), date(2010, 3, 1))
    assert round(stocks["y"].sum(), 2) == 56411.2
    assert (days["ds"].min(), days["ds"].max(), days.height) == (date(2012, 1, 1), date(2015, 12, 31), 1461)
    assert round(days["y"].sum(), 1) == 24017.5


def test_every_file_has_a_source_and_a_licence() -> None:
    folder = files("elman.demo")
    table = (folder / "DATA.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in row.split("`")[1::2]}
    data = {file.name for file in folder.iterdir() if file.name.endswith((".csv", ".tsv", ".txt", ".npz"))}
    assert listed == data


def test_the_forecasts_lie_after_the_cut_off() -> None:
    shown = series.run(series.SHOWS["sales"], progress=False, epochs=1, hidden=4)
    assert shown.forecasts["ds"].min() == shown.cutoff
    assert shown.forecasts["ds"].max() == shown.values["ds"].max()
    assert shown.scores["trained on"] == (shown.values["ds"] < shown.cutoff).sum()
