"""Settings of a translator and its training plan."""

import pytest

from elman.errors import UsageError
from elman.tasks.translate.settings import MAX_EPOCHS, MIN_EPOCHS, Settings, defaults


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hidden", 33, "even"),
        ("input_feeding", "yes", "input_feeding"),
        ("label_smoothing", 1, "label_smoothing"),
        ("length_penalty", -1, "length_penalty"),
        ("vocabulary", 10, "from 258 to 10000000"),
        ("beam_width", 0, "beam_width"),
        ("cell", "nope", "cell"),
    ],
)
def test_values_out_of_range(name: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_names_of_0_1_0_are_names_of_settings_now() -> None:
    assert set(Settings.RENAMED.values()) <= set(Settings.__dataclass_fields__)


def test_fewer_pairs_are_read_more_often() -> None:
    assert defaults(20, {})["epochs"] == MAX_EPOCHS and defaults(10**6, {})["epochs"] == MIN_EPOCHS
    few, many = defaults(4000, {}), defaults(40_000, {})
    assert few["epochs"] > many["epochs"] and few["batch_size"] < many["batch_size"]
    chosen = defaults(4000, {"epochs": 9, "batch_size": 7})
    assert (chosen["epochs"], chosen["batch_size"], chosen["patience"]) == (9, 7, 3)
