"""Checkpoints whose checksum is right and whose parts are not those of the run."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from checkpoint_mutants import mutants, read, write
from elman.errors import TrainingError
from elman.training import checkpoint
from elman.training.loop import Run
from elman.training.matching import matched
from elman.training.plan import Plan
from toy import Stream, Sums, Toy

PLAN = Plan(epochs=2, batch_size=12, validations=2, ema_decay=0.9, learning_rate=0.01)
STRIDE = int(os.environ.get("ELMAN_MUTANT_STRIDE", "37"))  # 1 tries every mutant, which takes minutes
KINDS: dict[str, Callable[[], Any]] = {"hidden state carried": Stream, "whole sequences": lambda: Sums(PLAN)}


def stopped(folder: Path, problem: Any) -> Any:
    """Leave a run that was killed after two steps; return what its checkpoint holds."""
    steps = iter(Run(Toy(), problem, PLAN, folder=folder, checkpoint_seconds=0))
    next(steps)
    next(steps)
    return read(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_part_is_refused_in_a_sentence_or_does_no_harm(kind: str, tmp_path: Path) -> None:
    content = stopped(tmp_path, KINDS[kind]())
    count, refused = 0, 0
    for name, mutant in list(mutants(content))[::STRIDE]:
        count += 1
        write(tmp_path, mutant)
        try:
            for _ in zip(
                Run(Toy(), KINDS[kind](), PLAN, folder=tmp_path, resume=True), range(2), strict=False
            ):
                pass
        except TrainingError as error:
            refused += 1
            sentence = str(error)
            resumed = sentence.endswith("start without resume") or "start without resume" in sentence
            assert resumed or "became nan" in sentence or "is NaN" in sentence, (name, sentence)
        except Exception as error:
            pytest.fail(f"{name}: {type(error).__name__}: {error}")
    assert count > 1000 / STRIDE and refused > 0.5 * count, (count, refused)


def test_the_sentence_names_the_part(tmp_path: Path) -> None:
    content = stopped(tmp_path, Stream())
    content["states"]["model"]["head.bias"] = torch.ones(3)
    write(tmp_path, content)
    reason = r"the model, head.bias is torch.float32 \(3,\) instead of torch.float32 \(1,\)"
    sentence = rf"the checkpoint in {tmp_path} is of another model \({reason}\): start without resume"
    with pytest.raises(TrainingError, match=sentence):
        Run(Toy(), Stream(), PLAN, folder=tmp_path, resume=True)


def test_a_position_without_end_is_refused(tmp_path: Path) -> None:
    """The loop would look for its batch for ever."""
    content = stopped(tmp_path, Stream())
    content["progress"]["index"] = content["progress"]["step"] = 99
    write(tmp_path, content)
    with pytest.raises(TrainingError, match="beyond the end"):
        Run(Toy(), Stream(), PLAN, folder=tmp_path, resume=True)


def test_other_tensors_of_one_memory_become_their_own() -> None:
    value = torch.arange(3.0)[:1].expand(3)
    copy = matched({"a": [value, (1, None)]}, {"a": [torch.zeros(3), (2, None)]}, "the model")
    assert copy == {"a": [copy["a"][0], (1, None)]} and copy["a"][0].stride() == (1,)


def test_metrics_that_are_no_metrics_are_replaced(tmp_path: Path) -> None:
    metrics, mine = tmp_path / "metrics.jsonl", tmp_path.parent / f"{tmp_path.name}-mine"
    mine.write_text("keep\n")
    lines = [b'{"step": 1}', b"[" * 10**5, b"\xff\x00", b'{"step": 1e999}', b'{"step": ' + b"9" * 5000 + b"}"]
    lines += [b'{"step": NaN}', b'{"step": []}', b'{"step": "1"}' + b" " * (1 << 21)]
    for prepare in (
        lambda: metrics.write_bytes(b"\n".join(lines)),
        lambda: metrics.symlink_to(mine),
        lambda: os.mkfifo(metrics),
    ):
        checkpoint.discard(tmp_path)
        stopped(tmp_path, Stream())
        metrics.unlink()
        prepare()
        list(Run(Toy(), Stream(), PLAN, folder=tmp_path, resume=True))
        assert [json.loads(line)["step"] for line in metrics.read_text().splitlines()][-2:] == [5, 6]
    assert mine.read_text() == "keep\n"


def test_a_checkpoint_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(checkpoint.path(tmp_path))
    with pytest.raises(TrainingError, match="is not a file: start without resume"):
        checkpoint.load(tmp_path, {})
