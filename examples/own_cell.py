"""A recurrence of your own: its equations, what they compile to, and its speed beside the plain loop.

    python examples/own_cell.py

The minimal gated unit (Zhou et al., arXiv:1603.09420) learns the adding problem: two numbers of a sequence
are marked, and the answer is their sum. Always answering 1 has a squared error of 0.167.
"""

import time

import torch

import elman


@elman.cell(gates="f n", state="h")
def MGU(x, u, s):
    f = torch.sigmoid(x.f + u.f)
    return (1 - f) * s.h + f * torch.tanh(x.n + f * u.n)


def adding(steps: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sequences (T, B, 2) of numbers and marks, and the sums (B,) of the marked numbers."""
    numbers, marks = torch.rand(steps, batch), torch.zeros(steps, batch)
    for half in (marks[: steps // 2], marks[steps // 2 :]):
        half[torch.randint(len(half), (batch,)), torch.arange(batch)] = 1
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(0)


def milliseconds(layer: torch.nn.Module, x: torch.Tensor) -> float:
    layer(x)[0].sum().backward()  # compiles at the first call
    start = time.perf_counter()
    for _ in range(3):
        layer(x)[0].sum().backward()
    return 1e3 * (time.perf_counter() - start) / 3


def main(updates: int = 600, steps: int = 30) -> float:
    torch.manual_seed(0)
    layer, readout = elman.Recurrent(MGU, 2, 64), torch.nn.Linear(64, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=3e-3)
    for update in range(updates):
        x, total = adding(steps, 64)
        loss = (readout(layer(x)[0][-1]).squeeze(-1) - total).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (update + 1) % max(updates // 6, 1) == 0:
            print(f"update {update + 1:4}: squared error {loss.item():.4f}")
    compiled, eager = elman.Recurrent(MGU, 64, 64), elman.Recurrent(MGU, 64, 64, engine="eager")
    x = torch.randn(100, 32, 64)
    kernel, loop = milliseconds(compiled, x), milliseconds(eager, x)
    print(f"training step: {kernel:.1f} ms compiled, {loop:.1f} ms as a loop ({loop / kernel:.1f} times)")
    return loss.item()


if __name__ == "__main__":
    main()
