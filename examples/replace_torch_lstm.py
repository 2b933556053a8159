"""A model written for torch.nn, made faster in one line: its weights, its outputs and its optimiser stay.

python examples/replace_torch_lstm.py
"""

import copy
import time

import torch
from torch import Tensor, nn

import elman


class Tagger(nn.Module):
    """A bidirectional LSTM that labels every word, as you may have one."""

    def __init__(self, words: int, hidden: int, tags: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, hidden)
        self.lstm = nn.LSTM(hidden, hidden, num_layers=2, bidirectional=True)
        self.output = nn.Linear(2 * hidden, tags)

    def forward(self, words: Tensor) -> Tensor:
        tags: Tensor = self.output(self.lstm(self.embedding(words))[0])
        return tags


def milliseconds(model: nn.Module, words: Tensor, rounds: int) -> float:
    model(words).sum().backward()
    start = time.perf_counter()
    for _ in range(rounds):
        model(words).sum().backward()
    return 1e3 * (time.perf_counter() - start) / rounds


def main(hidden: int = 128, steps: int = 60, rounds: int = 5) -> float:
    torch.manual_seed(0)
    before = Tagger(1000, hidden, 20)
    after = elman.replace(copy.deepcopy(before))  # the one line
    words = torch.randint(1000, (steps, 32))
    difference = (before(words) - after(words)).abs().max().item()
    print(f"{type(before.lstm).__module__} → {type(after.lstm).__module__}")
    print(f"largest difference of an output: {difference:.1e}")
    old, new = milliseconds(before, words, rounds), milliseconds(after, words, rounds)
    print(f"training step: {old:.0f} ms → {new:.0f} ms ({old / new:.1f} times)")
    return difference


if __name__ == "__main__":
    main()
