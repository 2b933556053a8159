"""Programs print themselves: run again, a listing is the cell; and LaTeX compiles."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import matplotlib
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser
from torch import abs, exp, log, maximum, minimum, relu, sigmoid, sqrt, tanh, where
from torch.nn.functional import softplus

from elman.cells import CELLS, Cell, cell
from elman.engine.ops import OPS
from elman.engine.program import Program
from elman.engine.trace import trace

matplotlib.use("Agg")


FUNCTIONS = {
    f.__name__: f for f in (abs, exp, log, maximum, minimum, relu, sigmoid, softplus, sqrt, tanh, where)
}


@cell(gates="a b_c", state="h c", weights="p q_1_2")
def Everything(x, u, s, w):
    """Every primitive, aliases, numbers on both sides, brackets that matter, two states of one value."""
    total = (0.044715000001 + x.a) - (u.a - (s.h + w.p)) - -2
    ratio = s.c / (1 + abs(total)) / (2 / exp(-abs(x.b_c)))
    ratio = where(ratio > u.b_c, torch.subtract(ratio, 1), maximum(ratio, s.h.tanh()))
    ratio = where(ratio < 0.5, minimum(-ratio, s.c), ratio * (w.q_1_2 * (x.a / 3)))
    soft = (
        softplus(torch.neg(-ratio)) + torch.nn.functional.relu(s.h) - (1 - sqrt(log(2 + sigmoid(x.a) * 0.5)))
    )
    return soft, soft


def values(program: Cell, seed: int = 0) -> dict[str, SimpleNamespace]:
    """Random float64 vectors under the names of a cell's inputs."""
    torch.manual_seed(seed)
    names = {"x": program.gates, "u": program.gates, "s": program.state, "w": program.weights}
    return {k: SimpleNamespace(**{n: torch.randn(7).double() for n in v}) for k, v in names.items()}


def evaluated(program: Program, given: dict[str, SimpleNamespace]) -> list[torch.Tensor]:
    """The listing's lines, run one after the other by Python itself."""
    names: dict[str, Any] = {**FUNCTIONS, **given}
    for line in str(program).splitlines()[1:]:
        name, equation = line.split(" = ")
        names[name.strip()] = eval(equation, {"__builtins__": {}}, names)
    return [names[state] for state in program.cell.state]


def interpreted(program: Program, given: dict[str, SimpleNamespace]) -> list[torch.Tensor]:
    """The Program's nodes, one after the other."""
    known: list[Any] = []
    for node in program.nodes:
        if node.op == "input":
            known.append(getattr(given[node.args[0]], node.args[1]))
        elif node.op == "constant":
            known.append(node.args[0])
        else:
            known.append(OPS[node.op].value(*(known[a] for a in node.args)))
    return [known[k] for k in program.outputs]


@pytest.mark.parametrize("traced", [*CELLS.values(), Everything], ids=lambda c: c.name)
def test_listing_and_program_compute_the_cell_bitwise(traced: Cell) -> None:
    given = values(traced)
    expected = traced(given["x"], given["u"], given["s"], given["w"])
    program = trace(traced)
    for result in (evaluated(program, given), interpreted(program, given)):
        assert all(torch.equal(a, b) for a, b in zip(result, expected, strict=True))


def test_program_is_short_and_in_order() -> None:
    program = trace(CELLS["lstm"])
    assert trace(CELLS["lstm"]) is program
    inner = [(k, n) for k, n in enumerate(program.nodes) if n.op not in ("input", "constant")]
    assert all(a < k for k, node in inner for a in node.args)
    assert len(set(program.nodes)) == len(program.nodes)
    used = {a for _, node in inner for a in node.args} | set(program.outputs)
    assert used == set(range(len(program.nodes)))
    names = [name for name in program.names if name]
    assert names == ["i", "f", "o", "c", "h"]


def test_listing_of_the_lstm() -> None:
    assert str(trace(CELLS["lstm"])).splitlines()[1:] == [
        "  i = sigmoid(x.i + u.i)",
        "  f = sigmoid(x.f + u.f)",
        "  o = sigmoid(x.o + u.o)",
        "  c = f * s.c + i * tanh(x.g + u.g)",
        "  h = o * tanh(c)",
    ]


def test_what_is_not_used_is_left_out() -> None:
    @cell(gates="a b", state="h")
    def Wasteful(x, u, s):
        exp(x.b)
        return x.a * (s.h + 0) + x.a * (s.h + 0)

    program = trace(Wasteful)
    assert [node.op for node in program.nodes] == ["input", "input", "constant", "add", "mul", "add"]
    assert str(program).splitlines()[1:] == ["  t4 = x.a * (s.h + 0)", "  h = t4 + t4"]


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "neg": lambda a, b: -a,
    "max": lambda a, b: maximum(a, b),
    "choose": lambda a, b: where(a > b, a, b - 1),
}


LEAF = st.sampled_from(["a", "b", "h", 0.1, -3.0, 2])


TREES = st.recursive(LEAF, lambda t: st.tuples(st.sampled_from(sorted(OPERATIONS)), t, t), max_leaves=12)


@settings(deadline=None)
@given(TREES)
def test_brackets_of_any_expression(tree: Any) -> None:
    def build(node: Any, x: Any, s: Any) -> Any:
        if isinstance(node, tuple):
            left, right = build(node[1], x, s), build(node[2], x, s)
            if node[0] in ("max", "choose"):  # torch wants tensors there
                left, right = left + 0 * x.a, right + 0 * x.a
            if node[0] == "/":  # Python refuses to divide two numbers, if the second is 0
                right = right + 0 * x.a
            return OPERATIONS[node[0]](left, right)
        return node if not isinstance(node, str) else s.h if node == "h" else getattr(x, node)

    @cell(gates="a b", state="h")
    def Random(x, s):
        return x.b + build(tree, x, s)

    named = values(Random)
    expected = Random(named["x"], None, named["s"], None)[0]
    actual = evaluated(trace(Random), named)[0]
    assert torch.equal(actual.nan_to_num(), expected.nan_to_num())
    balanced(trace(Random).latex())


def balanced(text: str) -> None:
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    depth = 0
    for sign in text:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0


@pytest.mark.parametrize("traced", [*CELLS.values(), Everything], ids=lambda c: c.name)
def test_latex_compiles(traced: Cell) -> None:
    text = trace(traced).latex()
    balanced(text)
    lines = text.splitlines()
    assert lines[0] == r"\begin{align*}" and lines[-1] == r"\end{align*}"
    for line in lines[1:-1]:
        if "cases" not in line:  # matplotlib's mathtext has no environments
            MathTextParser("path").parse(f"${line.removesuffix(chr(92) * 2).replace('&', '')}$")


def test_latex_of_the_gru() -> None:
    last = trace(CELLS["gru"]).latex().splitlines()[-2]
    assert last == r"  h_t &= \left(1 - z_t\right) \odot n_t + z_t \odot h_{t-1}"
