"""The classic cells beside their papers' formulas."""

from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.cells import CELLS, classic
from formulas import Array, Formula, assert_is, sig


def elman_1990(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    return (np.tanh(a("h") + r("h")),)


def elman_relu(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    return (np.maximum(a("h") + r("h"), 0),)


def lstm(
    a: Any, r: Any, s: Any, w: Any, *, peephole: bool = False, coupled: bool = False
) -> tuple[Array, ...]:
    _, c = s
    peep = w if peephole else (0.0, 0.0, 0.0)
    forget = sig(a("f") + r("f") + peep[1] * c)
    write = 1 - forget if coupled else sig(a("i") + r("i") + peep[0] * c)
    memory = forget * c + write * np.tanh(a("g") + r("g"))
    return sig(a("o") + r("o") + peep[2] * memory) * np.tanh(memory), memory


def gru(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    reset, update = sig(a("r") + r("r")), sig(a("z") + r("z"))
    return (update * s[0] + (1 - update) * np.tanh(a("n") + reset * r("n")),)


def mgu(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    f = sig(a("f") + r("f"))
    return (f * np.tanh(a("n") + f * r("n")) + (1 - f) * s[0],)


def ugrnn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    g, c = sig(a("g") + r("g")), np.tanh(a("c") + r("c"))
    return (g * s[0] + (1 - g) * c,)


def indrnn(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    return (np.maximum(a("h") + w[0] * s[0], 0),)


def mingru(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    z = sig(a("z"))
    return (s[0] + z * (a("n") - s[0]),)


def minlstm(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    f, i = sig(a("f")), sig(a("i"))
    share = f / (f + i)
    return (share * s[0] + (1 - share) * a("n"),)


def slstm(a: Any, r: Any, s: Any, w: Any) -> tuple[Array, ...]:
    """Without the stabiliser m: sums of exponentials, which these small numbers allow."""
    _, c, n, m = s
    scale = np.exp(m)
    write, keep = np.exp(a("i") + r("i")), sig(a("f") + r("f"))
    memory = keep * c * scale + write * np.tanh(a("z") + r("z"))
    count = keep * n * scale + write
    m = np.where(n > 0, np.maximum(np.log(keep) + m, a("i") + r("i")), a("i") + r("i"))
    return sig(a("o") + r("o")) * memory / count, memory / np.exp(m), count / np.exp(m), m


FORMULAS: dict[str, Formula] = {
    "elman": elman_1990,
    "elman-relu": elman_relu,
    "lstm": lstm,
    "gru": gru,
    "peephole-lstm": lambda *given: lstm(*given, peephole=True),
    "cifg": lambda *given: lstm(*given, coupled=True),
    "mgu": mgu,
    "ugrnn": ugrnn,
    "indrnn": indrnn,
    "mingru": mingru,
    "minlstm": minlstm,
    "slstm": slstm,
}


@pytest.mark.parametrize("kind", FORMULAS)
def test_cell_is_its_papers_formula(kind: str) -> None:
    assert CELLS[kind].equations.__module__ == classic.__name__
    assert_is(FORMULAS[kind], CELLS[kind])


def test_every_cell_of_the_module_has_a_formula() -> None:
    there = {name for name, one in CELLS.items() if one.equations.__module__ == classic.__name__}
    assert there == FORMULAS.keys()


def test_slstm_survives_gates_that_overflow_without_its_stabiliser() -> None:
    layer = elman.Recurrent(CELLS["slstm"], 1, 2)
    with torch.no_grad():
        layer.weight_ih_l0.mul_(1e4)
    output, _ = layer(torch.randn(50, 3, 1))
    output.sum().backward()
    assert output.isfinite().all() and output.abs().max() <= 1
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())
