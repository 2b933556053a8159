"""The watcher's horizon is that of theory and of `memory_horizon`; it tells where numbers went wrong."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elman
from elman.errors import TrainingError
from elman.lens import memory_horizon
from elman.lens.watching import Watcher
from elman.training.loop import Run
from elman.training.plan import Plan
from linear_layers import rotation
from recall import Reader, questions
from toy import Stream, Sums, Toy


@pytest.mark.parametrize("decay", [0.5, 0.9])
@pytest.mark.parametrize("every", [False, True])
def test_a_linear_network_forgets_as_its_spectrum_says(decay: float, every: bool) -> None:
    layer, x = rotation(decay), torch.randn(120, 5, 2, dtype=torch.float64)

    def loss() -> Tensor:
        outputs = layer(x)[0]  # losses of earlier steps do not count
        return outputs.sum() if every else outputs[-1].sum()

    found = Watcher("ms", 10.0).horizon(layer, loss)
    assert found == pytest.approx(10 * math.log(0.1) / math.log(decay), rel=0.02)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("engine", ["auto", "eager"])
@pytest.mark.parametrize(("layers", "both", "first"), [(1, False, True), (2, False, False), (2, True, False)])
def test_it_agrees_with_the_memory_horizon(
    cell: str, engine: Any, layers: int, both: bool, first: bool
) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent(cell, 3, 6, layers, bidirectional=both, batch_first=first, engine=engine)
    x = torch.randn((5, 40, 3) if first else (40, 5, 3))

    def loss(result: Any) -> Tensor:
        state = result[1][0] if isinstance(result[1], tuple) else result[1]
        return state.square().sum()  # of every layer and direction, at its end

    ours = Watcher().horizon(layer, lambda: loss(layer(x)))
    theirs = memory_horizon(layer, x, loss)
    top = theirs.layers[-2:] if both else theirs.layers
    assert ours == pytest.approx(max(one.horizons[0].steps for one in top), rel=1e-4)


def test_sequences_of_their_own_lengths() -> None:
    model, (x, _) = Reader("lstm"), questions(20)
    lengths = torch.randint(5, 21, (32,))

    def loss() -> Tensor:
        outputs, _ = model.inner(x, lengths=lengths)
        return outputs.square().sum()

    def last(result: Any) -> Tensor:
        return result.square().sum()

    ours = Watcher().horizon(model, loss)
    assert ours is not None and 1 < ours < 8


def test_nothing_to_see() -> None:
    watcher, layer = Watcher(), elman.LSTM(3, 4)
    assert watcher.horizon(layer, lambda: layer(torch.randn(1, 2, 3))[0].sum()) is None  # one step
    linear = nn.Linear(2, 1)
    assert watcher.horizon(linear, lambda: linear(torch.randn(3, 2)).sum()) is None
    assert watcher.explain(layer, lambda: layer(torch.randn(5, 2, 3))[0].sum()) == ""
    assert watcher.explain(linear, lambda: linear(torch.randn(3, 2)).sum()) == ""


def test_a_gate_that_went_wrong_is_named() -> None:
    layer, x = elman.LSTM(3, 4), torch.randn(9, 2, 3)
    with torch.no_grad():
        layer.weight_hh_l0[6] = 1e30  # of gate f, unit 2
    said = Watcher().explain(layer, lambda: layer(x)[0].sum())
    assert said == "unit 2 of f of layer LSTM l0 is exploded, first at step 1 of sequence 0"


@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_a_gradient_that_went_wrong_is_named(engine: Any) -> None:
    layer, x = elman.Recurrent("gru", 3, 4, engine=engine), torch.randn(9, 2, 3)

    def loss() -> Tensor:
        return layer(x)[0][5, 1, 2].mul(0).sqrt()  # whose derivative is infinite times 0

    said = Watcher().explain(layer, loss)
    assert said == "unit 2 of the gradient for h of layer Recurrent l0 is NaN, first at step 5 of sequence 1"


@pytest.mark.parametrize("problem", [Sums(Plan(batch_size=6)), Stream()])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
def test_a_run_is_watched(problem: Any, precision: str, tmp_path: Path) -> None:
    plan = Plan(epochs=2, batch_size=6, precision=precision, watch_memory=True)
    run = Run(Toy(), problem, plan, folder=tmp_path, inspector=Watcher("minutes", 5))
    records = list(run)
    assert [one.memory is not None for one in records] == [
        one.epoch == 0 and (k + 1 == len(records) or records[k + 1].epoch == 1)
        for k, one in enumerate(records)
    ]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    (memory,) = [line["memory"] for line in lines if "memory" in line]
    assert 0 < memory["minutes"] <= 25


def test_a_task_says_where_its_numbers_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be, that is the question. " * 60)
    with pytest.raises(
        TrainingError, match=r"of layer [\w.]+ l\d is \w+, first at step \d+ of sequence \d+\)"
    ):
        elman.LanguageModel.fit(
            tmp_path / "text.txt", hidden=8, epochs=2, learning_rate=1e15, warmup=0.0, progress=False
        )
