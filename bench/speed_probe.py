"""A separate process: milliseconds of the first forward and backward pass of an LSTM beyond the second's.

python bench/speed_probe.py THREADS
"""

import sys
import time

import torch

import elman


def main(threads: int) -> float:
    torch.set_num_threads(threads)
    x = torch.randn(100, 32, 128)
    _pass(torch.nn.Linear(128, 128), x)  # PyTorch's own first call is not ours
    layer = elman.LSTM(128, 128)
    first = _pass(layer, x)
    return 1e3 * (first - _pass(layer, x))


def _pass(layer: torch.nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    output = layer(x)
    (output[0] if isinstance(output, tuple) else output).sum().backward()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
