"""Lower precision: elman's layers in bfloat16 and with 8-bit weights beside their own float32, and torch.nn
under autocast; and how fast this machine multiplies in each precision.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

import speed_peers as peers
from elman.engine import torch_internals
from speed_timing import Pairing, Side, compare, mode

PRODUCT: Final = 1024  # rows and columns
CELLS: Final = ("LSTM", "GRU")


def rates(seconds: float = 0.3) -> dict[str, float]:
    """Return the billions of additions and multiplications a second that PyTorch's products reach."""
    x = torch.randn(PRODUCT, PRODUCT)
    half = x.bfloat16()
    small = torch.randint(-127, 128, (PRODUCT, PRODUCT), dtype=torch.int8)
    products: dict[str, Callable[[], Tensor]] = {
        "float32": lambda: x @ x,
        "bfloat16": lambda: half @ half,
        "int8": lambda: torch._int_mm(small, small),
    }
    return {name: _rate(product, seconds) for name, product in products.items()}


def _rate(product: Callable[[], Tensor], seconds: float) -> float:
    product()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - started)
    return 2e-9 * PRODUCT**3 / best


def precision(
    seconds: float, grid: tuple[tuple[int, int, int, int], ...]
) -> Iterator[tuple[str, bool, tuple[int, int, int, int], dict[str, Pairing]]]:
    """Yield cell, whether it trains, shape and the comparisons of each layer of the grid."""
    for shape in grid:
        for cell in CELLS:
            for training in (False, True):
                yield cell, training, shape, _compared(cell, training, shape, seconds)


def _compared(cell: str, training: bool, shape: tuple[int, ...], seconds: float) -> dict[str, Pairing]:
    steps, batch, inputs, hidden = shape
    torch.manual_seed(0)
    module, x = peers.MODULES[cell](inputs, hidden), torch.randn(steps, batch, inputs)
    x.requires_grad_(training)
    ours = Side("elman", peers.layer(peers.ours(cell, module), x, training))
    rivals = {
        "elman, autocast": _under_autocast(peers.ours(cell, module), x, training),
        "torch.nn": peers.layer(module, x, training),
    }
    if torch_internals.has_half_lstm(torch.bfloat16):  # without, there is no LSTM, and a GRU takes minutes
        rivals["torch.nn, autocast"] = _under_autocast(module, x, training)
    if not training:
        rivals["elman, int8"] = peers.layer(peers.ours(cell, module, int8=True), x, training)
    with mode(training):
        return {name: compare(ours, Side(name, call), seconds, same=False) for name, call in rivals.items()}


def _under_autocast(module: nn.Module, x: Tensor, training: bool) -> peers.Call:
    """Forward under autocast, backward outside of it, as PyTorch recommends."""

    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Tensor) -> Any:
            with torch.autocast("cpu", torch.bfloat16):
                return self.module(x)

    return peers.layer(Cast(), x, training)
