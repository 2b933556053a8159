"""What is measured: a point is one cell, mode and shape, with all its peers."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

import elman
import speed_models
import speed_peers as peers
import speed_precision
from elman.engine.cpu import host
from speed_timing import Pairing, Side, compare, mode

Shape = tuple[int, int, int, int]  # T steps, B sequences, I inputs, H units
GRID: Final[tuple[Shape, ...]] = (
    (100, 1, 64, 64),
    (100, 16, 64, 64),
    (100, 32, 128, 128),
    (100, 32, 256, 256),
    (50, 64, 512, 512),
    (500, 16, 128, 128),
)
LOOPED: Final = GRID[:3]  # shapes at which a Python loop takes a reasonable time
PRECISE: Final = (*GRID[2:5], (50, 1, 512, 512))
STREAMED: Final = (64, 256, 512)
HEADED: Final = ((100, 32, 256, 256), (100, 32, 512, 512), (100, 1, 512, 512))
OWN: Final[Shape] = (100, 32, 128, 128)


@elman.cell(gates="i f g o", state="h c", weights="p_i p_f p_o")
def Peephole(x: Any, u: Any, s: Any, w: Any) -> Any:
    """A user's cell: an LSTM whose gates see the memory."""
    i, f = torch.sigmoid(x.i + u.i + w.p_i * s.c), torch.sigmoid(x.f + u.f + w.p_f * s.c)
    c = f * s.c + i * torch.tanh(x.g + u.g)
    return torch.sigmoid(x.o + u.o + w.p_o * c) * torch.tanh(c), c


@elman.cell(gates="f g o", state="h c")
def Coupled(x: Any, u: Any, s: Any) -> Any:
    """A user's cell: an LSTM whose forget gate is one minus its input gate."""
    f, o = torch.sigmoid(x.f + u.f), torch.sigmoid(x.o + u.o)
    c = f * s.c + (1 - f) * torch.tanh(x.g + u.g)
    return o * torch.tanh(c), c


@dataclass(frozen=True)
class Point:
    """One row: `run` is the name on the command line, `what` the cell."""

    run: str
    what: str
    mode: str
    shape: Shape
    ours_ms: float
    peers: dict[str, Pairing]
    gflops: float | None = None  # billions of additions and multiplications a second in elman's products


def _point(
    run: str, what: str, training: bool, shape: Shape, found: dict[str, Pairing], work: float = 0.0
) -> dict[str, Any]:
    own = statistics.median(pairing.ours_ms for pairing in found.values())
    gflops = 1e-6 * work / own if work else None
    return asdict(Point(run, what, "training" if training else "inference", shape, own, found, gflops))


def work(cell: str, shape: Shape, training: bool, inputs_gradient: bool) -> float:
    """Return the additions and multiplications of the products of a layer on whole sequences."""
    steps, batch, inputs, hidden = shape
    gates = {"LSTM": 4, "GRU": 3, "Elman": 1}[cell]
    by_input, by_state = (2.0 * steps * batch * gates * hidden * width for width in (inputs, hidden))
    # going back, each product has two: a gradient of its weights, and one of what it reads
    return by_input * (1 + training + (training and inputs_gradient)) + by_state * (3 if training else 1)


def infer(seconds: float, grid: tuple[Shape, ...] = GRID) -> Iterator[dict[str, Any]]:
    """Whole sequences of one length, without gradients."""
    yield from (_sequences("infer", cell, shape, False, seconds) for shape in grid for cell in peers.OURS)


def train(seconds: float, grid: tuple[Shape, ...] = GRID) -> Iterator[dict[str, Any]]:
    """Whole sequences of one length, forward and backward, with the gradient of the input: what every layer
    does that is behind an embedding or another layer."""
    yield from (_sequences("train", cell, shape, True, seconds) for shape in grid for cell in peers.OURS)


def first(seconds: float, grid: tuple[Shape, ...] = GRID) -> Iterator[dict[str, Any]]:
    """The same without the gradient of the input, as a first layer that reads data."""
    yield from (_sequences("first", cell, shape, True, seconds) for shape in grid for cell in peers.OURS)


def _sequences(run: str, cell: str, shape: Shape, training: bool, seconds: float) -> dict[str, Any]:
    module, x = _drawn(cell, shape)
    x.requires_grad_(run == "train")
    ours = Side("elman", peers.layer(peers.ours(cell, module), x, training))
    found = {}
    for name, call in _rivals(cell, module, x, training, shape in LOOPED).items():
        with mode(training):
            found[name] = compare(ours, Side(name, call), seconds)
    return _point(run, cell, training, shape, found, work(cell, shape, training, x.requires_grad))


def _rivals(
    cell: str, module: nn.Module, x: torch.Tensor, training: bool, small: bool
) -> dict[str, peers.Call]:
    rivals = {"torch.nn": peers.layer(module, x, training)}
    if small:
        rivals["torch.nn cells"] = peers.loop(cell, module, x, training)
    if peers.has_jax():
        rivals["jax.lax.scan"] = peers.scan(cell, module, x, training)
    if peers.has_onnx() and not training:
        rivals["onnxruntime"] = peers.session(cell, module, x)
    return rivals


def _drawn(cell: str, shape: Shape) -> tuple[nn.Module, torch.Tensor]:
    """A torch.nn module and inputs, the same in every run."""
    torch.manual_seed(0)
    return peers.MODULES[cell](*shape[2:]), torch.randn(shape[:3])


def models(seconds: float, sizes: speed_models.Sizes | None = None) -> Iterator[dict[str, Any]]:
    """Training steps of whole models, with the optimiser's."""
    for name, shape, found in speed_models.models(seconds, sizes):
        yield _point("models", name, True, shape, found)


