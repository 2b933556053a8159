"""Gated cells beside their papers' formulas."""

from typing import Any

import numpy as np
import pytest

from elman.cells import CELLS, gated
from formulas import Array, Formula, assert_is, sig


def janet(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    f = a("f") + r("f")
    return (sig(f) * s[0] + sig(1 - f) * np.tanh(a("c") + r("c")),)


def ran(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    memory = sig(a("i") + r("i")) * a("c") + sig(a("f") + r("f")) * s[1]
    return np.tanh(memory), memory


def li_gru(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    update = sig(a("z") + r("z"))
    return (s[0] * update + (1 - update) * np.maximum(a("n") + r("n"), 0),)


def star(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    k = sig(a("k") + r("k"))
    return (np.tanh(s[0] + k * (np.tanh(a("z")) - s[0])),)


def atr(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    p, q = a("p"), r("p")
    return (p / (1 + np.exp(-p - q)) + s[0] / (1 + np.exp(q - p)),)


def cfn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    return (sig(a("f") + r("f")) * np.tanh(s[0]) + sig(a("i") + r("i")) * np.tanh(a("c")),)


def fastgrnn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    both, (b_z, zeta, nu) = a("h") + r("h"), w
    z = sig(both + b_z)
    candidate = np.tanh(both)
    return (sig(1 + zeta) * candidate - sig(1 + zeta) * z * candidate + sig(nu - 4) * candidate + z * s[0],)


def nbrc(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    c = sig(a("c") + r("c"))
    inner = np.tanh(a("n") + s[0] + np.tanh(a("a") + r("a")) * s[0])
    return (inner + c * (s[0] - inner),)


def mi_rnn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    alpha, beta_x, beta_u = w
    x, u = a("h"), r("h")
    return (np.tanh(x * u + alpha * x * u + x / 2 + beta_x * x + u / 2 + beta_u * u),)


def nas(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    """The tree of the paper's figure, from the leaves up."""
    sums = {gate: a(gate) + r(gate) for gate in "abcefgo"}
    left = np.tanh(sig(sums["a"]) * np.maximum(sums["b"], 0))
    right = np.tanh(sig(sums["c"]) + np.maximum(a("d") * r("d"), 0))
    memory = np.tanh(left + s[1]) * right
    other = np.tanh(np.tanh(sums["e"]) * sig(sums["f"])) + sig(np.tanh(sums["g"]) + sig(sums["o"]))
    return np.tanh(memory * np.tanh(other)), memory


FORMULAS: dict[str, Formula] = {
    "janet": janet,
    "ran": ran,
    "li-gru": li_gru,
    "star": star,
    "atr": atr,
    "cfn": cfn,
    "fastgrnn": fastgrnn,
    "nbrc": nbrc,
    "mi-rnn": mi_rnn,
    "nas": nas,
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_cell_is_its_papers_formula(kind: str) -> None:
    assert CELLS[kind].equations.__module__ == gated.__name__
    assert_is(FORMULAS[kind], CELLS[kind])


def test_every_cell_of_the_module_has_a_formula() -> None:
    there = {name for name, one in CELLS.items() if one.equations.__module__ == gated.__name__}
    assert there == FORMULAS.keys()
