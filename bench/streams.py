"""Streams and pools: how long a step takes, and how many streams a machine can serve.

    python bench/streams.py                           # all of: step pool generate texts
    python bench/streams.py pool --seconds 5 --threads 2

`step`: an LSTM's step by `layer.stream`, beside torch.nn.LSTMCell and onnxruntime in turns. `pool`: ticks
of a pool of 64-unit LSTMs, each of which takes 100 steps a second. `generate`: characters a second of one
stream of 512 LSTM units, and which part of the time its kernel takes. `texts`: characters a second of many
texts that one pool writes, and of one text.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

import elman
import speed_peers as peers
from elman.tasks.generate.steps import LanguageSteps, SingleSteps
from speed_timing import Side, compare

UNITS: Final = 64
TICK_SECONDS: Final = 0.01  # 100 steps a second
STREAMS: Final = (1_000, 5_000, 10_000)
TEXTS: Final = 200
LETTERS: Final = "".join(chr(code) for code in range(97, 123))


def main() -> None:
    """Measure what is named, and print a line for each result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"what to measure: {', '.join(RUNS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each result")
    parser.add_argument("--threads", type=int, help="of every library (default: as torch chooses)")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in RUNS]:
        parser.error(f"there is no {unknown[0]!r}: there are {', '.join(RUNS)}")
    if given.threads:
        torch.set_num_threads(given.threads)
    with torch.no_grad():
        for name in given.names or RUNS:
            for line in RUNS[name](given.seconds):
                print(f"{name}: {line}", flush=True)


def step(seconds: float) -> Iterator[str]:
    for units in (64, 256, 512):
        module, x = torch.nn.LSTM(units, units), torch.randn(1, units)
        stream, array = peers.ours("LSTM", module).stream(), x.numpy()
        ours = Side("elman", lambda stream=stream, array=array: stream.push(array))
        rivals = {"torch.nn.LSTMCell": _cell(module, x)}
        if peers.has_onnx():
            rivals["onnxruntime"] = peers.stepping(module, x)
        for name, call in rivals.items():
            found = compare(ours, Side(name, call), seconds, same=False)
            yield f"H {units}: {1e3 * found.ours_ms:.1f} µs, {name} {found.ratio:.2f}× as long"


def _cell(module: torch.nn.LSTM, x: torch.Tensor) -> Callable[[], Any]:
    cell = torch.nn.LSTMCell(module.input_size, module.hidden_size)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()})
    state: Any = None

    def call() -> Any:
        nonlocal state
        state = cell(x, state)
        return state

    return call


def pool(seconds: float) -> Iterator[str]:
    layer = elman.LSTM(UNITS, UNITS).eval()
    for count in STREAMS:
        streams, x = layer.pool(count), torch.randn(count, UNITS)
        slots = np.array([streams.open() for _ in range(count)])
        call = partial(streams.push, slots, x)
        p50, p99 = _quantiles(_times(call, seconds))
        used, _ = _quantiles(_times(call, seconds, time.process_time))
        yield (
            f"{count} streams at {1 / TICK_SECONDS:.0f} steps a second: {used / TICK_SECONDS:.0%} of a core"
            f"; a tick takes {1e3 * p50:.1f} ms (p50), {1e3 * p99:.1f} ms (p99)"
        )


def generate(seconds: float) -> Iterator[str]:
    model = _language_model(512)
    pieces = model.generate("", 10**9, seed=0)
    p50, _ = _quantiles(_times(lambda: next(pieces), seconds))
    single = SingleSteps(LanguageSteps(model.network))
    assert single.kernel is not None
    kernel, _ = _quantiles(_times(lambda: single.kernel.look(5), seconds))
    yield f"{1 / p50:.0f} characters a second; the kernel takes {kernel / p50:.0%} of {1e6 * p50:.0f} µs"


def texts(seconds: float) -> Iterator[str]:
    model = _language_model(128)
    sides = []
    for count in (TEXTS, 1):
        streams = model.pool(count)
        for seed in range(count):
            streams.write(streams.open(), length=10**9, seed=seed)
        sides.append(Side(f"{count}", streams.pieces))
    found = compare(*sides, seconds, weight=TEXTS, same=False)
    rate = 1e3 * TEXTS / found.ours_ms
    yield (
        f"{TEXTS} in a pool of 128 units: {rate:.0f} characters a second, "
        f"{found.ratio:.2f} times as many as one by one; a tick takes {found.ours_ms:.2f} ms"
    )


def _language_model(units: int) -> elman.LanguageModel:
    """Return a model of letters whose weights cost as much as trained ones."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "letters.txt")
        file.write_text(f"{LETTERS} {LETTERS.upper()}.\n" * 100)
        options: dict[str, Any] = {"tokenizer": "character", "epochs": 1, "keep_baseline": False}
        with torch.enable_grad():
            return elman.LanguageModel.fit(file, hidden=units, progress=False, **options)


def _times(
    call: Callable[[], Any], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    for _ in range(20):
        call()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 100:
        begin = clock()
        call()
        times.append(clock() - begin)
    return times


def _quantiles(times: list[float]) -> tuple[float, float]:
    hundredths = statistics.quantiles(times, n=100)
    return hundredths[49], hundredths[98]


RUNS: Final[dict[str, Callable[[float], Iterator[str]]]] = {
    "step": step,
    "pool": pool,
    "generate": generate,
    "texts": texts,
}


if __name__ == "__main__":
    main()
