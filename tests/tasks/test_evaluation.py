"""Scores beside those of baselines: the table, the JSON, and what elman 0.1.0 saved."""

import errno
import json
import math
import os
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from xml.etree import ElementTree

import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.atomic import writing
from elman.errors import TrainingError, UsageError
from elman.tasks import evaluation as module
from elman.tasks.evaluation import (
    Evaluation,
    Metric,
    Scores,
    failure_note,
    few_note,
    overlap_note,
    sample_rows,
    scores_by,
    spaced,
    training_notes,
)
from elman.training.loop import Outcome
from elman.training.plan import Plan


@dataclass(frozen=True, kw_only=True, repr=False)
class ToyEvaluation(Evaluation):
    SAVED_BASELINES: ClassVar = {"baseline": "bag of words", "naive": "the same word always"}
    GROUPS: ClassVar = {"day": "on"}

    rows: int = 12
    confusion: tuple[tuple[int, ...], ...] = ()

    def metrics(self) -> dict[str, Metric]:
        return {
            "accuracy": Metric("accuracy", ".4f"),
            "bleu": Metric("BLEU", ".1f"),
            "perplexity": Metric("perplexity"),
        }

    def facts(self) -> list[str]:
        return [f"{self.rows} texts"]

    def grouped(self, group: str) -> pl.DataFrame:
        return scores_by(
            self.frame(),
            self.GROUPS[group],
            lambda part: {"texts": len(part), "errors": part["errors"].sum()},
        )

    def worst(self) -> pl.DataFrame:
        return self.frame().sort("errors", descending=True)


def toy(**changes: Any) -> ToyEvaluation:
    values = {
        "scores": {"accuracy": 0.75, "bleu": None, "perplexity": 1234.56},
        "baselines": {
            "bag of words": {"accuracy": 0.5, "bleu": None, "perplexity": 10.0},
            "the same word always": {"accuracy": 1.0, "bleu": None},
        },
    }
    return ToyEvaluation(**(values | changes))


def test_a_table_with_a_column_for_every_baseline() -> None:
    assert str(toy()) == (
        "               network  bag of words  the same word always\n"
        "accuracy        0.7500        0.5000                1.0000\n"
        "perplexity        1235            10\n"
        "\n"
        "12 texts"
    )


def test_a_score_that_only_some_columns_have() -> None:
    lines = str(toy(scores={"accuracy": 0.75, "bleu": 12.34})).splitlines()
    assert lines[2] == "BLEU              12.3"
    assert lines[3] == f"{'perplexity':34}10"


def test_a_model_without_baseline_and_notes() -> None:
    evaluation = toy(baselines={}, notes=("few texts", "old texts"))
    assert evaluation.baseline is None
    assert str(evaluation) == (
        "               network\n"
        "accuracy        0.7500\n"
        "perplexity        1235\n"
        "\n"
        "12 texts\n"
        "Note: few texts\n"
        "Note: old texts"
    )


def test_a_line_at_a_prompt_and_a_table_in_a_notebook() -> None:
    evaluation = toy(notes=("a < b & c",), baselines={"<b>": {"accuracy": 0.5}})
    assert repr(evaluation) == "<ToyEvaluation: accuracy 0.7500, perplexity 1235>"
    page = ElementTree.fromstring(
        f"<div>{evaluation._repr_html_().replace(' scope=col', '').replace(' tabindex=0', '')}</div>"
    )
    rows = [[cell.text or "" for cell in row] for row in page.iter("tr")]
    assert rows == [["", "network", "<b>"], ["accuracy", "0.7500", "0.5000"], ["perplexity", "1235", ""]]
    assert [one.text for one in page.findall("p")] == ["Note: a < b & c"]
    assert page.find("pre").text == "12 texts"  # type: ignore[union-attr]


def test_the_table_at_the_prompt_of_ipython() -> None:
    shown: list[str] = []
    toy()._repr_pretty_(SimpleNamespace(text=shown.append), False)
    assert shown == [str(toy())]


def test_the_baseline_is_the_first() -> None:
    assert toy().baseline == {"accuracy": 0.5, "bleu": None, "perplexity": 10.0}


SCORES = st.dictionaries(
    st.sampled_from(["accuracy", "bleu", "perplexity"]),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(
    SCORES,
    st.dictionaries(st.text(max_size=5), SCORES, max_size=3),
    st.lists(st.text(max_size=5)).map(tuple),
    st.lists(st.lists(st.integers(0, 9)).map(tuple)).map(tuple),
)
def test_json_and_back(
    scores: Scores,
    baselines: dict[str, Scores],
    notes: tuple[str, ...],
    confusion: tuple[tuple[int, ...], ...],
) -> None:
    evaluation = toy(scores=scores, baselines=baselines, notes=notes, confusion=confusion)
    values = json.loads(json.dumps(evaluation.to_dict()))
    assert list(values) == ["scores", "baselines", "notes", "rows", "confusion"]
    assert ToyEvaluation.from_dict(values) == evaluation
    str(evaluation)


def test_json_has_no_nan() -> None:
    values = toy(scores={"accuracy": math.nan, "perplexity": math.inf}).to_dict()
    assert values["scores"] == {"accuracy": None, "perplexity": None}
    json.dumps(values, allow_nan=False)


def test_baselines_as_elman_0_1_saved_them() -> None:
    saved = {
        "scores": {"accuracy": 0.75},
        "baseline": {"accuracy": 0.5},
        "naive": None,
        "rows": 3,
        "confusion": [[1, 2], [0, 0]],
        "notes": ["few texts"],
    }
    evaluation = ToyEvaluation.from_dict(saved)
    assert evaluation.baselines == {"bag of words": {"accuracy": 0.5}}
    assert (evaluation.notes, evaluation.confusion) == (("few texts",), ((1, 2), (0, 0)))
    assert saved["baseline"] == {"accuracy": 0.5}, "from_dict leaves its argument as it is"
    assert ToyEvaluation.from_dict(evaluation.to_dict()) == evaluation
    assert ToyEvaluation.from_dict(saved | {"baseline": None}).baselines == {}


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"naive": ...}, KeyError), ({"speed": 3}, ValueError), ({"scores": ...}, ValueError)],
)
def test_values_of_another_evaluation(changes: dict[str, Any], error: type[Exception]) -> None:
    saved = {"scores": {}, "baseline": {}, "naive": {}, "rows": 3} | changes
    with pytest.raises(error):
        ToyEvaluation.from_dict({name: value for name, value in saved.items() if value is not ...})


