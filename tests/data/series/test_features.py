"""Inputs of a step: fitted on the past only, sensible before and after a series, and the same after JSON."""

import json

import numpy as np
import pytest

from elman.data.series.features import Features
from elman.data.series.panel import read_panel

DAYS = [np.datetime64("2021-01-01") + np.timedelta64(i, "D") for i in range(40)]
FRAME = {
    "unique_id": ["a"] * 40 + ["b"] * 40,
    "ds": [d.item() for d in DAYS * 2],
    "y": np.arange(80.0).tolist(),
    "price": np.arange(80.0).tolist(),
    "town": ["X"] * 40 + ["Y"] * 40,
    "size": [10.0] * 40 + [30.0] * 40,
}
PANEL = read_panel(FRAME, value="y", future=["price"], static=["town", "size"])


def test_fitted_before_the_ends_only() -> None:
    features = Features.fit(PANEL, [10, 10])
    past = np.r_[np.arange(10), np.arange(40, 50)]
    assert features.future == ((pytest.approx(past.mean()), pytest.approx(past.std())),)
    assert features.cycles == (), "ten days are not two weeks"
    assert Features.fit(PANEL, [30, 30]).cycles == ("week",)
    assert features.static == (("X", "Y"), (20.0, 10.0))
    assert features.vocabularies == [2]


def test_known_reaches_before_and_after_the_series() -> None:
    features = Features.fit(PANEL, [30, 30])
    known = features.known(PANEL, PANEL.series[0], -3, 50)
    assert known.shape == (50, features.width)
    week, price, size = known[:, :6], known[:, 6], known[:, 7]
    np.testing.assert_allclose(week[:7], week[7:14], atol=1e-5)
    assert (price[:4] == price[3]).all(), "before the series: its first price"
    assert (price[-8:] == price[42]).all(), "after: its last"
    assert (size == -1).all()


def test_a_missing_covariate_keeps_its_last_value() -> None:
    prices = [None, 2.0, None, 4.0]
    panel = read_panel(
        {"ds": [d.item() for d in DAYS[:4]], "y": [1, 2, 3, 4], "p": prices}, value="y", future=["p"]
    )
    known = Features.fit(panel, [4]).known(panel, panel.series[0], 0, 4)[:, 0]
    np.testing.assert_allclose(known, [0, -1, -1, 1])


def test_a_constant_covariate_and_an_unseen_text(caplog: pytest.LogCaptureFixture) -> None:
    constant = read_panel(FRAME | {"price": [3.0] * 80}, value="y", future=["price"])
    assert (Features.fit(constant, [40, 40]).known(constant, constant.series[0], 0, 40)[:, -1] == 0).all()
    features = Features.fit(PANEL, [40, 40])
    other = read_panel(
        FRAME | {"town": ["X"] * 40 + ["Z"] * 40}, value="y", future=["price"], static=["town", "size"]
    )
    assert [features.codes(s) for s in other.series] == [[1], [0]]
    features.warn_of_new(PANEL)
    assert not caplog.records
    features.warn_of_new(other)
    assert "column 'town' holds 'Z', which is no category of the model" in caplog.text


def test_categories_are_inputs_of_0_and_1() -> None:
    sky = ["sun", "rain", "sun", None, "fog", "rain", None, "sun", "new", "SUN"]
    table = {"ds": [d.item() for d in DAYS[:10]], "y": [*range(8), None, None], "sky": sky}
    panel = read_panel(table, value="y", future=["sky"])
    features = Features.fit(panel, [8])
    assert features.texts == (("sun", "rain", ""),)
    known = features.known(panel, panel.series[0], -1, 12)[:, -features.width :].argmax(1)
    assert known.tolist() == [0, 0, 1, 0, 2, 3, 1, 2, 0, 3, 0, 0], "before and after: the first and last"
    encoded = features.encoded(panel)
    assert encoded.series[0].future[:, 0].tolist() == [0, 1, 0, 2, 3, 1, 2, 0, 3, 0]
    assert features.encoded(encoded) is encoded
    again = read_panel(table, value="y", future=["sky"], texts=features.texts)
    np.testing.assert_array_equal(again.series[0].future, encoded.series[0].future)
    assert features.described(panel.columns) == ["Known ahead: sky ('sun', 'rain', empty, 1 other)."]
    assert Features.from_json(json.loads(json.dumps(features.to_json()))) == features


def test_the_columns_of_each_part() -> None:
    table = {"ds": [d.item() for d in DAYS], "y": range(40), "sky": ["sun", "fog"] * 20, "price": range(40)}
    panel = read_panel(table, value="y", future=["sky", "price"])
    features = Features.fit(panel, [40])
    calendar, holidays, (sky, price) = features.parts()
    known = features.known(panel, panel.series[0], 0, 40)
    assert known[:, calendar].shape == (40, 6), "a week and two overtones"
    assert holidays is None
    assert known[:3, sky].tolist() == [[0, 1], [1, 0], [0, 1]]  # the first of equally frequent ones is fog
    assert known[:, price][:, 0] == pytest.approx((np.arange(40) - 19.5) / np.arange(40).std())
    pytest.importorskip("holidays")
    calendar, holidays, (sky, price) = Features.fit(panel, [40], "DE").parts()
    assert (calendar.stop, holidays, sky, price) == (6, slice(6, 8), slice(8, 10), slice(10, 11))


def test_json_and_back() -> None:
    features = Features.fit(PANEL, [30, 30])
    assert Features.from_json(json.loads(json.dumps(features.to_json()))) == features
