"""One scan's arguments with any option, for an engine to be compared with another."""

from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from compare import assert_same, gradients, tensors
from elman.cells import Cell, cell
from elman.engine import eager
from elman.engine.call import Call, Noise, Result, Weights

# The fewest numbers that layer normalisation is tried on: their deviation may be near 0; that of one number
# is, and what the eager engine finds there is rounding only.
ENOUGH = {torch.float32: 16, torch.float64: 2}


@cell(gates="i f g o", state="h c", weights="p_i p_f p_o")
def Peepholes(x: Any, u: Any, s: Any, w: Any) -> Any:
    """A user's own cell, in Graves' form: peepholes, and an output that looks at the input past U."""
    i = torch.sigmoid(x.i + u.i + w.p_i * s.c)
    f = torch.sigmoid(x.f + u.f + w.p_f * s.c)
    c = f * s.c + i * torch.tanh(x.g + u.g)
    return torch.sigmoid(x.o + u.o + w.p_o * c) * torch.tanh(c) + 0.1 * torch.relu(x.g), c


@cell(gates="row begin", state="step s now_", weights="at step")
def Awkward(x: Any, u: Any, s: Any, w: Any) -> Any:
    """Names that a kernel could use itself, a test of sums, and states that read little."""
    on = x.row + u.row > 0.1
    value = torch.where(on, torch.sin(x.begin) * s.s, u.begin) + w.at * s.now_
    return torch.tanh(value + w.step), w.at * s.s, torch.exp(-torch.relu(x.begin)) * 0.5


class Case(NamedTuple):
    """One scan's arguments; every tensor of floats asks for gradients."""

    cell: Cell
    x: Tensor
    state: tuple[Tensor, ...]
    weights: Weights
    call: Call
    noise: Noise
    reverse: bool
    heads: int = 1

    @property
    def leaves(self) -> list[Tensor]:
        return tensors([self.x, self.state, self.weights])

    def by(self, engine: Any) -> Result:
        weights, more = self.weights, {"heads": self.heads}
        if engine is eager:  # which has no heads
            weights, more = block_diagonal(weights, len(self.cell.gates), self.heads), {}
        start = self.cell, self.x, self.state, weights, self.call, self.noise, self.reverse
        return engine.scan(*start, **more)


def block_diagonal(weights: Weights, gates: int, heads: int) -> Weights:
    """The weights with U of N heads, (G*H, H/N), as a matrix (G*H, H)."""
    if heads == 1:
        return weights
    by_gate = [torch.block_diag(*gate.chunk(heads)) for gate in weights.weight_hh.chunk(gates)]
    return weights._replace(weight_hh=torch.cat(by_gate))


def case(
    cell: Cell,
    dtype: torch.dtype,
    shape: tuple[int, int, int] = (4, 3, 2),
    hidden: int = 7,
    *,
    lengths: list[int] | None = None,
    resets: bool = False,
    reverse: bool = False,
    masked: bool = False,
    zoneout: str = "none",
    every: bool = False,
    bias: bool = True,
    norm: bool = False,
    heads: int = 1,
) -> Case:
    steps, batch, inputs = shape
    rows = len(cell.gates) * hidden

    def leaf(*size: int) -> Tensor:
        return (torch.randn(size, dtype=dtype) / hidden**0.5).requires_grad_()

    def gain() -> Tensor:
        return (torch.rand(rows, dtype=dtype) + 0.5).requires_grad_()

    recurrent = cell.recurrent
    weights = Weights(
        weight_ih=leaf(rows, inputs),
        weight_hh=leaf(rows, hidden // heads) if recurrent else None,
        bias_ih=leaf(rows) if bias else None,
        bias_hh=leaf(rows) if bias and recurrent else None,
        units=tuple(leaf(hidden) for _ in cell.weights),
        gain_ih=gain() if norm else None,
        gain_hh=gain() if norm and recurrent else None,
    )
    state = tuple((torch.rand(batch, hidden, dtype=dtype) / 2).requires_grad_() for _ in cell.state)
    kept: tuple[Any, ...] | None = (0.3,) * len(state)
    if zoneout != "constant":
        kept = tuple((torch.rand(steps, batch, hidden) < 0.3).to(dtype) for _ in state)
    call = Call(
        lengths=None if lengths is None else torch.tensor(lengths),
        reset=torch.rand(steps, batch) < 0.3 if resets else None,
        every_state=every,
    )
    mask = (torch.rand(batch, hidden) < 0.5).to(dtype) * 2 if masked and recurrent else None
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    noise = Noise(mask, None if zoneout == "none" else kept)
    return Case(cell, x, state, weights, call, noise, reverse, heads)


@st.composite
def options(
    draw: st.DrawFn, hidden: st.SearchStrategy[int], most_steps: int = 6, most_rows: int = 7
) -> dict[str, Any]:
    """Draw the options of a `case`."""
    steps, batch = draw(st.integers(1, most_steps)), draw(st.integers(1, most_rows))
    lengths = st.lists(st.integers(0, steps), min_size=batch, max_size=batch)
    return {
        "shape": (steps, batch, draw(st.integers(1, 9))),
        "hidden": draw(hidden),
        "lengths": draw(st.none() | lengths),
        "resets": draw(st.booleans()),
        "reverse": draw(st.booleans()),
        "masked": draw(st.booleans()),
        "zoneout": draw(st.sampled_from(["none", "drawn", "constant"])),
        "every": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "norm": draw(st.booleans()),
    }


Within = dict[torch.dtype, float]


def assert_agrees(given: Case, engine: Any, outputs: Within, derivatives: Within) -> None:
    """The outputs and gradients of the eager engine, within these errors."""
    actual, expected = given.by(engine), given.by(eager)
    # a state is made of numbers about one: where it is small, it is a difference of such
    assert_same(actual, expected, "outputs", outputs, least=0.5)
    found, wanted = gradients(actual, given.leaves), gradients(expected, given.leaves)
    if given.x.dtype == torch.float32:  # small sums of numbers that cancel: relative to all gradients
        found, wanted = ([torch.cat([g.flatten() for g in all_])] for all_ in (found, wanted))
    assert_same(found, wanted, "gradients", derivatives)
    with torch.no_grad():
        assert_same(given.by(engine), expected, "without gradients", outputs, least=0.5)
