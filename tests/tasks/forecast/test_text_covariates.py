"""Covariates of texts as a person uses them: frames, CSV, new and missing texts, streams, wrong folders."""

import json
import logging
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load, save

import elman
import mutants
from daily_series import H, fitted
from elman.errors import ArtifactError, DataError
from elman.tasks.forecast.forecaster import Forecaster

LEVELS = {"": 100.0, "sale": 150.0, "gift": 40.0}
N = 120


def sales(n: int = N + H, seed: int = 0) -> pl.DataFrame:
    """Daily values whose level a promotion decides, drawn anew each day; the last H are yet to come."""
    rng = np.random.default_rng(seed)
    promo = rng.choice(list(LEVELS), n).tolist()
    values = [LEVELS[kind] + rng.normal() for kind in promo]
    return pl.DataFrame(
        {
            "day": [date(2021, 1, 4) + timedelta(k) for k in range(n)],
            "y": [*values[: n - H], *[None] * H],
            "promo": [kind or None for kind in promo],
            "open": rng.choice(["yes", "no"], n),
        }
    )


@pytest.fixture(scope="module")
def model() -> Forecaster:
    return fitted(sales(), horizon=H, value="y", future=["promo", "open"])


def ahead(promo: list[str | None], is_open: list[object] | None = None) -> pl.DataFrame:
    days = [date(2021, 1, 4) + timedelta(N + k) for k in range(H)]
    return pl.DataFrame({"day": days, "promo": promo, "open": is_open or ["yes"] * H})


def test_a_category_decides_the_level() -> None:
    """Two seconds, as the network must learn: nothing but the text tells which level comes next."""
    data = sales(160)
    options = {"hidden": 16, "epochs": 6, "batch_size": 128, "learning_rate": 0.05, "context": 12}
    model = Forecaster.fit(data, horizon=H, value="y", future=["promo"], progress=False, **options)
    assert model.validation.scores["mase"] < 0.5
    assert min(scores["mase"] for scores in model.validation.baselines.values()) > 0.9
    levels = data["promo"].fill_null("").replace_strict(LEVELS).to_numpy()[-H:]
    assert np.abs(model.predict()["q0.5"].to_numpy() - levels).mean() < 25


def test_a_file_is_read_as_a_frame_is(model: Forecaster, tmp_path: Path) -> None:
    sales().write_csv(tmp_path / "sales.csv")
    from_file = fitted(str(tmp_path / "sales.csv"), horizon=H, value="y", future=["promo", "open"])
    assert from_file.predict()["q0.5"].equals(model.predict()["q0.5"])
    in_pandas = fitted(sales().to_pandas(), horizon=H, value="y", future=["promo", "open"])
    assert in_pandas.predict()["q0.5"].tolist() == model.predict()["q0.5"].to_list()


def test_the_card_names_them(model: Forecaster) -> None:
    texts = model.features.texts[0]
    assert texts is not None
    assert set(texts) == {"sale", "gift", ""}
    named = ", ".join([f"'{text}'" for text in texts[:-1]] + ["empty"])
    assert f"\n- Known ahead: promo ({named}), open (" in model.card().network


def test_later_texts(model: Forecaster, caplog: pytest.LogCaptureFixture) -> None:
    plain = model.predict(future=ahead(["sale"] * H))
    assert not plain.equals(model.predict(future=ahead(["gift"] * H))), "they are used"
    assert plain.equals(model.predict(future=ahead([" SALE"] * H, [True] * H))), "in any spelling"
    assert not plain.equals(model.predict(future=ahead([None] * H))), "an empty cell is a text"
    with caplog.at_level(logging.WARNING):
        model.predict(future=ahead(["sale"] * H))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        new = model.predict(future=ahead(["flash"] * H))
    assert "column 'promo' holds 'flash', which is no category of the model" in caplog.text
    assert not new.equals(plain)
    with pytest.raises(DataError, match="column 'open' must be known ahead, but is missing for 2021-05-04"):
        model.predict(future=ahead(["sale"] * H, [None] * H))  # no cell was empty in training
    newer = sales().with_columns(y=pl.when(pl.col("y").is_null()).then(1.0).otherwise("y"))
    with pytest.raises(DataError, match="column 'promo' must be known ahead"):
        model.predict(newer)
    assert model.evaluate(newer).windows == 1
    assert model.backtest(newer, cutoffs=1).windows == 1


