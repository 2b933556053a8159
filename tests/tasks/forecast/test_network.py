"""The networks: rising quantiles, anchors against a slow loop, no look ahead, independent windows."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.series.windows import Windows
from elman.tasks.forecast.network import DirectNet, RecursiveNet, Shape, anchors, pinball, truth
from elman.tasks.forecast.settings import Settings
from elman.typed import typed

SHAPE = Shape(context=16, horizon=5, season=4, levels=(0.1, 0.5, 0.8), known=2, vocabularies=(3,))


def options(**changes: Any) -> Settings:
    return Settings(hidden=8, dropout=0.0, **changes)


def windows(count: int = 4, seed: int = 0, shape: Shape = SHAPE) -> Windows:
    torch.manual_seed(seed)
    return Windows(
        torch.randn(count, shape.context),
        torch.ones(count, shape.context),
        torch.randn(count, shape.horizon),
        torch.randn(count, shape.context + shape.horizon, shape.known),
        torch.randint(0, 4, (count, 1)),
        torch.zeros(count, 1, dtype=torch.float64),
        torch.ones(count, 1, dtype=torch.float64),
    )


def shaken(
    kind: type[DirectNet] | type[RecursiveNet], cell: str = "lstm", layers: int = 1
) -> DirectNet | RecursiveNet:
    """A net whose output layer says something (it starts as a naive forecast)."""
    torch.manual_seed(1)
    net = kind(options(cell=cell, layers=layers), SHAPE).eval()
    torch.nn.init.normal_(net.head.out.weight, std=0.5)
    return net


@pytest.mark.parametrize("kind", [DirectNet, RecursiveNet])
@pytest.mark.parametrize(("cell", "layers"), [("lstm", 1), ("gru", 2), ("mingru", 1), ("elman", 1)])
def test_quantiles_rise_for_any_cell(kind: type[DirectNet], cell: str, layers: int) -> None:
    net = shaken(kind, cell, layers)
    with torch.no_grad():
        ahead = net.ahead(windows())
        shown = net(windows())
    assert ahead.shape == (4, 5, 3)
    assert (ahead.diff(dim=-1) > 0).all()
    assert (shown.diff(dim=-1) > 0).all()


def test_an_untrained_net_is_a_naive_forecast() -> None:
    net = DirectNet(options(), dataclasses.replace(SHAPE, season=1)).eval()
    flat = dataclasses.replace(windows(), values=torch.full((4, 16), 0.7))
    with torch.no_grad():
        torch.testing.assert_close(net(flat)[..., 1], torch.full((4, 5), 0.7))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 9), st.integers(0, 6))
def test_anchors_as_a_slow_loop(season: int, seasons: int, horizon: int, extra: int) -> None:
    length = season * seasons + extra
    values = torch.randn(2, length, dtype=torch.float64)
    now = torch.full((horizon,), length)
    found = anchors(values, now + torch.arange(horizon), now, season, seasons)
    assert found.shape == (2, horizon, 2 * seasons + 1)
    for row, step in np.ndindex(2, horizon):
        past = values[row].tolist()
        level = np.mean(past[-season:])
        for back in range(1, seasons + 1):
            there = past[length - season * back + step % season]
            end = length - season * (back - 1)
            then = np.mean(past[end - season : end])
            moved = there + (past[-1] - level if back == 1 else level - then)
            assert found[row, step, back - 1].item() == pytest.approx(there)
            assert found[row, step, seasons + back - 1].item() == pytest.approx(moved)
        assert found[row, step, -1].item() == past[-1]


def test_recursive_steps_see_only_what_lies_before_them() -> None:
    net = shaken(RecursiveNet)
    base = windows()
    with torch.no_grad():
        shown = net(base)
        steps = shown.shape[1]
        assert steps == SHAPE.context + SHAPE.horizon - (SHAPE.season * net.seasons + 1)
        changed = dataclasses.replace(base, target=base.target.clone())
        changed.target[:, 2] += 5
        moved = (net(changed) - shown).abs().amax((0, 2)) > 1e-6
    assert moved.tolist() == [False] * (steps - 2) + [True] * 2


def test_recursive_stepping_equals_the_whole_run() -> None:
    """Given the true values one by one, running on from the state gives what one run over all gives."""
    net = shaken(RecursiveNet, "gru", 2)
    base = windows()
    with torch.no_grad():
        whole = net(base)[:, -SHAPE.horizon :]
        known = net.static(base)
        values, observed = base.values, base.observed
        quantiles, state = net._run(values, observed, known, SHAPE.context + 1, None)
        stepped = [quantiles[:, -1]]
        for step in range(1, SHAPE.horizon):
            values = torch.cat([values, base.target[:, step - 1 : step]], 1)
            observed = torch.cat([observed, torch.ones(4, 1)], 1)
            quantiles, state = net._run(values, observed, known, SHAPE.context + step + 1, state)
            assert quantiles.shape[1] == 1
            stepped.append(quantiles[:, 0])
    torch.testing.assert_close(torch.stack(stepped, 1), whole)


@pytest.mark.parametrize("kind", [DirectNet, RecursiveNet])
def test_a_forecast_depends_on_its_window_alone(kind: type[DirectNet]) -> None:
    net = shaken(kind)
    many = windows(6)
    one = Windows(*(getattr(many, f.name)[2:3] for f in dataclasses.fields(Windows)))
    with torch.no_grad():
        torch.testing.assert_close(net.ahead(many)[2:3], net.ahead(one))
        assert torch.equal(net.ahead(one), net.ahead(one))
        hidden = dataclasses.replace(one, target=one.target + 100)
        assert torch.equal(net.ahead(one), net.ahead(hidden))


def test_sampled_paths_follow_the_distribution() -> None:
    """An untrained recursive net on a flat series is a random walk: its quantiles spread as √step."""
    torch.manual_seed(0)
    shape = dataclasses.replace(SHAPE, season=1, levels=(0.1, 0.5, 0.9), vocabularies=())
    net = RecursiveNet(options(), shape).eval()
    with torch.no_grad():
        net.head.out.bias[: net.head.count] = -20.0
        net.head.out.bias[net.head.count - 1] = 20.0  # all weight on the last value
        flat = dataclasses.replace(windows(shape=shape), values=torch.zeros(4, 16))
        width = (net.ahead(flat)[..., 2] - net.ahead(flat)[..., 0])[0]
    assert (width[4] / width[0]).item() == pytest.approx(5**0.5, rel=0.25)


def test_pinball_by_hand_and_without_missing_targets() -> None:
    quantiles = torch.tensor([[[0.0, 1.0], [5.0, 6.0], [0.0, 1.0]]])
    target = torch.tensor([[2.0, float("nan"), -1.0]])
    loss, count = pinball(quantiles, target, (0.1, 0.9))
    expected = (0.1 * 2 + 0.9 * 1) / 2 + (0.9 * 1 + 0.1 * 2) / 2
    assert loss.item() == pytest.approx(expected)
    assert count == 2


def test_truth_is_nan_where_nothing_was_observed() -> None:
    base = windows(1)
    base.observed[0, -1] = 0
    found = truth(base, 7)
    assert found.isnan().tolist() == [[False, True, False, False, False, False, False]]
    torch.testing.assert_close(found[:, 2:], base.target)


def test_sizes_survive_json() -> None:
    assert typed(Shape, json.loads(json.dumps(dataclasses.asdict(SHAPE))), "shape") == SHAPE
