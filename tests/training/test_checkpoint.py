"""Killed and resumed runs, checkpoints that don't fit or are damaged, folders that can't be written."""

import hashlib
import io
import json
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elman.errors import TrainingError, UsageError
from elman.training import checkpoint
from elman.training.checkpoint import Progress, journal
from elman.training.loop import Run
from elman.training.plan import Plan
from toy import Stream, Sums, Toy

PLAN = Plan(epochs=2, batch_size=12, learning_rate=0.05)
IDENTITY = {"settings": {"hidden": 5, "layers": (1, 2)}, "data": "abc"}


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Limit files to `size` bytes: the closest to a full disk that works without privileges."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def stopped(folder: Path, plan: Plan = PLAN, **identity: Any) -> None:
    """Leave a run in `folder` as if it had been killed after its second step."""
    steps = iter(Run(Toy(), Sums(plan), plan, folder=folder, checkpoint_seconds=0, identity=identity))
    next(steps)
    next(steps)


def written(folder: Path) -> bytes:
    state = {"w": torch.arange(4.0)}
    checkpoint.save(folder, Progress(step=3, best=state), [(torch.ones(2),)], {"model": state}, IDENTITY)
    return checkpoint.path(folder).read_bytes()


def forged(body: bytes) -> bytes:
    return checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


# ---- killed at any moment


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    script, folder = Path(__file__).parents[1] / "helpers" / "killing.py", tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(script), "training", str(folder), "3"]  # a stride of 1 tries every moment
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=500)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_killed_at_any_moment_ends_with_the_same_weights(killed: dict[str, Any]) -> None:
    """Weights, scores and metrics bit for bit; with truncated BPTT and dropout, so states and seeds count."""
    assert killed["moments"] > 40  # checkpoints, steps, validations and the saving of the model
    assert killed["wrong"] == []


def test_killed_over_and_over(killed: dict[str, Any]) -> None:
    assert killed["often"]


def test_the_undisturbed_run_is_sound(killed: dict[str, Any]) -> None:
    assert [line["step"] for line in killed["metrics"]] == [1, 2, 3, 4, 5, 6]
    assert killed["files"] == ["README.md", "config.json", "metrics.jsonl", "model.safetensors"]
    assert {"rate", "left"}.isdisjoint(killed["metrics"][0]) and "loss" in killed["metrics"][0]


# ---- resuming in the same process


@pytest.mark.parametrize("problem", [Sums(PLAN), Stream()])
def test_resumed_in_the_middle_of_an_epoch(problem: Any, tmp_path: Path) -> None:
    for _ in zip(range(2), Run(Toy(), problem, PLAN, folder=tmp_path, checkpoint_seconds=0), strict=False):
        pass
    resumed, whole = Toy(seed=7), Toy()
    run, other = Run(resumed, problem, PLAN, folder=tmp_path, resume=True), Run(whole, problem, PLAN)
    assert run.progress.step == 2 and (run.progress.carried is None) == isinstance(problem, Sums | None)
    assert [r.step for r in run] == [r.step for r in other][2:]
    for a, b in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("patience", [1, 99])
def test_resumed_after_the_end(patience: int, tmp_path: Path) -> None:
    """Killed after the last step or an early stop, before the model was saved."""
    plan = replace(PLAN, epochs=4, patience=patience)
    scores = iter([1.0, 2.0, 0.5, 3.0])
    problem, model, again = Sums(plan), Toy(), Toy(seed=3)
    problem.validate = lambda _: {"error": next(scores)}  # type: ignore[method-assign]
    run = Run(model, problem, plan, folder=tmp_path)
    list(run)
    resumed = Run(again, problem, plan, folder=tmp_path, resume=True)
    assert list(resumed) == [] and resumed.outcome == run.outcome
    assert run.outcome is not None and run.outcome.stopped == ("early" if patience == 1 else "finished")
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_new_run_forgets_the_old_one(tmp_path: Path) -> None:
    stopped(tmp_path)
    other = replace(PLAN, seed=9)
    run = Run(Toy(), Sums(other), other, folder=tmp_path)
    assert [r.step for r in run] == [1, 2, 3, 4]
    steps = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]
    run.discard_checkpoint()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.jsonl"]


# ---- runs that don't fit


@pytest.mark.parametrize(
    ("plan", "identity", "named"),
    [
        (replace(PLAN, learning_rate=0.1), {}, "learning_rate = 0.05, but this call has 0.1"),
        (replace(PLAN, epochs=3), {}, "epochs = 2, but this call has 3"),
        (PLAN, {"data": "other"}, "data = 'abc', but this call has 'other'"),
        (PLAN, {"settings": {"hidden": 6, "cell": "gru"}}, "hidden = 5, but this call has 6"),
        (
            PLAN,
            {"settings": {"hidden": 5, "cell": {"name": "Mine", "values": [1]}}},
            r"cell = 'gru', but this call has 'Mine \(equations \w{6}\)'",
        ),
        (PLAN, {"extra": [1]}, r"extra = None, but this call has \[1\]"),
    ],
)
def test_another_plan_or_other_data(plan: Plan, identity: Any, named: str, tmp_path: Path) -> None:
    saved_identity = {"data": "abc", "settings": {"hidden": 5, "cell": "gru"}}
    stopped(tmp_path, **saved_identity)
    with pytest.raises(TrainingError, match=f"{tmp_path} was trained with {named}: resume with the same"):
        Run(Toy(), Sums(plan), plan, folder=tmp_path, resume=True, identity=saved_identity | identity)