def precision(seconds: float, grid: tuple[Shape, ...] = PRECISE) -> Iterator[dict[str, Any]]:
    """Lower precision beside our own float32; training with the gradient of the input."""
    for cell, training, shape, found in speed_precision.precision(seconds, grid):
        yield _point("precision", cell, training, shape, found, work(cell, shape, training, training))


def ragged(seconds: float, grid: tuple[Shape, ...] = GRID) -> Iterator[dict[str, Any]]:
    """Batches of lengths uniform in 1..T, in no order."""
    for shape in grid:
        if shape[1] > 1:
            for cell in peers.OURS:
                yield from (_ragged(cell, shape, training, seconds) for training in (False, True))


def _ragged(cell: str, shape: Shape, training: bool, seconds: float) -> dict[str, Any]:
    module, x = _drawn(cell, shape)
    lengths = torch.randint(1, shape[0] + 1, (shape[1],))
    lengths[0] = shape[0]  # so that outputs have the same shape
    ours = Side("elman", peers.layer(peers.ours(cell, module), x, training, lengths=lengths))
    with mode(training):
        rival = Side("torch.nn", peers.packed(module, x, training, lengths))
        return _point("ragged", cell, training, shape, {"torch.nn": compare(ours, rival, seconds)})


def stream(seconds: float, sizes: tuple[int, ...] = STREAMED) -> Iterator[dict[str, Any]]:
    """One step of one sequence after the other, each from the state of the last one."""
    for size in sizes:
        shape = (1, 1, size, size)
        module, x = _drawn("LSTM", shape)
        found = {}
        with mode(False):
            for name, rival in _steppers(module, x[0]).items():
                # elman starts anew with each peer, so that both are at the same step of the stream
                ours = Side("elman", _pushed(peers.ours("LSTM", module).stream(), x[0]))
                found[name] = compare(ours, Side(name, rival), seconds)
        yield _point("stream", "LSTM", False, shape, found)


def _pushed(stream: Any, x: torch.Tensor) -> peers.Call:
    array = x.numpy()
    return lambda: stream.push(array)


def _steppers(module: nn.Module, x: torch.Tensor) -> dict[str, peers.Call]:
    rivals = {"torch.nn cells": peers.stepped(module, x)}
    return rivals | ({"onnxruntime": peers.stepping(module, x)} if peers.has_onnx() else {})


def cells(seconds: float, shape: Shape = OWN) -> Iterator[dict[str, Any]]:
    """A user's cells against elman.LSTM, gate for gate, and against their own eager loops."""
    for cell in (Peephole, Coupled):
        for training in (False, True):
            yield _own(cell, shape, training, seconds)


def _own(cell: Any, shape: Shape, training: bool, seconds: float) -> dict[str, Any]:
    module, x = _drawn("LSTM", shape)
    layer = elman.Recurrent(cell, *shape[2:])
    eager = elman.Recurrent(cell, *shape[2:], engine="eager")
    eager.load_state_dict(layer.state_dict())
    ours = Side(cell.name, peers.layer(layer, x, training))
    lstm = Side("elman.LSTM, a gate", peers.layer(peers.ours("LSTM", module), x, training))
    loop = Side("elman, engine eager", peers.layer(eager, x, training))
    with mode(training):
        found = {lstm.name: compare(ours, lstm, seconds, weight=len(cell.gates) / 4, same=False)}
        found[loop.name] = compare(ours, loop, seconds)
    return _point("cells", cell.name, training, shape, found)


def heads(seconds: float, grid: tuple[Shape, ...] = HEADED, count: int = 4) -> Iterator[dict[str, Any]]:
    """An LSTM whose recurrent matrix has a block for each head beside one that has the whole matrix; training
    with the gradient of the input."""
    for shape in grid:
        for training in (False, True):
            module, x = _drawn("LSTM", shape)
            x.requires_grad_(training)
            layer = elman.LSTM(*shape[2:], heads=count)
            ours = Side("heads", peers.layer(layer, x, training))
            whole = Side("elman.LSTM", peers.layer(peers.ours("LSTM", module), x, training))
            with mode(training):
                found = {whole.name: compare(ours, whole, seconds, same=False)}
            yield _point("heads", f"LSTM, {count} heads", training, shape, found)


def compile(rounds: int = 3) -> dict[str, float]:
    """Measure what the first forward and backward pass of an LSTM costs beyond the second, in fresh processes
    with an empty and with a filled cache. Medians of several rounds; {} without a compiler.
    """
    if isinstance(host.host(), str):
        return {}
    found = [_round() for _ in range(rounds)]
    cold, warm = (statistics.median(column) for column in zip(*found, strict=True))
    return {"cold_ms": cold, "warm_ms": warm}


def _round() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        cold = _probed(folder)
        if not any(Path(folder).rglob("*.o")):
            raise RuntimeError("the compiled engine has left nothing in its cache")
        return cold, _probed(folder)


def _probed(cache: str) -> float:
    script = [sys.executable, str(Path(__file__).with_name("speed_probe.py")), str(torch.get_num_threads())]
    environment = os.environ | {"ELMAN_CACHE": cache}
    done = subprocess.run(script, env=environment, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


RUNS: Final[dict[str, Callable[[float], Iterator[dict[str, Any]]]]] = {
    "infer": infer,
    "train": train,
    "first": first,
    "models": models,
    "precision": precision,
    "ragged": ragged,
    "stream": stream,
    "cells": cells,
    "heads": heads,
}