def test_a_stream_takes_texts(model: Forecaster, caplog: pytest.LogCaptureFixture) -> None:
    stream = model.stream()
    later = sales().with_columns(y=pl.when(pl.col("y").is_null()).then(90.0).otherwise("y"))
    for row in later[-H:].iter_rows(named=True):
        stream.push(row["y"], row["day"], promo=row["promo"], open=row["open"])
    days = [date(2021, 1, 4) + timedelta(N + H + k) for k in range(H)]
    after = ahead(["gift"] * H).with_columns(pl.Series("day", days))
    assert stream.result(future=after).equals(model.predict(later, future=after))
    assert not caplog.records
    stream.push(90.0, promo="flash", open=True)
    assert "column 'promo' holds 'flash'" in caplog.text


def test_words_of_truth_for_a_model_of_numbers() -> None:
    numbers = sales().with_columns(pl.col("open") == "yes")
    model = fitted(numbers.drop("promo"), horizon=H, value="y", future=["open"])
    assert model.features.texts == (None,)
    assert "Known ahead: open." in model.card().network
    rows = ahead([None] * H, ["Yes", "no"] * (H // 2)).drop("promo")
    as_numbers = rows.with_columns(pl.col("open") == "Yes")
    assert model.predict(future=rows).equals(model.predict(future=as_numbers))
    with pytest.raises(DataError, match="holds 'sun', which is not a number"):
        model.predict(future=rows.with_columns(open=pl.lit("sun")))


def test_an_identifier_is_refused() -> None:
    notes = sales().with_columns(note=pl.int_range(N + H).cast(pl.String) + " came by")
    with pytest.raises(DataError, match=r"column 'note' holds \d+ different texts .* categories that return"):
        fitted(notes, horizon=H, value="y", future=["note"])


def test_saved_and_loaded(model: Forecaster, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    loaded = elman.load(tmp_path / "m")
    assert isinstance(loaded, Forecaster)
    assert loaded.features == model.features
    for promo in (["sale"] * H, [None] * H):
        rows = ahead(promo)
        assert loaded.predict(future=rows).equals(model.predict(future=rows))
    assert loaded.history.texts == model.history.texts
    np.testing.assert_array_equal(loaded.history.series[0].future, model.history.series[0].future)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"texts": ["sale", "gift", ""], "rest": -1}, "must not be below 0"),
        ({"texts": ["sale"], "rest": 10**30}, r"features.json.future\[0\]"),
        ({"texts": ["sale"]}, r"features.json.future\[0\]"),
        ({"texts": [], "rest": 0}, "not that of the settings and features"),
        ({"texts": [["sale"]], "rest": 0}, r"features.json.future\[0\]"),
        ({"texts": ["sale", "gift", "", "more"], "rest": 0}, "not that of the settings and features"),
        ([0.0, 1.0], "not that of the settings and features"),
        ([0.0, 1.0, 2.0], r"features.json.future\[0\]"),
        ([], r"features.json.future\[0\]"),
        ("sale", r"features.json.future\[0\]"),
    ],
)
def test_wrong_categories_in_a_folder(wrong: object, message: str, model: Forecaster, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    files = mutants.read(tmp_path / "m")
    features = json.loads(files["features.json"])
    features["future"][0] = wrong
    mutants.write(files | {"features.json": json.dumps(features).encode()}, tmp_path / "wrong")
    with pytest.raises(ArtifactError, match=message):
        elman.load(tmp_path / "wrong")


@pytest.mark.parametrize("wrong", [-1.0, 0.5, 4.0, 1e300])
def test_wrong_codes_in_a_folder(wrong: float, model: Forecaster, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    files = mutants.read(tmp_path / "m")
    tensors = load(files["model.safetensors"])
    tensors["history.future"][-1, 0] = wrong
    mutants.write(files | {"model.safetensors": save(tensors)}, tmp_path / "wrong")
    with pytest.raises(ArtifactError, match="a code of a category is none from 0 to 3"):
        elman.load(tmp_path / "wrong")