def test_another_model(tmp_path: Path) -> None:
    stopped(tmp_path)
    with pytest.raises(TrainingError, match=r"is of another model \(the model has other entries\): start"):
        Run(torch.nn.Linear(2, 3), Sums(PLAN), PLAN, folder=tmp_path, resume=True)


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="resume needs the folder"):
        Run(Toy(), Sums(PLAN), PLAN, resume=True)
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(
            TrainingError, match=f"{folder} has no checkpoint.pt to resume from: start without"
        ):
            Run(Toy(), Sums(PLAN), PLAN, folder=folder, resume=True)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match=f"{tmp_path} has finished its training: start without resume"):
        checkpoint.load(tmp_path, {})
    checkpoint.path(tmp_path).mkdir()
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is not a file: start without resume"):
        checkpoint.load(tmp_path, {})


# ---- damaged files


def test_roundtrip(tmp_path: Path) -> None:
    written(tmp_path)
    progress, carried, states = checkpoint.load(tmp_path, IDENTITY | {"data": "abc"})
    assert progress.step == 3 and progress.best is not None and progress.carried is None
    assert torch.equal(states["model"]["w"], torch.arange(4.0)) and torch.equal(carried[0][0], torch.ones(2))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_damage_is_noticed_anywhere(where: float, bit: int, cut: bool, tmp_path: Path) -> None:
    content = bytearray(written(tmp_path))
    position = int(where * len(content))
    if cut:
        content = content[:position]
    else:
        content[position] ^= 1 << bit
    checkpoint.path(tmp_path).write_bytes(content)
    with pytest.raises(TrainingError, match=r"start without resume$"):
        checkpoint.load(tmp_path, IDENTITY)


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("kind", ["pickle", "torch", "list", "fields", "text", "empty"])
def test_foreign_checkpoints_run_no_code(kind: str, head: bool, tmp_path: Path) -> None:
    """Also with a correct checksum, which anyone can compute."""
    evil = Evil(tmp_path / "mark")
    body = {
        "pickle": pickle.dumps(evil),
        "torch": saved({"progress": evil, "carried": evil, "states": evil}),
        "list": saved([1, 2]),
        "fields": saved({"progress": {"new": 1}, "carried": [], "states": {}, "identity": "{}"}),
        "text": b"hello\n",
        "empty": b"",
    }[kind]
    checkpoint.path(tmp_path).write_bytes(forged(body) if head else body)
    with pytest.raises(TrainingError, match=r"is not a checkpoint of .*elman: start without resume$"):
        checkpoint.load(tmp_path, IDENTITY)
    assert not evil.mark.exists()


def test_a_checkpoint_of_an_older_version(tmp_path: Path) -> None:
    checkpoint.path(tmp_path).write_bytes(written(tmp_path).replace(b"checkpoint 2", b"checkpoint 1", 1))
    with pytest.raises(TrainingError, match="is not a checkpoint of this version of elman: start without"):
        checkpoint.load(tmp_path, IDENTITY)


# ---- folders that can't be written


def test_a_folder_inside_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(TrainingError, match=r"can't be written .*: name a folder that you may write to"):
            list(Run(Toy(), Sums(PLAN), PLAN, folder=folder))


def test_a_full_disk_keeps_the_last_checkpoint_and_the_best_model(tmp_path: Path) -> None:
    problem, model = Sums(PLAN), Toy()
    run = Run(model, problem, PLAN, folder=tmp_path, checkpoint_seconds=0)
    steps = iter(run)
    for _ in range(3):
        next(steps)
    before = checkpoint.path(tmp_path).read_bytes()
    with full_disk(len(before) // 2):
        assert list(steps) == []
    assert run.outcome is not None and isinstance(run.outcome.error, TrainingError)
    assert str(run.outcome.error) == (
        f"{checkpoint.path(tmp_path)} can't be written (File too large): free some space there"
    )
    run.discard_checkpoint()  # keeps this one, since the run can be resumed
    assert run.outcome.resumable and checkpoint.path(tmp_path).read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
    with torch.no_grad():
        assert run.outcome.best == problem.validate(model)  # of step 4, whose checkpoint filled the disk
    resumed, whole = Run(model, problem, PLAN, folder=tmp_path, resume=True), Toy()
    list(resumed)
    list(Run(whole, problem, PLAN))
    for a, b in zip(model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_full_disk_at_the_start(tmp_path: Path) -> None:
    with full_disk(100), pytest.raises(TrainingError, match="free some space there"):
        list(Run(Toy(), Sums(PLAN), PLAN, folder=tmp_path / "run"))
    assert list((tmp_path / "run").iterdir()) == []


# ---- metrics


def test_journal_drops_what_the_checkpoint_does_not_know(tmp_path: Path) -> None:
    with journal(tmp_path, 0) as write:
        for step in range(1, 6):
            write({"step": step, "loss": 0.5, "scores": None})
    file = tmp_path / "metrics.jsonl"
    assert file.read_text().splitlines()[0] == '{"step": 1, "loss": 0.5}'
    with file.open("a") as cut_short:
        cut_short.write('{"step": 6, "lo')
    with journal(tmp_path, 4) as write:
        write({"step": 5, "loss": float("inf"), "scores": {"a": float("nan"), "b": 1.0}})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[4] == {"step": 5, "loss": None, "scores": {"a": None, "b": 1.0}}


def test_journal_reaches_the_disk_at_once_and_says_when_it_is_full(tmp_path: Path) -> None:
    with journal(tmp_path, 0) as write:
        write({"step": 1})
        assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
        with (
            full_disk(20),
            pytest.raises(TrainingError, match=r"metrics.jsonl can't be written .*free some space"),
        ):
            write({"step": 2, "loss": 1.0})


def test_journal_without_a_folder() -> None:
    with journal(None, 0) as write:
        write({"step": 1})
