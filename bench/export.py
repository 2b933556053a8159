"""One step of a stream in onnxruntime, as `elman.export_onnx` writes it, beside onnxruntime's own LSTM
operator and elman's `layer.stream`: calls in turns, in one process, on one thread.

    python bench/export.py [SECONDS]

Prints the table of docs/benchmarks.md: microseconds of an exported step, and the median over pairs of what
the others take in units of it, so that more is better for the exported step. SECONDS is the time of each
pairing.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

import elman
import speed_peers as peers
from elman.cells import Cell
from speed_timing import Pairing, Side, compare

CELLS: dict[str, Any] = {"LSTM": "lstm", "GRU": "gru", "MGU": "mgu", "a cell of one's own": None}
SIZES = ((64, 1), (256, 1), (128, 32))  # hidden units and inputs, sequences
HEADING = (
    "| cell | H, B | exported step | onnxruntime's LSTM operator | `layer.stream` |\n|---|---|---:|---:|---:|"
)


def own() -> Cell:
    @elman.cell(gates="f n", state="h")
    def Own(x, u, s):  # type: ignore[no-untyped-def]
        keep = torch.sigmoid(x.f + u.f)
        return keep * s.h + (1 - keep) * nn.functional.silu(x.n + u.n)

    return Own


def exported(layer: elman.Recurrent, x: np.ndarray[Any, Any]) -> Callable[[], Any]:
    """Return a call that takes one step in onnxruntime, from the state of the last."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "step.onnx"
        elman.export_onnx(layer, path, step=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [f"state_in_l0_{name}" for name in layer.cell.state]
    feeds = {"input": x} | dict.fromkeys(names, np.zeros((len(x), layer.hidden_size), np.float32))

    def call() -> Any:
        output, *states = session.run(None, feeds)
        feeds.update(zip(names, states, strict=True))
        return output

    return call


def measured(seconds: float) -> Iterator[tuple[str, int, int, Pairing, Pairing]]:
    """Yield cell, hidden size and sequences, and the exported step beside the operator and the stream."""
    for name, cell in CELLS.items():
        for hidden, batch in SIZES:
            torch.manual_seed(0)
            layer = elman.Recurrent(cell or own(), hidden, hidden).eval()
            x = torch.randn(batch, hidden)
            step = exported(layer, x.numpy())
            operator = peers.stepping(nn.LSTM(hidden, hidden), x)
            push = partial(layer.stream(batch).push, x.numpy())
            rivals = Side("LSTM operator", operator), Side("stream", push)
            found = [compare(Side("exported", step), one, seconds, same=False) for one in rivals]
            yield name, hidden, batch, found[0], found[1]


def main(seconds: float) -> None:
    torch.set_num_threads(1)
    print(HEADING)
    for name, hidden, batch, operator, stream in measured(seconds):
        ratios = f"{operator.ratio:.2f}× | {stream.ratio:.2f}×"
        print(f"| {name} | {hidden}, {batch} | {1000 * stream.ours_ms:.0f} µs | {ratios} |", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 2.0)
