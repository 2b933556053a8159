"""Are a GPU's kernels right? Every cell and random shapes beside the eager engine, in float32 without TF32.

    python bench/gpu_check.py                    # 12 cells, 10,000 random calls; needs a CUDA device, triton
    python bench/gpu_check.py --jobs 16          # in so many processes, mostly for compiling
    python bench/gpu_check.py --calls 0 --few    # little enough for compute-sanitizer

Then: lower precisions near float32, and the same bits twice, in a CUDA graph, on another stream, and in a
compiled model.
"""

import argparse
import copy
import itertools
import multiprocessing
import random
import sys
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor

import elman
from elman.cells import CELLS
from gpu import DEVICE, KINDS

CHECKED: Final = ((9, 20, 37), (17, 19, 130), (5, 300, 200))  # T steps, B sequences, H units
FIRST: Final = (
    *("elman", "elman-relu", "lstm", "gru", "peephole-lstm", "cifg", "mgu", "ugrnn", "indrnn", "mingru"),
    *("minlstm", "slstm"),
)
OPTIONS: Final[tuple[dict[str, Any], ...]] = ({}, {"bidirectional": True}, {"layer_norm": True})
RANDOM: Final = ("lstm", "gru", "mgu", "indrnn")
RANDOM_UNITS: Final = (1, 33, 100, 256, 513)
ROUNDED: Final = (("lstm", "gru"), (64, 512, 1024), (16, 128))  # cells, units, rows
WITHIN: Final = 1e-4  # of the largest value
NEAR: Final = {"float32": WITHIN, "TF32": 3e-3, "float16": 1e-2, "bfloat16": 5e-2}


def main() -> int:
    """Print what is wrong and what was checked; return 1 if anything is, or without a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=10_000, help="random calls")
    parser.add_argument("--jobs", type=int, default=4, help="processes at once")
    parser.add_argument("--few", action="store_true", help="two cells, small sizes")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("bench/gpu_check.py needs a CUDA device, and PyTorch sees none", file=sys.stderr)
        return 1
    jobs = [(check_cell, (name, given.few)) for name in (("lstm", "gru") if given.few else FIRST)]
    units = [(name, hidden) for name in RANDOM for hidden in RANDOM_UNITS] if given.calls else []
    jobs += [(check_random, (*pair, -(-given.calls // len(units)))) for pair in units]
    if given.few:
        counts = [_run(job) for job in jobs]
    else:
        with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
            counts = list(pool.imap_unordered(_run, jobs))
    wrong = sum(bad for _, bad, _ in counts)
    print(
        f"{sum(n for n, _, _ in counts)} calls beside eager, {wrong} wrong, largest difference "
        f"{max(worst for *_, worst in counts):.1e}"
    )
    for name, holds in () if given.few else (*rounded(), *same_bits()):
        print(name, "right" if holds else "WRONG")
        wrong += not holds
    return 1 if wrong else 0


def _run(job: tuple[Any, tuple[Any, ...]]) -> tuple[int, int, float]:
    torch.set_float32_matmul_precision("highest")
    return job[0](*job[1])  # type: ignore[no-any-return]


def check_cell(name: str, few: bool) -> tuple[int, int, float]:
    """Check all options and sizes of a cell; return calls, wrong ones and the largest difference."""
    sizes = ((4, 5, 20), (4, 17, 130)) if few else CHECKED
    found = []
    for size in sizes:
        for options in options_of(name, size[2]):
            layer = elman.Recurrent(CELLS[name], 24, size[2], **options, device=DEVICE, engine="compiled")
            found.append(_told(difference(layer, *size, bool(options)), name, size, options))
    return len(found), sum(off > WITHIN for off in found), max(found)


def options_of(name: str, hidden: int) -> Iterator[dict[str, Any]]:
    """Yield options of a layer; few heads are too large for a resident program, many are not."""
    yield from OPTIONS
    if CELLS[name].recurrent:
        yield from ({"heads": heads} for heads in (2, 10) if hidden % heads == 0)


def check_random(name: str, hidden: int, calls: int) -> tuple[int, int, float]:
    """Check a cell of some units with random steps, sequences, lengths and resets."""
    rng = random.Random(f"{name} {hidden}")
    layers = [
        elman.Recurrent(CELLS[name], 8, hidden, device=DEVICE, engine="compiled", bidirectional=both)
        for both in (False, True)
    ]
    found = []
    for _ in range(calls):
        size = (rng.randint(1, 7), rng.choice((1, 2, 15, 16, 17, rng.randint(1, 80))), hidden)
        both = rng.random() < 0.5
        found.append(_told(difference(layers[both], *size, both, rng.randrange(1 << 30)), name, size, both))
    return len(found), sum(off > WITHIN for off in found), max(found)


def _told(off: float, *about: Any) -> float:
    if off > WITHIN:
        print(*about, f"off by {off:.1e}", flush=True)
    return off


def difference(
    layer: elman.Recurrent, steps: int, batch: int, hidden: int, awkward: bool, seed: int = 0
) -> float:
    """Return the largest difference from the eager engine, relative to a tensor's largest value; NaN is 1."""
    torch.manual_seed(seed)
    x = torch.randn(steps, batch, layer.input_size, device=DEVICE, requires_grad=True)
    call: dict[str, Any] = {}
    if awkward:
        call = {"lengths": torch.randint(0, steps + 1, (batch,), device=DEVICE)}
        call["reset"] = torch.rand(steps, batch, device=DEVICE) < 0.1
    ours, theirs = (results(layer, engine, x, call) for engine in ("compiled", "eager"))
    pairs = zip(ours, theirs, strict=True)
    off = torch.stack([(a - b).abs().max() / b.abs().max().clamp(min=1e-3) for a, b in pairs if b.numel()])
    return float(off.max()) if bool(off.isfinite().all()) else 1.0


