"""The Programs of gradients against PyTorch's autograd on the very same primitives."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman.cells import CELLS, GRU, LSTM, Cell, cell
from elman.engine.derive import Pair, derive
from elman.engine.ops import OPS
from elman.engine.program import Program

Leaf = Callable[[str, str], Tensor]
UNITS = 7


def evaluate(program: Program, leaf: Leaf) -> list[Tensor]:
    """All values of a Program."""
    values: list[Tensor] = []
    for node in program.nodes:
        if node.op == "input":
            values.append(leaf(*node.args))
        elif node.op == "constant":
            values.append(torch.tensor(node.args[0], dtype=torch.float64))
        else:
            values.append(OPS[node.op].value(*(values[a] for a in node.args)))
    return values


def assert_derived(pair: Pair, draw: Callable[[], Tensor]) -> None:
    """Every gradient of the backward Program is autograd's."""
    forward, backward, names = pair.forward, pair.backward, pair.forward.cell.state
    leaves: dict[tuple[str, str], Tensor] = {}

    def given(letter: str, name: str) -> Tensor:
        return leaves.setdefault((letter, name), draw().requires_grad_())

    values = evaluate(forward, given)
    new = dict(zip(names, (values[k] for k in forward.outputs), strict=True))
    up = {name: torch.randn(UNITS, dtype=torch.float64) for name in names}
    outputs = [(new[c].expand(UNITS), up[c]) for c in names]
    wanted = {leaf: v for leaf, v in leaves.items() if leaf[0] != "z"}
    expected = torch.autograd.grad(
        [o for o, _ in outputs], list(wanted.values()), [g for _, g in outputs], allow_unused=True
    )

    def known(letter: str, name: str) -> Tensor:
        if letter == "kept":
            return values[pair.kept[name]]
        if letter in ("d", "new"):
            return (up if letter == "d" else new)[name]
        return leaves[letter, name]

    assert set(pair.gradients) <= set(wanted)
    found = evaluate(backward, known)
    actual = dict(zip(pair.gradients, (found[k] for k in backward.outputs), strict=True))
    for leaf, gradient in zip(wanted, expected, strict=True):
        if leaf not in actual:
            assert gradient is None or not gradient.any(), leaf
            continue
        gradient = torch.zeros(UNITS, dtype=torch.float64) if gradient is None else gradient
        torch.testing.assert_close(actual[leaf].expand(UNITS), gradient, rtol=1e-11, atol=1e-12)


def uniform() -> Tensor:
    return torch.rand(UNITS, dtype=torch.float64) + 0.1


@pytest.mark.parametrize("zoneout", [False, True], ids=["plain", "zoneout"])
@pytest.mark.parametrize("kind", CELLS)
def test_gradients_of_every_cell(kind: str, zoneout: bool) -> None:
    torch.manual_seed(0)
    pair = derive(CELLS[kind], zoneout)
    assert_derived(pair, uniform)
    assert_derived(derive(CELLS[kind], zoneout, joined=False), uniform)
    read = {node.args[0] for node in pair.forward.nodes if node.op == "input"}
    assert ("z" in read) == zoneout
    assert pair is derive(CELLS[kind], zoneout)


def test_slstm_before_and_after_its_first_step() -> None:
    """Its `where` looks at n, which is 0 only at the beginning."""
    torch.manual_seed(1)
    pair = derive(CELLS["slstm"])
    assert_derived(pair, lambda: uniform() * torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]))


@pytest.mark.parametrize("kind", CELLS)
def test_zoneout_without_a_share_is_the_plain_cell(kind: str) -> None:
    torch.manual_seed(2)
    plain, zoned = derive(CELLS[kind]).forward, derive(CELLS[kind], True).forward
    leaves: dict[tuple[str, str], Tensor] = {}

    def leaf(letter: str, name: str) -> Tensor:
        return leaves.setdefault((letter, name), torch.zeros(UNITS) if letter == "z" else uniform())

    mixed = evaluate(zoned, leaf)
    values = evaluate(plain, leaf)
    for a, b in zip(zoned.outputs, plain.outputs, strict=True):
        torch.testing.assert_close(mixed[a], values[b], rtol=0, atol=0)


def test_products_that_are_only_added_are_one_sum() -> None:
    def inputs(c: Cell, joined: bool = True) -> set[str]:
        return {".".join(n.args) for n in derive(c, joined=joined).forward.nodes if n.op == "input"}

    assert inputs(LSTM) == {"a.i", "a.f", "a.g", "a.o", "s.c"}
    assert inputs(GRU) == {"a.r", "a.z", "x.n", "u.n", "s.h"}
    assert inputs(CELLS["indrnn"]) == {"x.h", "w.u_h", "s.h"}
    assert inputs(GRU, joined=False) == {"x.r", "u.r", "x.z", "u.z", "x.n", "u.n", "s.h"}


