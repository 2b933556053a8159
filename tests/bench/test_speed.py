"""bench/speed.py: that it compares like with like, adds up right, and finds its own records again.

How fast anything is, no test here asks.
"""

import importlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"
TINY = (3, 2, 4, 5)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The modules of bench/, and one thread: on a busy machine tiny shapes would wait for others."""
    monkeypatch.syspath_prepend(str(BENCH))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def module(name: str) -> ModuleType:
    return importlib.import_module(name)


def pairing(ratio: float) -> dict[str, float]:
    return {"ours_ms": 2.0, "peer_ms": 2.0 * ratio, "ratio": ratio, "low": ratio, "high": ratio, "pairs": 7}


def point(run: str, peers: dict[str, float], shape: tuple[int, ...] = TINY) -> dict[str, object]:
    found = {name: pairing(ratio) for name, ratio in peers.items()}
    return {
        "run": run,
        "what": "GRU",
        "mode": "inference",
        "shape": list(shape),
        "ours_ms": 2.0,
        "peers": found,
    }


@pytest.mark.parametrize(("training", "of_input"), [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("cell", ["LSTM", "GRU", "Elman"])
def test_every_peer_computes_what_ours_does(cell: str, training: bool, of_input: bool) -> None:
    peers, points, timing = module("speed_peers"), module("speed_points"), module("speed_timing")
    torchs, x = points._drawn(cell, TINY)
    x.requires_grad_(of_input)
    ours = timing.Side("elman", peers.layer(peers.ours(cell, torchs), x, training))
    another = (x.detach() * 1.1).requires_grad_(of_input)
    other = timing.Side("other", peers.layer(points._drawn(cell, TINY)[0], another, training))
    with timing.mode(training):
        rivals = points._rivals(cell, torchs, x, training, small=True)
        assert {"torch.nn", "torch.nn cells"} <= set(rivals)
        for name, call in rivals.items():
            timing.agree(ours, timing.Side(name, call))
        with pytest.raises(ValueError, match="don't compute the same"):
            timing.agree(ours, other)


def test_a_point_of_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    points, timing = module("speed_points"), module("speed_timing")
    monkeypatch.setattr(timing, "OPENMP", 0.0)
    monkeypatch.setattr(timing, "SPINS", {})
    monkeypatch.setattr(timing, "SAMPLE", 0.0)
    monkeypatch.setattr(module("speed_models"), "VOCABULARY", 20)
    shown = [
        next(points.infer(0.0, (TINY,))),
        next(points.train(0.0, (TINY,))),
        next(points.first(0.0, (TINY,))),
        next(points.models(0.0, module("speed_models").Sizes(*TINY))),
        *itertools.islice(points.precision(0.0, (TINY,)), 2),
        next(points.ragged(0.0, (TINY,))),
        next(points.stream(0.0, (8,))),
        next(points.cells(0.0, TINY)),
        next(points.heads(0.0, (TINY,), count=5)),
    ]
    runs = ["infer", "train", "first", "models", *["precision"] * 2, "ragged", "stream", "cells", "heads"]
    assert [p["run"] for p in shown] == runs
    assert [p["mode"] for p in shown] == [
        *("inference", *["training"] * 3, "inference", "training"),
        *["inference"] * 4,
    ]
    for found in shown:
        assert found["ours_ms"] > 0
        for pairing in found["peers"].values():
            assert pairing["pairs"] >= 7
            assert 0 < pairing["low"] <= pairing["ratio"] <= pairing["high"]
    # the README's table comes from the file, not from what is in memory
    text = module("speed_report").markdown(json.loads(json.dumps(report(shown))))
    assert "| LSTM, step, H 8 |" in text
    assert "| Peephole, inference, 3×2×4→5 |" in text


def test_a_ratio_is_the_peers_time_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    timing, now, order = module("speed_timing"), [0.0], []
    # a machine that gets slower all the time, by 1 % a call
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def side(name: str, milliseconds: float) -> Any:
        def call() -> torch.Tensor:
            now[0] += 1e-3 * milliseconds * 1.01 ** len(order)
            order.append(name)
            return torch.ones(1)

        return timing.Side(name, call)

    found = timing.compare(side("a", 50), side("b", 200), 0.0)
    assert found.pairs == 7
    assert found.ratio == pytest.approx(4, rel=0.1)
    assert found.peer_ms > 3 * found.ours_ms > 150
    timed = "".join(order[-28:])  # each turn is one call that doesn't count and one that does
    assert timed == "aabb" + "bbaaaabb" * 3
    lighter = timing.compare(side("a", 50), side("b", 200), 0.0, weight=0.75)
    assert lighter.ratio == pytest.approx(3, rel=0.1)


def test_means_are_geometric_and_of_grids_only() -> None:
    report = module("speed_report")
    shown = [
        point("infer", {"torch.nn": 1.0, "onnxruntime": 3.0}),
        point("infer", {"torch.nn": 4.0}),
        point("stream", {"onnxruntime": 9.0}),
    ]
    found = {mean["peer"]: (mean["ratio"], mean["points"]) for mean in report.means(shown)}
    assert found == {"torch.nn": (pytest.approx(2.0), 2), "onnxruntime": (pytest.approx(3.0), 1)}


def test_the_work_of_a_layer_is_that_of_its_products() -> None:
    points = module("speed_points")
    steps, batch, inputs, hidden = 2, 3, 5, 7
    assert points.work("GRU", (steps, batch, inputs, hidden), False, False) == 2 * 6 * 21 * (5 + 7)
    assert points.work("GRU", (steps, batch, inputs, hidden), True, False) == 2 * 6 * 21 * (2 * 5 + 3 * 7)
    assert points.work("GRU", (steps, batch, inputs, hidden), True, True) == 2 * 6 * 21 * 3 * (5 + 7)


def test_the_tables() -> None:
    shown = [
        point("infer", {"torch.nn": 1.0, "torch.nn cells": 12.3}),
        point("infer", {"torch.nn": 4.0}),
        point("train", {"torch.nn": 2.0}) | {"gflops": 50.0},
        point("ragged", {"torch.nn": 1.5}),
        point("stream", {"onnxruntime": 0.5}, (1, 1, 8, 8)),
    ]
    lines = module("speed_report").markdown(report(shown, cold_ms=123.4, warm_ms=5.0)).splitlines()
    assert lines[:5] == [
        "| time / elman's | torch.nn | torch.nn cells |",
        "| --- | ---: | ---: |",
        "| GRU, inference | 2.00× (2) | 12.3× (1) |",
        "| GRU, inference | 2.00× (1) |  |",
        "| GRU, inference, ragged | 1.50× (1) |  |",
    ]
    assert "| 3, 2, 4, 5 | 2.00×, 25% |" in lines
    assert "| GRU, step, H 8 | 2.00 ms | 0.50× |" in lines
    assert any("takes 123 ms once" in line and "5.00 ms" in line for line in lines)
    assert "some CPU, avx2, 2 threads" in lines[-1]
    assert "jax" not in lines[-1]


def report(points: list[dict[str, object]], **cost: float) -> dict[str, object]:
    return {
        "machine": {"cpu": "some CPU", "vectors": "avx2"},
        "versions": {"torch": "2", "jax": None, "onnxruntime": "1"},
        "threads": 2,
        "GFLOP/s": {"float32": 200.0, "bfloat16": 440.0},
        "load": [0.1, 0.2],
        "points": points,
        "compile": cost,
    }


def test_a_table_from_a_file_needs_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "speed.json"
    file.write_text(json.dumps(report([point("train", {"torch.nn": 2.0})])))
    monkeypatch.setattr(sys, "argv", ["speed.py", "--table", str(file)])
    module("speed").main()
    assert "2.00× (1)" in capsys.readouterr().out


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["speed.py", "inference"])
    with pytest.raises(SystemExit):
        module("speed").main()
    assert (
        "infer, train, first, models, precision, ragged, stream, cells, heads, compile"
        in capsys.readouterr().err
    )
