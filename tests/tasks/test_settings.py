"""Keyword arguments are sorted into a task's settings and the plan; unknown ones are named."""

from dataclasses import dataclass

import pytest

from elman.errors import UsageError
from elman.tasks.settings import dropout, split
from elman.training.loop import Plan


@dataclass(frozen=True)
class Settings:
    hidden: int = 8
    cell: str = "lstm"


def test_dials_reach_both() -> None:
    dials = {"hidden": 3, "epochs": 2, "seed": 7}
    assert split(dials, Settings) == (Settings(hidden=3), Plan(epochs=2, seed=7))
    assert split({}, Settings) == (Settings(), Plan())


def test_defaults_of_a_task_give_way_to_dials() -> None:
    defaults = {"epochs": 5, "clip": 0.1}
    assert split({"epochs": 2}, Settings, defaults) == (Settings(), Plan(epochs=2, clip=0.1))
    assert defaults == {"epochs": 5, "clip": 0.1}


def test_defaults_may_be_settings() -> None:
    assert split({"epochs": 2}, Settings, {"hidden": 4}) == (Settings(hidden=4), Plan(epochs=2))
    assert split({"hidden": 3}, Settings, {"hidden": 4})[0] == Settings(hidden=3)


def test_what_is_read_more_often_is_dropped_more() -> None:
    shares = [dropout(epochs) for epochs in (1, 4, 11, 20, 60)]
    assert shares == pytest.approx([0.1125, 0.15, 0.2375, 0.3, 0.3])


@pytest.mark.parametrize(("name", "hint"), [("hiden", "did you mean hidden? "), ("zzz", "")])
def test_an_unknown_dial(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        split({name: 1}, Settings)
    assert str(raised.value) == (
        f"there is no setting {name!r}: {hint}there are average, batch_size, cell, clip, device, epochs, "
        "hidden, learning_rate, patience, precision, seed, validations, warmup, weight_decay"
    )


def test_a_wrong_value_is_said_by_its_owner() -> None:
    with pytest.raises(UsageError, match="epochs must be a whole number of at least 1, not '3'"):
        split({"epochs": "3"}, Settings)
