"""What it costs to see the gradient of every state: an LSTM at (T, B, I, H) = (100, 32, 128, 128).

    python bench/lens.py

Forward and backward passes: plain; with the gradients noted by the kernel; and as one has to do it without,
in loops whose states have hooks: over torch.nn.LSTMCell, and over a cell of one's own, written in PyTorch.
Prints the medians of turns, in CPU milliseconds of one thread, and the ratios to the plain pass.
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
State = tuple[torch.Tensor, torch.Tensor]


def main() -> None:
    torch.set_num_threads(1)
    layer, x = elman.LSTM(128, 128), torch.randn(100, 32, 128)
    parameters = list(layer.parameters())

    def loss(result: Any) -> torch.Tensor:
        value: torch.Tensor = result[0].square().sum()
        return value

    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})

    def own(step: torch.Tensor, state: State) -> State:
        h, c = state
        sums = step @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
        i, f, g, o = sums.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def hooked(take: Callable[[torch.Tensor, State], State]) -> list[torch.Tensor]:
        state = torch.zeros(32, 128), torch.zeros(32, 128)
        outputs, norms = [], list[torch.Tensor]()
        for step in x:
            state = take(step, state)
            for s in state:
                s.register_hook(lambda gradient: norms.append(gradient.norm(dim=1)))
            outputs.append(state[0])
        torch.autograd.grad(loss((torch.stack(outputs),)), list(cell.parameters()))
        return norms

    calls: dict[str, Callable[[], Any]] = {
        "plain": lambda: torch.autograd.grad(loss(layer(x)), parameters),
        "noted": lambda: lens.gradient_flow(layer, x, loss),
        "loop": lambda: hooked(cell),
        "own cell": lambda: hooked(own),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, run in calls.items():
            started = time.process_time()
            run()
            times[name].append(1e3 * (time.process_time() - started))
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratios = {f"{name} / plain": medians[name] / medians["plain"] for name in [*calls][1:]}
    print(json.dumps(medians | ratios))


if __name__ == "__main__":
    main()
