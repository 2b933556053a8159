"""Kernels for a GPU: checked against the eager engine there, then timed beside it and PyTorch's own layers.

    python bench/gpu.py                 # needs a CUDA device and triton; about 10 minutes
    python bench/gpu.py --json gpu.json --seeds 5

It has not been run yet: no GPU was at hand when the kernels were written. Times are of forward and backward
pass together, by CUDA events after a warm-up: the median over seeds of the median over calls.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

import elman
from elman.cells import CELLS

# T steps, B sequences, H units, of as many inputs.
SIZES: Final = ((1024, 16, 768), (512, 32, 256), (512, 32, 512), (256, 128, 1024), (2048, 8, 64))
CHECKED: Final = ((9, 20, 37), (33, 17, 64), (33, 40, 128), (17, 3, 300), (16, 130, 768))
FIRST: Final = (
    *("elman", "elman-relu", "lstm", "gru", "peephole-lstm", "cifg", "mgu", "ugrnn", "indrnn", "mingru"),
    *("minlstm", "slstm"),
)
WITHIN: Final = 1e-4  # of the largest value, in float32
DEVICE = "cuda"
WARM_UP, CALLS, EAGER_CALLS = 5, 20, 2
KINDS: Final = {"float32 by TF32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> int:
    """Check, then measure; return 1 without a GPU or with a wrong number."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured there")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("bench/gpu.py needs a CUDA device, and PyTorch sees none", file=sys.stderr)
        return 1
    wrong = [line for line in check() if line]
    print("\n".join(wrong) or "every kernel agrees with the eager engine")
    if wrong:
        return 1
    rows = []
    for row in measure(given.seeds):
        print("  ".join(f"{name} {value}" for name, value in row.items()), flush=True)
        rows.append(row)
    if given.json:
        about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "rows": rows}
        given.json.write_text(json.dumps(about, indent=1) + "\n")
    return 0


def check() -> Iterator[str]:
    """Yield a line for each cell, size and options, empty where outputs and gradients agree."""
    torch.set_float32_matmul_precision("highest")
    for name in FIRST:
        for steps, batch, hidden in CHECKED:
            for options in ({}, {"layer_norm": True, "bidirectional": True}):
                off = difference(name, steps, batch, hidden, options)
                yield f"{name} {(steps, batch, hidden)} {options}: off by {off:.1e}" if off > WITHIN else ""


def difference(name: str, steps: int, batch: int, hidden: int, options: dict[str, Any]) -> float:
    """Return the largest difference from the eager engine, relative to a tensor's largest value; NaN is 1."""
    torch.manual_seed(0)
    layer = elman.Recurrent(CELLS[name], 24, hidden, **options, device=DEVICE, engine="compiled")
    x = torch.randn(steps, batch, 24, device=DEVICE, requires_grad=True)
    call: dict[str, Any] = {}
    if options:
        call = {"lengths": torch.randint(0, steps + 1, (batch,), device=DEVICE)}
        call["reset"] = torch.rand(steps, batch, device=DEVICE) < 0.1
    results = []
    for engine in ("compiled", "eager"):
        layer.engine = engine
        output, *_ = layer(x, **call)
        weights = torch.linspace(-1, 1, output.numel(), device=DEVICE).view(output.shape)
        results.append([output, *torch.autograd.grad((output * weights).sum(), [x, *layer.parameters()])])
    pairs = zip(*results, strict=True)
    off = [float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1e-3)) for a, b in pairs]
    return max(1.0 if value != value else value for value in off)


def measure(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row of milliseconds and ratios for every size, precision and pair of rivals."""
    torch.set_float32_matmul_precision("high")
    for size in SIZES:
        for kind, dtype in KINDS.items():
            for title, ours, theirs, calls in rivals(size, dtype):
                times = [
                    [timed(run, seed, n) for seed in range(seeds)]
                    for run, n in ((ours, CALLS), (theirs, calls))
                ]
                mine, other = (statistics.median(part) for part in times)
                row = {"what": title, "T, B, H": size, "precision": kind}
                yield row | {
                    "elman ms": round(mine, 3),
                    "peer ms": round(other, 3),
                    "ratio": round(other / mine, 2),
                }


Run = Callable[[int], Callable[[], None]]


def rivals(size: tuple[int, int, int], dtype: torch.dtype) -> Iterator[tuple[str, Run, Run, int]]:
    """Yield a title, elman's side, the other side and how often to call that."""
    steps, batch, hidden = size
    ragged = {"lengths": [max(1, steps * (k + 1) // batch) for k in range(batch)]}
    reset = {"reset": torch.rand(steps, batch, device=DEVICE) < 4 / steps}

    def layer(name: str, engine: Any, call: dict[str, Any] | None = None) -> Run:
        one = elman.Recurrent(CELLS[name], hidden, hidden, engine=engine, device=DEVICE, dtype=dtype)
        return lambda seed: training(one, inputs(size, dtype, seed), call or {})

    def theirs(kind: Any) -> Run:
        one = kind(hidden, hidden, device=DEVICE, dtype=dtype)
        return lambda seed: training(one, inputs(size, dtype, seed), {})

    yield "MGU, an own cell, and its eager loop", layer("mgu", "compiled"), layer("mgu", "eager"), EAGER_CALLS
    yield "GRU and nn.GRU", layer("gru", "compiled"), theirs(nn.GRU), CALLS
    yield "LSTM and nn.LSTM", layer("lstm", "compiled"), theirs(nn.LSTM), CALLS
    yield (
        "LSTM, ragged, and cuDNN's packed",
        layer("lstm", "compiled", ragged),
        layer("lstm", "vendor", ragged),
        CALLS,
    )
    yield "LSTM with resets and nn.LSTM without", layer("lstm", "compiled", reset), theirs(nn.LSTM), CALLS


def inputs(size: tuple[int, int, int], dtype: torch.dtype, seed: int) -> Tensor:
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
