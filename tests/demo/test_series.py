"""The demo's data sets."""

from datetime import date

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


def test_stocks_and_weather_come_from_the_package() -> None:
    assert set(series.stocks()["unique_id"]) == {"MSFT", "AMZN", "IBM", "GOOG", "AAPL"}
    assert series.weather().height == 1461


def test_the_forecasts_lie_after_the_cut_off() -> None:
    shown = series.run(series.SHOWS["sales"], progress=False, epochs=1, hidden=4)
    assert shown.forecasts["ds"].min() == shown.cutoff
    assert shown.forecasts["ds"].max() == shown.values["ds"].max()
    assert shown.scores["trained on"] == (shown.values["ds"] < shown.cutoff).sum()
