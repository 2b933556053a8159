"""Options that a model takes and those it doesn't, and what is printed once for all processes."""

import json
from typing import Any, ClassVar

import pytest

from elman.cli import options
from elman.errors import UsageError


class Model:
    task = "classify"
    OPTIONS: ClassVar = {"evaluate": frozenset({"text", "header", "cutoffs"}), "predict": frozenset()}


def test_what_was_not_given_is_left_to_the_model() -> None:
    assert options.chosen_options(Model, "evaluate", text="review", header=None) == {"text": "review"}
    assert options.chosen_options(Model, "evaluate", text=None, header=False) == {"header": False}
    assert options.chosen_options(Model, "predict", header=None, anything=None) == {}


@pytest.mark.parametrize(
    ("argument", "option"),
    [("label", "--label"), ("top_k", "--top-k"), ("header", "--no-header"), ("cutoffs", "--backtest")],
)
def test_an_option_that_the_model_does_not_take(argument: str, option: str) -> None:
    with pytest.raises(UsageError) as raised:
        options.chosen_options(Model, "predict", **{argument: 0})
    assert str(raised.value) == f"{option} does not apply to a 'classify' model"


def test_a_result_is_printed_for_people_or_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    result: Any = {"accuracy": 0.5, "labels": ["süß"]}
    options.show_result(result, "accuracy 0.5", as_json=False)
    assert capsys.readouterr().out == "accuracy 0.5\n"
    options.show_result(result, "accuracy 0.5", as_json=True)
    out = capsys.readouterr().out
    assert json.loads(out) == result and "süß" in out and out.count("\n") == 1


def test_only_the_first_of_several_processes_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []
    monkeypatch.setenv("WORLD_SIZE", "16")
    for rank in ("0", "1", "10"):
        monkeypatch.setenv("RANK", rank)
        options.show_result({}, "a result", as_json=False)
        printed.append(capsys.readouterr().out)
    assert printed == ["a result\n", "", ""]
