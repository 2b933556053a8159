"""A cell along a sequence: the one operator that layers call; it picks the engine."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from elman.cells import Cell
from elman.engine import eager, vendor
from elman.engine.call import Call, Result, State, Weights
from elman.errors import UsageError

Engine = Literal["auto", "eager", "vendor"]
ENGINES = {"eager": eager.scan, "vendor": vendor.scan}


@dataclass(frozen=True)
class Choice:
    """Which engine runs a call, and why."""

    engine: Literal["eager", "vendor"]
    reason: str


def choose(cell: Cell, x: Tensor, weights: Weights, call: Call, engine: Engine = "auto") -> Choice:
    """Pick the engine for a call; UsageError if the one that was asked for can't do it."""
    if engine == "eager":
        return Choice("eager", "asked for")
    obstacle = vendor.obstacle(cell, x, weights, call)
    if engine == "vendor" and obstacle:
        raise UsageError(f'engine="vendor" can\'t run this: {obstacle}; use engine="auto"')
    if obstacle:
        return Choice("eager", obstacle)
    return Choice("vendor", f"PyTorch's fused {cell.name} kernel computes the same")


def scan(
    cell: Cell, x: Tensor, state: State, weights: Weights, call: Call, engine: Engine = "auto"
) -> Result:
    """Apply `cell` along x (T, B, I) from `state` ((B, P), then (B, H) each).

    One set of weights serves all steps: this is the network unrolled over time.
    """
    return ENGINES[choose(cell, x, weights, call, engine).engine](cell, x, state, weights, call)