def results(layer: elman.Recurrent, engine: Any, x: Tensor, call: dict[str, Any]) -> list[Tensor]:
    """Return output and gradients."""
    layer.engine = engine
    output, *_ = layer(x, **call)
    weights = torch.linspace(-1, 1, output.numel(), device=DEVICE).view(output.shape)
    leaves = [x, *layer.parameters()]
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), leaves)]


def rounded() -> Iterator[tuple[str, bool]]:
    """Yield precisions and sizes, and whether results are near those of the eager engine in float32."""
    for kind, (dtype, precision) in KINDS.items():
        for name, hidden, batch in itertools.product(*ROUNDED):
            torch.manual_seed(0)
            exact = elman.Recurrent(CELLS[name], 32, hidden, device=DEVICE)
            layer = copy.deepcopy(exact).to(dtype)
            x = torch.randn(12, batch, 32, device=DEVICE, requires_grad=True)
            torch.set_float32_matmul_precision("highest")
            wanted = results(exact, "eager", x, {})
            torch.set_float32_matmul_precision(precision)
            found = results(layer, "compiled", x.detach().to(dtype).requires_grad_(), {})
            pairs = zip(found, wanted, strict=True)
            off = max(float((a.float() - b).abs().max() / b.abs().max()) for a, b in pairs)
            yield f"{name} in {kind}, {hidden} units, {batch} rows: off by {off:.1e}", off < NEAR[kind]
    torch.set_float32_matmul_precision("highest")


def same_bits() -> Iterator[tuple[str, bool]]:
    """Yield what must not change a single bit, and whether it didn't."""
    for hidden in (64, 512):
        layer = elman.LSTM(32, hidden, device=DEVICE, engine="compiled")
        x = torch.randn(20, 24, 32, device=DEVICE, requires_grad=True)
        first = results(layer, "compiled", x, {})

        def equal(other: list[Tensor], first: list[Tensor] = first) -> bool:
            return all(torch.equal(a, b) for a, b in zip(first, other, strict=True))

        yield f"{hidden} units, again", equal(results(layer, "compiled", x, {}))
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            found = results(layer, "compiled", x, {})
        torch.cuda.current_stream().wait_stream(stream)
        yield f"{hidden} units, on another stream", equal(found)
        yield f"{hidden} units, in a CUDA graph", equal(in_graph(layer, x))
        compiled = torch.compile(layer, fullgraph=True)
        output = compiled(x)[0]
        yield f"{hidden} units, in torch.compile", torch.equal(output, first[0])


def in_graph(layer: elman.Recurrent, x: Tensor) -> list[Tensor]:
    """Return output and gradients of a captured training step that is replayed on other numbers and back."""
    with torch.cuda.stream(torch.cuda.Stream()):
        results(layer, "compiled", x, {})
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = results(layer, "compiled", x, {})
    kept = x.detach().clone()
    for value in (torch.randn_like(kept), kept):
        with torch.no_grad():
            x.copy_(value)
        graph.replay()
    torch.cuda.synchronize()
    return found


if __name__ == "__main__":
    sys.exit(main())
