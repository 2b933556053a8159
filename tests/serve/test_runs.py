"""What is told of trainings: from metrics that are being written, thinned, cut or begun anew."""

import json
from pathlib import Path
from typing import Any

import pytest

from elman.serve import runs as module
from elman.serve.runs import Metrics, Runs, told
from elman.training.announced import announced


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "cache"))


def line(step: int, **more: Any) -> str:
    return (
        json.dumps({"step": step, "epoch": 0, "done": step / 10, "loss": 1 / step, "left": 5.0} | more) + "\n"
    )


def test_a_training_is_told_by_its_last_line_and_last_scores(tmp_path: Path) -> None:
    runs, folder = Runs(), tmp_path / "reviews"
    folder.mkdir()
    with announced("classify", folder):
        (one,) = runs.all()
        assert told(one)["loss"] is None and told(one)["alive"]
        (folder / "metrics.jsonl").write_text(line(1, scores={"accuracy": 0.5}) + line(2) + '{"step": 3, "lo')
        row = told(one)
        assert (row["name"], row["task"], row["step"], row["scores"]) == (
            "reviews",
            "classify",
            2,
            {"accuracy": 0.5},
        )
        assert str(tmp_path) not in json.dumps(row)
        assert runs.find(one.id) == one and runs.find("none") is None
    assert [each.id for each in runs.all()] == [one.id] and not told(one)["alive"]  # it was seen


def test_only_some_trainings_that_ended_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    runs = Runs()
    for k in range(4):
        with announced("chat", tmp_path / str(k)):
            runs.all()
    assert [one.name for one in runs.all()] == ["3", "2"]


def test_metrics_come_as_they_are_written(tmp_path: Path) -> None:
    metrics, file = Metrics(str(tmp_path)), tmp_path / "metrics.jsonl"
    assert metrics.more() == (False, [])
    with file.open("w") as out:
        out.write(line(1) + '{"step": 2')
        out.flush()
        anew, lines = metrics.more()
        assert anew and [one["step"] for one in lines] == [1]
        out.write(', "loss": 3}\nno json\n[1]\n' + line(4))
    assert [one["step"] for one in metrics.more()[1]] == [2, 4]
    assert metrics.more() == (False, [])
    fresh = tmp_path / "fresh"
    fresh.write_text(line(1))
    fresh.replace(file)  # as a run does that is resumed
    anew, lines = metrics.more()
    assert anew and [one["step"] for one in lines] == [1]


def test_of_many_lines_those_with_scores_or_memory_and_the_last_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 10)
    lines = [
        line(k, **({"scores": {"nats": 1.0}} if k == 7 else {"memory": {"words": 2.0}} if k == 8 else {}))
        for k in range(1, 101)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))
    steps = [one["step"] for one in Metrics(str(tmp_path)).more()[1]]
    assert len(steps) <= 13 and {1, 7, 8, 100} <= {*steps} and steps == sorted(steps)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    assert Metrics(str(tmp_path)).more() == (False, [])
    with announced("chat", tmp_path):
        assert told(Runs().all()[0])["step"] is None
