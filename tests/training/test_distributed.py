"""Two processes against one, and devices and precisions that a machine has or lacks."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from elman.errors import TrainingError, UsageError
from elman.training import distributed
from elman.training.loop import Run
from elman.training.plan import Plan
from toy import Stream, Sums, Toy
from two_processes import PLAN, STOP, curves


class Two:
    """Results of two processes started by torchrun."""

    def __init__(self, folder: Path) -> None:
        script = Path(__file__).parents[1] / "helpers" / "two_processes.py"
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        done = subprocess.run(
            [*launch, str(script), str(folder)],
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            timeout=500,
        )
        assert done.returncode == 0, done.stderr
        self.ranks = [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]
        self.folder, self.out, self.err = folder, done.stdout, done.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    return Two(tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize(("kind", "problem"), [("whole", Sums(PLAN)), ("truncated", Stream())])
def test_two_processes_train_as_one(kind: str, problem: Any, two: Two) -> None:
    """The same global batches, the last of 5 sequences; each process carries the states of its own series."""
    one = curves(problem)
    for rank in two.ranks:
        assert rank[kind]["losses"] == pytest.approx(one["losses"], rel=1e-5)
        for ours, theirs in zip(one["scores"], rank[kind]["scores"], strict=True):
            assert theirs == pytest.approx(ours, rel=1e-5)
        for ours, theirs in zip(one["weights"], rank[kind]["weights"], strict=True):
            assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), rtol=1e-4, atol=1e-6)


def test_processes_agree_to_the_last_bit(two: Two) -> None:
    first, second = two.ranks
    assert first == second


def test_a_signal_to_one_process_stops_all(two: Two) -> None:
    for rank in two.ranks:
        assert rank["stopped"]["stopped"] == "interrupted" and len(rank["stopped"]["losses"]) == STOP
        assert rank["stopped"]["losses"] + rank["resumed"]["losses"] == rank["whole"]["losses"]
        assert rank["resumed"]["weights"] == rank["whole"]["weights"]


def test_each_process_resumes_with_its_own_state(two: Two) -> None:
    for rank in two.ranks:
        assert rank["carried again"]["weights"] == rank["carried"]["weights"] == rank["truncated"]["weights"]
        assert rank["carried again"]["losses"] == rank["carried"]["losses"][2:]


def test_only_the_first_process_writes(two: Two) -> None:
    for name, steps in (("run", 8), ("stopped", 8), ("carried", 6)):
        lines = (two.folder / name / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(1, steps + 1))
        assert sorted(p.name for p in (two.folder / name).iterdir()) == ["checkpoint.pt", "metrics.jsonl"]
    ours = [line for line in two.err.splitlines() if line.startswith("watched")]
    assert [line.split(",")[0] for line in ours] == ["watched: epoch 1", "watched: epoch 2"]


def test_the_libraries_keep_quiet(two: Two) -> None:
    assert two.out == ""
    unexpected = [line for line in two.err.splitlines() if line and not line.startswith("watched")]
    assert unexpected == []


def test_a_run_of_other_processes_is_not_resumed(two: Two) -> None:
    with pytest.raises(TrainingError, match="was trained with processes = 2, but this call has 1: resume"):
        curves(Sums(PLAN), folder=two.folder / "run", resume=True)


# ---- devices and precisions


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "cuda"}, 'device="cuda" needs a GPU that PyTorch can see; use "auto" or "cpu"'),
        ({"precision": "16-mixed"}, 'precision="16-mixed" needs a GPU: use "bf16-mixed" or "32-true"'),
    ],
)
def test_what_needs_a_gpu(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Run(Toy(), Sums(PLAN), Plan(**settings))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE is 'x', but should be a number of processes: unset it"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK is not set: unset it"),
        ({"LOCAL_WORLD_SIZE": "-1"}, "LOCAL_WORLD_SIZE is '-1'"),
        ({"LOCAL_WORLD_SIZE": "2"}, "LOCAL_WORLD_SIZE is 2, but WORLD_SIZE is 1: unset it"),
    ],
)
def test_variables_that_are_not_torchruns(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        distributed.fabric("cpu", "32-true")
    monkeypatch.setenv("WORLD_SIZE", "")
    assert distributed.processes() == 1


def test_fewer_gpus_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        UsageError, match=r'^2 processes need 2 GPUs and this machine has 1: start 1, or use device="cpu"$'
    ):
        distributed._accelerator("auto", "32-true", 2)
    assert distributed._accelerator("auto", "16-mixed", 1) == "cuda"
    assert distributed._accelerator("cpu", "32-true", 2) == "cpu"


@pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")
@pytest.mark.parametrize(
    ("precision", "kind", "error"),
    [
        ("bf16-mixed", torch.float32, 0.02),
        ("bf16-true", torch.bfloat16, 0.02),
        ("64-true", torch.float64, 1e-5),
    ],
)
def test_precisions_train_on_a_cpu(precision: str, kind: torch.dtype, error: float, tmp_path: Path) -> None:
    plan = Plan(epochs=2, batch_size=12, learning_rate=0.05, precision=precision)
    model, again, single = (Toy(dropout=0.0) for _ in range(3))
    steps = [
        (record.loss, model.head.weight.dtype) for record in Run(model, Sums(plan), plan, folder=tmp_path)
    ]
    losses, kinds = zip(*steps, strict=True)
    float32 = [record.loss for record in Run(single, Sums(plan), replace(plan, precision="32-true"))]
    assert list(losses) == pytest.approx(float32, rel=error) and {*kinds} == {kind}
    assert model.head.weight.dtype == torch.float32
    assert list(Run(again, Sums(plan), plan, folder=tmp_path, resume=True)) == []
    assert torch.equal(again.head.weight, model.head.weight)
