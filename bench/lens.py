"""What it costs to note the gradient of every state: an LSTM at (T, B, I, H) = (100, 32, 128, 128).

    python bench/lens.py

Prints the medians of turns, in CPU milliseconds of one thread, and their ratio.
"""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

import elman
from elman import lens

TURNS = 30


def main() -> None:
    torch.set_num_threads(1)
    layer, x = elman.LSTM(128, 128), torch.randn(100, 32, 128)
    parameters = list(layer.parameters())

    def loss(result: Any) -> torch.Tensor:
        value: torch.Tensor = result[0].square().sum()
        return value

    calls: dict[str, Callable[[], Any]] = {
        "plain": lambda: torch.autograd.grad(loss(layer(x)), parameters),
        "noted": lambda: lens.gradient_flow(layer, x, loss),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, run in calls.items():
            started = time.process_time()
            run()
            times[name].append(1e3 * (time.process_time() - started))
    medians = {name: statistics.median(each) for name, each in times.items()}
    print(json.dumps(medians | {"ratio": medians["noted"] / medians["plain"]}))


if __name__ == "__main__":
    main()
