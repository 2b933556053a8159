"""Keyword arguments become a task's settings and the plan; unknown ones are named."""

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman import cells
from elman.engine.portable import to_json
from elman.errors import UsageError
from elman.settings import argument, choice, whole
from elman.tasks.classify.settings import Settings as ClassifierSettings
from elman.tasks.settings import (
    TaskSettings,
    cell_name,
    default_dropout,
    default_ema_decay,
    renamed,
    split_choices,
    table,
)
from elman.training.plan import Plan


@dataclass(frozen=True)
class Arguments:
    text: str = argument("text", "Column of the text")


@dataclass(frozen=True)
class Settings(TaskSettings):
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = ("epochs", "hidden")
    RENAMED: ClassVar = {"units": "hidden", "longest": "crop"}

    hidden: int = whole(8, "Units per layer")
    crop: int | None = whole(None, "Tokens of a step", auto="all")
    cell: str = choice("lstm", "Recurrence", "lstm", "gru")


ALL = (
    "batch_size, cell, clip, crop, device, ema_decay, epochs, hidden, learning_rate, max_steps, minutes, "
    "patience, precision, seed, validations, warmup, watch_memory, weight_decay"
)


def test_choices_reach_both() -> None:
    choices = {"hidden": 3, "epochs": 2, "seed": 7}
    assert split_choices(choices, Settings) == (Settings(hidden=3), Plan(epochs=2, seed=7))
    assert split_choices({}, Settings) == (Settings(), Plan())


def test_defaults_of_a_task_give_way_to_choices() -> None:
    defaults = {"epochs": 5, "clip": 0.1}
    assert split_choices({"epochs": 2}, Settings, defaults) == (Settings(), Plan(epochs=2, clip=0.1))
    assert defaults == {"epochs": 5, "clip": 0.1}


def test_defaults_may_be_settings() -> None:
    assert split_choices({"epochs": 2}, Settings, {"hidden": 4}) == (Settings(hidden=4), Plan(epochs=2))
    assert split_choices({"hidden": 3}, Settings, {"hidden": 4})[0] == Settings(hidden=3)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("hiden", "; did you mean 'hidden'?"),
        ("zzz", f": there are {ALL}"),
        ("units", "; it is called 'hidden' now"),
        ("average", "; it is called 'ema_decay' now"),
        ("text", f": there are {ALL}"),
    ],
)
def test_an_unknown_setting(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        split_choices({name: 1}, Settings)
    assert str(raised.value) == f"there is no setting {name!r}{hint}"


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"epochs": "3"}, "epochs must be a whole number from 1 to 1000000, not '3'"),
        ({"hidden": 0}, "hidden must be a whole number of at least 1, not 0"),
        ({"cell": "lstn"}, "cell must be one of lstm, gru, not 'lstn'"),
    ],
)
def test_a_value_out_of_its_range(choices: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{sentence}$"):
        split_choices(choices, Settings)


def test_saved_values_get_the_names_of_today() -> None:
    saved = {"units": 3, "longest": 5, "cell": "gru", "columns": ["a"]}
    assert renamed(saved, Settings) == {"hidden": 3, "crop": 5, "cell": "gru", "columns": ["a"]}
    assert renamed({"ema_decay": 0.9, "epochs": 2}, Plan) == {"ema_decay": 0.9, "epochs": 2}
    assert saved["units"] == 3


def test_weights_are_averaged_over_500_steps_or_a_share_of_a_short_run() -> None:
    decays = [default_ema_decay(steps, {}) for steps in (1, 25, 1000, 12_500, 10**7)]
    assert decays == pytest.approx([0, 0, 0.975, 0.998, 0.998])


@given(st.integers(1, 10**9))
def test_the_decay_of_the_average_fits_into_a_plan(steps: int) -> None:
    assert default_ema_decay(steps, {}) <= default_ema_decay(steps + 1, {})
    Plan(ema_decay=default_ema_decay(steps, {}))


def test_what_is_read_more_often_is_dropped_more() -> None:
    shares = [default_dropout(epochs) for epochs in (1, 4, 11, 20, 60)]
    assert shares == pytest.approx([0.1125, 0.15, 0.2375, 0.3, 0.3])


def test_the_table_has_a_row_for_every_setting() -> None:
    head, rule, *lines = table(Settings).splitlines()
    assert (head, rule) == ("| setting | default | range | meaning |", "|---|---|---|---|")
    assert lines[:4] == [
        "| `hidden` | from the data | a whole number of at least 1 | Units per layer |",
        "| `crop` | all | a whole number of at least 1 | Tokens of a step |",
        "| `cell` | lstm | one of lstm, gru | Recurrence: lstm, gru |",
        "| `epochs` | from the data | a whole number from 1 to 1000000 | Passes over the training data |",
    ]
    assert sorted(line.split("`")[1] for line in lines) == ALL.split(", ")
    assert all(line.count("|") == 5 for line in lines)


def test_a_cell_is_found_however_its_name_is_written() -> None:
    assert ClassifierSettings(cell="PeepholeLSTM").cell == "peephole-lstm"
    for odd in ("lstn", "", None, 3):
        with pytest.raises(UsageError, match="cell must be one of elman, elman-relu, lstm"):
            ClassifierSettings(cell=odd)  # type: ignore[arg-type]


def test_a_cell_itself_is_taken_by_its_name() -> None:
    assert ClassifierSettings(cell=cells.GRU).cell == "gru"  # type: ignore[arg-type]

    def plain(x: Any) -> Any:
        return x.h

    class Own:
        pass

    refused = {
        "plain is a plain function, not a cell: decorate it": plain,
        r"a cell is one of elman.cells, .* not <class '.*Own'>": Own,
        "not <built-in method tanh": torch.tanh,
        "there is no cell 'mine.py:Mine': in Python import the cell and give it": "mine.py:Mine",
    }
    for sentence, odd in refused.items():
        with pytest.raises(UsageError, match=sentence):
            ClassifierSettings(cell=odd)  # type: ignore[arg-type]


def test_a_cell_of_ones_own_is_kept_by_its_equations() -> None:
    @cells.cell(gates="h", state="h")
    def MyCell(x: Any, u: Any) -> Any:
        return x.h + u.h

    settings = ClassifierSettings(cell=MyCell)  # type: ignore[arg-type]
    assert cell_name(settings) == "MyCell" and cell_name(ClassifierSettings()) == "lstm"
    values = settings.to_dict()
    assert json.loads(json.dumps(values["cell"])) == json.loads(json.dumps(to_json(MyCell)))
    assert ClassifierSettings(**values) == settings
    assert ClassifierSettings().to_dict() == asdict(ClassifierSettings())
