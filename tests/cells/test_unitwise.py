"""Cells without a recurrent matrix beside their papers' formulas."""

from typing import Any

import numpy as np
import pytest

from elman.cells import CELLS, unitwise
from formulas import Array, Formula, assert_is, sig


def sru(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    v_f, v_r = w
    forget, reset = sig(a("f") + v_f * s[1]), sig(a("r") + v_r * s[1])
    memory = a("c") + forget * (s[1] - a("c"))
    return reset * memory + a("skip") - reset * a("skip"), memory


def qrnn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    memory = sig(a("f")) * s[1] + sig(-a("f")) * np.tanh(a("z"))
    return sig(a("o")) * memory, memory


def indylstm(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    i, f, g, o = (a(gate) + weight * s[0] for gate, weight in zip("ifgo", w, strict=True))
    memory = sig(f) * s[1] + sig(i) * np.tanh(g)
    return sig(o) * np.tanh(memory), memory


def brc(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    w_a, w_c = w
    c = sig(a("c") + w_c * s[0])
    inner = np.tanh(a("n") + s[0] + np.tanh(a("a") + w_a * s[0]) * s[0])
    return (inner + c * (s[0] - inner),)


def unicornn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    """y'' = -s² (tanh(w y + V x) + 10 y) by symplectic Euler steps."""
    (y, velocity), (weight, slowing) = s, w
    step = 0.1 * (0.5 + 0.5 * np.tanh(slowing / 2))
    velocity = velocity - step * np.tanh(weight * y + a("h")) - 10 * step * y
    return y + step * velocity, velocity


def rg_lru(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    """a^(c r) with a the sigmoid of Lambda, c = 8: log sigmoid(v) is -softplus(-v)."""
    kept = sig(5 - w[0]) ** (8 * sig(a("r")))
    return (kept * s[0] + np.sqrt(1 - kept**2) * sig(a("i")) * a("n"),)


FORMULAS: dict[str, Formula] = {
    "sru": sru,
    "qrnn": qrnn,
    "indylstm": indylstm,
    "brc": brc,
    "unicornn": unicornn,
    "rg-lru": rg_lru,
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_cell_is_its_papers_formula(kind: str) -> None:
    assert CELLS[kind].equations.__module__ == unitwise.__name__
    assert_is(FORMULAS[kind], CELLS[kind])


def test_every_cell_of_the_module_has_a_formula() -> None:
    there = {name for name, one in CELLS.items() if one.equations.__module__ == unitwise.__name__}
    assert there == FORMULAS.keys()


def test_no_unit_hears_of_another() -> None:
    assert not any(CELLS[kind].recurrent for kind in FORMULAS)
