"""Kernels for a GPU beside the eager engine and PyTorch's own layers: forward and backward pass together.

    python bench/gpu.py                        # needs a CUDA device and triton; some minutes
    python bench/gpu.py --seeds 5 --json gpu.json
    python bench/gpu.py --choose               # and let elman choose by what is faster here
    python bench/gpu_check.py                  # first: are the numbers right?

Times are by CUDA events after a warm-up: the median over seeds of the median over calls. PyTorch's layers run
as PyTorch's settings have them: in float32 cuDNN may use TF32, which elman's kernels do where
`torch.set_float32_matmul_precision("high")` allows it.
"""

import argparse
import importlib.metadata
import itertools
import json
import multiprocessing
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

import elman
from elman.cells import CELLS
from elman.engine.gpu import measured

# T steps, B sequences, H units, of as many inputs.
SIZES: Final = ((1024, 16, 768), (512, 32, 256), (512, 32, 512), (256, 128, 1024), (2048, 8, 64))
DEVICE: Final = "cuda"
HEAD_UNITS: Final = 64
WARM_UP, CALLS = 2, 8
KINDS: Final = {
    "float32": (torch.float32, "highest"),
    "TF32": (torch.float32, "high"),
    "bfloat16": (torch.bfloat16, "high"),
    "float16": (torch.float16, "high"),
}
PEERS: Final = {"GRU and nn.GRU": "GRU", "LSTM and nn.LSTM": "LSTM", "RNN and nn.RNN": "Elman"}
Size = tuple[int, int, int]
Run = Callable[[int], Callable[[], None]]


def main() -> int:
    """Measure; return 1 without a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=4, help="processes that compile at once; 0: none")
    parser.add_argument(
        "--choose", action="store_true", help=f"write {measured.FILE.name}, by which elman chooses"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("bench/gpu.py needs a CUDA device, and PyTorch sees none", file=sys.stderr)
        return 1
    if given.jobs:
        with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
            pool.starmap(compile_for, itertools.product(SIZES, KINDS), chunksize=1)
    rows = []
    for row in measure(given.seeds):
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        rows.append(row)
        if given.json:
            about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
            given.json.write_text(json.dumps(about, indent=1) + "\n")
    if given.choose:
        measured.FILE.write_text(choices(rows))
    return 0


def choices(rows: list[dict[str, Any]]) -> str:
    """Return the table of cells that PyTorch has, too: units, sequences and ratio by cell and precision."""
    ratios: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        if row["what"] in PEERS:
            (_, batch, hidden), cell = row["T, B, H"], PEERS[row["what"]]
            table = ratios.setdefault(cell, {}).setdefault(row["precision"], [])
            table.append([hidden, batch, row["ratio"]])
    about = {
        "device": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "processors": torch.cuda.get_device_properties().multi_processor_count,
        "torch": torch.__version__,
        "triton": importlib.metadata.version("triton"),
        "rows": "units, sequences, PyTorch's time over elman's, forward and backward",
        "ratios": ratios,
    }
    return json.dumps(about, indent=1) + "\n"


def compile_for(size: Size, kind: str) -> None:
    """Let Triton cache these kernels, with few steps."""
    dtype, precision = KINDS[kind]
    torch.set_float32_matmul_precision(precision)
    for _, ours, _ in rivals((2, *size[1:]), dtype):
        ours(0)()


def measure(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row of milliseconds and ratios for every size, precision and pair of rivals."""
    for size, (kind, (dtype, precision)) in itertools.product(SIZES, KINDS.items()):
        torch.set_float32_matmul_precision(precision)
        for title, ours, theirs in rivals(size, dtype):
            mine = statistics.median(timed(ours, seed, CALLS) for seed in range(seeds))
            slow = title.endswith("loop")  # takes a second
            other = statistics.median(
                timed(theirs, s, 1 if slow else CALLS) for s in range(1 if slow else seeds)
            )
            yield {
                "what": title,
                "T, B, H": size,
                "precision": kind,
                "elman ms": round(mine, 3),
                "peer ms": round(other, 3),
                "ratio": round(other / mine, 2),
            }


def rivals(size: Size, dtype: torch.dtype) -> Iterator[tuple[str, Run, Run]]:
    """Yield a title, elman's side and the other side."""
    steps, batch, hidden = size
    ragged = {"lengths": [max(1, steps * (k + 1) // batch) for k in range(batch)]}
    reset = {"reset": torch.rand(steps, batch, device=DEVICE) < 4 / steps}

    def layer(name: str, engine: Any, call: dict[str, Any] | None = None, heads: int = 1) -> Run:
        options: dict[str, Any] = {"engine": engine, "heads": heads, "device": DEVICE, "dtype": dtype}
        one = elman.Recurrent(CELLS[name], hidden, hidden, **options)
        return lambda seed: training(one, inputs(size, dtype, seed), call or {})

    def theirs(kind: Any) -> Run:
        one = kind(hidden, hidden, device=DEVICE, dtype=dtype)
        one.flatten_parameters()
        return lambda seed: training(one, inputs(size, dtype, seed), {})

    yield "MGU, an own cell, and its eager loop", layer("mgu", "compiled"), layer("mgu", "eager")
    yield "GRU and nn.GRU", layer("gru", "compiled"), theirs(nn.GRU)
    yield "LSTM and nn.LSTM", layer("lstm", "compiled"), theirs(nn.LSTM)
    yield "RNN and nn.RNN", layer("elman", "compiled"), theirs(nn.RNN)
    yield (
        "LSTM, ragged, and cuDNN's packed",
        layer("lstm", "compiled", ragged),
        layer("lstm", "vendor", ragged),
    )
    yield "LSTM with resets and nn.LSTM without", layer("lstm", "compiled", reset), theirs(nn.LSTM)
    if hidden > HEAD_UNITS:
        parts = layer("lstm", "compiled", heads=hidden // HEAD_UNITS)
        yield f"LSTM in heads of {HEAD_UNITS} units and in one", parts, layer("lstm", "compiled")


def inputs(size: Size, dtype: torch.dtype, seed: int) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(*size, device=DEVICE, dtype=dtype, requires_grad=True)


def training(layer: nn.Module, x: Tensor, call: dict[str, Any]) -> Callable[[], None]:
    """Return a function that goes forward and backward once."""
    upstream = torch.randn_like(layer(x, **call)[0])

    def run() -> None:
        layer.zero_grad(set_to_none=True)
        x.grad = None
        layer(x, **call)[0].backward(upstream)

    return run


def timed(run: Run, seed: int, calls: int) -> float:
    """Return the median milliseconds of a call."""
    once = run(seed)
    for _ in range(min(WARM_UP, calls)):
        once()
    events = [
        (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(calls)
    ]
    for begin, end in events:
        begin.record()
        once()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in events)


if __name__ == "__main__":
    sys.exit(main())