def test_lstm_keeps_its_gates_and_nothing_that_comes_for_free() -> None:
    pair = derive(LSTM)
    kept = [pair.forward.nodes[k].op for k in pair.kept.values()]
    assert sorted(kept) == ["sigmoid", "sigmoid", "sigmoid", "tanh"]
    ops = {node.op for node in pair.backward.nodes}
    assert "tanh" in ops and "sigmoid" not in ops  # tanh of c, which the kernel stores as a state


@pytest.mark.parametrize("zoneout", [False, True], ids=["plain", "zoneout"])
@pytest.mark.parametrize("kind", CELLS)
def test_programs_read_what_is_declared_and_keep_no_state(kind: str, zoneout: bool) -> None:
    pair = derive(CELLS[kind], zoneout)
    read = {n.args for n in pair.backward.nodes if n.op == "input"}
    assert {name for letter, name in read if letter == "kept"} <= set(pair.kept)
    assert {letter for letter, _ in read} <= {"kept", "s", "w", "z", "new", "d"}
    states = set(pair.forward.outputs)
    for k in pair.kept.values():
        node = pair.forward.nodes[k]
        assert k not in states and node.op != "constant"
        assert node.op != "input" or node.args[0] in "xau"


VALUES = [name for name in OPS if name not in ("gt", "lt")]


def applied(op: str, a: Any, b: Any, c: Any) -> Any:
    """A primitive on values that are kept from growing and from where it isn't defined."""
    if op in ("log", "sqrt"):
        return OPS[op].value(a * a + 0.5)
    if op == "div":
        return a / (b * b + 0.5)
    if op in ("exp", "mul", "softplus"):
        return OPS[op].value(*(torch.tanh(a), b)[: OPS[op].operands])
    if op == "where":
        return torch.where(a > b, b + c, torch.where(a < c, a * 0.5, 1.5 - c))
    return OPS[op].value(*(a, b)[: OPS[op].operands])


def random_cell(steps: list[tuple[str, int, int, int]]) -> Cell:
    """These primitives one after the other, each of earlier values."""

    @cell(gates="f g", state="h c", weights="p")
    def Random(x: Any, u: Any, s: Any, w: Any) -> Any:
        values = [x.f, u.f, x.g + u.g, s.h, s.c, w.p, 0.75 - s.h]
        for op, *numbers in steps:
            values.append(applied(op, *(values[n % len(values)] for n in numbers)))
        return values[-1], values[-2] * s.c

    return Random


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, int, int, int]]:
    one = st.tuples(st.sampled_from(VALUES), *[st.integers(0, 30)] * 3)
    return draw(st.lists(one, min_size=1, max_size=10))


@settings(deadline=None, max_examples=150)
@given(steps(), st.booleans(), st.booleans(), st.integers(0, 99))
def test_gradients_of_random_expressions(
    steps: list[tuple[str, int, int, int]], zoneout: bool, ties: bool, seed: int
) -> None:
    """Also on a coarse grid, where values are often equal: a kink's gradient is PyTorch's."""
    torch.manual_seed(seed)

    def draw() -> Tensor:
        whole = torch.randint(-1, 2, (UNITS,)).double()
        return whole if ties else torch.randn(UNITS, dtype=torch.float64)

    assert_derived(derive.__wrapped__(random_cell(steps), zoneout), draw)


@pytest.mark.parametrize("op", VALUES)
def test_every_primitive_alone(op: str) -> None:
    torch.manual_seed(3)
    last = [(op, 3, 4, 0), ("neg", 7, 0, 0)]
    assert_derived(derive(random_cell(last)), lambda: torch.randn(UNITS, dtype=torch.float64))
    assert_derived(derive(random_cell(last)), lambda: torch.randint(-1, 2, (UNITS,)).double())


def test_two_states_of_one_value() -> None:
    @cell(gates="f", state="h c")
    def Twins(x: Any, u: Any, s: Any) -> Any:
        both = torch.tanh(x.f + u.f) * s.c + s.h
        return both, both

    torch.manual_seed(4)
    assert_derived(derive(Twins), uniform)
    assert_derived(derive(Twins, True), uniform)


def test_a_state_that_stays_as_it_is() -> None:
    @cell(gates="f", state="h c")
    def Still(x: Any, s: Any) -> Any:
        return x.f * s.c, s.c

    torch.manual_seed(5)
    assert_derived(derive(Still), uniform)
    assert_derived(derive(Still, True), uniform)


def test_what_a_comparison_compares_is_kept_and_not_its_outcome() -> None:
    """No kernel stores what is no number."""

    @cell(gates="a b", state="h")
    def Gated(x: Any, u: Any, s: Any) -> Any:
        return torch.where(x.a + u.a > 0.1, torch.tanh(x.b), u.b * s.h)

    pair = derive(Gated)
    assert not any(OPS[pair.forward.nodes[k].op].is_comparison for k in _operations(pair))
    assert any(node.op == "gt" for node in pair.backward.nodes)


def _operations(pair: Pair) -> list[int]:
    return [k for k in pair.kept.values() if pair.forward.nodes[k].op in OPS]