def test_a_task_says_what_its_scores_are() -> None:
    with pytest.raises(TypeError, match=r"facts.*metrics"):
        Evaluation(scores={}, baselines={})  # type: ignore[abstract]


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_texts_that_were_trained_on_are_counted(hashes: list[int], training: list[int]) -> None:
    shared = len([one for one in hashes if one in training])
    texts, were = "text" if len(hashes) == 1 else "texts", "was" if shared == 1 else "were"
    note = f"{shared} of {len(hashes)} {texts} {were} trained on, which flatters all scores"
    assert overlap_note(hashes, torch.tensor(training), "text") == ((note,) if shared else ())


def test_few_things_are_counted() -> None:
    assert few_note(1, "text") == ("only 1 different text was scored, too few to rely on",)
    assert few_note(2, "reply") and few_note(10, "text") == ()
    rows, notes = sample_rows(5, 2, "pair")
    assert rows == [0, 2] and notes == ("training was interrupted, so only 2 of 5 held-out pairs are scored",)


def test_a_training_that_minutes_cut_short_says_so() -> None:
    def notes(plan: Plan, stopped: str = "finished", **choices: Any) -> tuple[str, ...]:
        return training_notes(Outcome({}, stopped, 1, 2.0, epochs=0.21), plan, choices)

    cut = Plan(minutes=0.5, max_steps=1, epochs=30)
    assert notes(cut) == (
        "the minutes ended the training after 1 step, 0.21 of 30 epochs: more minutes may give better scores",
    )
    assert notes(cut, max_steps=1) == (), "as it was asked for"
    assert notes(cut, "early") == notes(Plan(minutes=5)) == notes(Plan(max_steps=1), max_steps=1) == ()


def test_a_note_of_a_failure_has_no_path() -> None:
    assert failure_note(None) == ()
    assert failure_note(TrainingError("the loss became nan at step 3")) == ("the loss became nan at step 3",)
    with pytest.raises(TrainingError) as failed, writing(Path("/home/me/run"), TrainingError):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/me/run/checkpoint.pt")
    assert failure_note(failed.value) == ("training stopped early: No space left on device",)


ANSWERS = pl.DataFrame({"on": [date(2024, 1, 2), date(2024, 1, 1), date(2024, 1, 2)], "errors": [1, 5, 3]})


def test_the_answers_behind_the_scores() -> None:
    scored = toy().with_table(ANSWERS)
    assert scored.table is ANSWERS
    assert scored.by("day").rows() == [(date(2024, 1, 2), 2, 4), (date(2024, 1, 1), 1, 5)]
    assert scored.errors()["errors"].to_list() == [5, 3, 1] and len(scored.errors(2)) == 2
    assert scored.groups() == {
        "day": [{"on": "2024-01-02", "texts": 2, "errors": 4}, {"on": "2024-01-01", "texts": 1, "errors": 5}]
    }
    assert scored == toy() and scored.to_dict() == toy().to_dict(), "they are neither compared nor saved"
    assert toy().table is None and replace(scored).table is None


def test_pandas_in_pandas_out() -> None:
    pandas = pytest.importorskip("pandas")
    scored = toy().with_table(ANSWERS).given(pandas.DataFrame({"on": ["2024-01-01"]}))
    for frame in (scored.table, scored.by("day"), scored.errors(1)):
        assert isinstance(frame, pandas.DataFrame) and frame["on"].dtype.kind == "M"
    assert scored.table["errors"].tolist() == [1, 5, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: toy().errors(), "without the answers behind them: call evaluate"),
        (lambda: toy().by("day"), "without the answers"),
        (lambda: toy().with_table(ANSWERS).by("dya"), "no scores by 'dya'; did you mean 'day'"),
        (lambda: toy().with_table(ANSWERS).by(3), "no scores by 3: there are day"),
        (lambda: toy().with_table(ANSWERS).errors(0), "whole number of at least 1, not 0"),
        (lambda: toy().with_table(ANSWERS).errors(True), "not True"),
        (lambda: toy().with_table(ANSWERS).plot(), "no picture of these answers"),
        (lambda: toy().with_table(ANSWERS).plot("a.gif"), "drawn as .png or .svg"),
    ],
)
def test_answers_that_are_not_there(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_a_million_rows_are_kept(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "MAX_TABLE_ROWS", 6)
    assert spaced(6, "texts") == [0, 1, 2, 3, 4, 5] and not caplog.records
    assert spaced(7, "forecasts", rows=2) == [0, 2, 4]
    assert caplog.messages == ["the table behind the scores holds 3 of the 7 forecasts"]
    assert spaced(3, "forecasts", rows=100) == [0], "at least one is kept whole"
