"""Batches are a pure function of their arguments, and never leave the training part."""

from datetime import date, timedelta

import numpy as np
import torch

from elman.data.series.features import Features
from elman.data.series.panel import read_panel
from elman.data.series.windows import WindowStore
from elman.tasks.forecast.network import DirectNet, Shape
from elman.tasks.forecast.problem import WindowProblem
from elman.tasks.forecast.settings import Settings
from elman.tasks.forecast.split import divide
from elman.training.plan import Plan

LENGTHS, H, SEASON = (60, 240), 5, 7
PANEL = read_panel(
    {
        "unique_id": [f"s{i}" for i, n in enumerate(LENGTHS) for _ in range(n)],
        "ds": [date(2021, 1, 1) + timedelta(d) for n in LENGTHS for d in range(n)],
        "y": np.random.default_rng(0).normal(size=sum(LENGTHS)).tolist(),
    }
)
SPLIT = divide(LENGTHS, H, SEASON)
STORE = WindowStore(PANEL, Features.fit(PANEL, LENGTHS), 14, H, SEASON)


def problem() -> WindowProblem:
    return WindowProblem(STORE, SPLIT, (0.1, 0.5, 0.9), Plan(batch_size=8))


def test_batches_are_pure_and_shared() -> None:
    one = problem().batches(3, 0, 1)
    assert one == problem().batches(3, 0, 1)
    assert one != problem().batches(4, 0, 1)
    first, second = problem().batches(3, 0, 2), problem().batches(3, 1, 2)
    assert [sorted(a + b) for a, b in zip(first, second, strict=True)] == [sorted(batch) for batch in one]


def test_batches_stay_in_the_training_part_and_no_series_drowns() -> None:
    pairs = [pair for epoch in range(4) for batch in problem().batches(epoch, 0, 1) for pair in batch]
    for series, cutoff in pairs:
        assert SPLIT.first[series] <= cutoff <= SPLIT.last[series]
    share = np.mean([series == 0 for series, _ in pairs])
    counts = [last - first + 1 for first, last in zip(SPLIT.first, SPLIT.last, strict=True)]
    expected = np.sqrt(counts[0]) / np.sqrt(counts).sum()
    assert abs(share - expected) < 0.05


def test_loss_counts_known_steps_and_validation_keeps_the_latest_weights() -> None:
    one = problem()
    torch.manual_seed(0)
    shape = Shape(14, H, SEASON, (0.1, 0.5, 0.9), STORE.known.shape[1], ())
    net = DirectNet(Settings(hidden=4, dropout=0.0), shape)
    total, count, state = one.loss(net, [(0, 30), (1, 238)], None)
    assert (count, state) == (H + 2, None)
    assert total.item() > 0
    with torch.no_grad():
        one.batches(0, 0, 1)
        first = one.validate(net)
        one.batches(1, 0, 1)
        later = one.validate(net)
    assert later["epoch"] > first["epoch"]
    assert later["loss"] == first["loss"]
