"""Every cell against its paper's formulas, written once more in numpy, and against finite differences."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import elman
from elman import cells
from elman.cells import CELLS, Cell, as_cell, cell
from elman.engine import trace
from elman.errors import UsageError

Array = NDArray[np.float64]
Formula = Callable[..., tuple[Array, ...]]


def sig(v: Array) -> Array:
    return 1 / (1 + np.exp(-v))


# One step of each paper: a(gate) is W x + b, r(gate) is U h + b', then the states and the cell's own weights.


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


def numpy_scan(kind: str, layer: elman.Recurrent, x: Array, state: list[Array]) -> tuple[Array, list[Array]]:
    p = {name.removesuffix("_l0"): value.detach().numpy() for name, value in layer.named_parameters()}
    order, hidden = layer.cell.gates, layer.hidden_size
    block = {g: slice(k * hidden, (k + 1) * hidden) for k, g in enumerate(order)}
    outputs = []
    for step in x:
        h = state[0]
        state = list(
            FORMULAS[kind](
                lambda g, step=step: step @ p["weight_ih"][block[g]].T + p["bias_ih"][block[g]],
                lambda g, h=h: h @ p["weight_hh"][block[g]].T + p["bias_hh"][block[g]],
                state,
                [p[name] for name in layer.cell.weights],
            )
        )
        outputs.append(state[0])
    return np.stack(outputs), state


@pytest.mark.parametrize("kind", CELLS)
def test_cell_is_its_papers_formula(kind: str) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent(CELLS[kind], 3, 5, dtype=torch.float64, engine="eager")
    x = torch.randn(9, 4, 3, dtype=torch.float64)
    start = tuple(torch.rand(1, 4, 5, dtype=torch.float64) for _ in layer.cell.state)
    for hx in (tuple(torch.zeros_like(s) for s in start), start):
        expected, final = numpy_scan(kind, layer, x.numpy(), [s[0].numpy() for s in hx])
        output, state = layer(x, hx if len(hx) > 1 else hx[0])
        np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
        for a, b in zip(state if len(hx) > 1 else (state,), final, strict=True):
            np.testing.assert_allclose(a[0].detach().numpy(), b, rtol=1e-10, atol=1e-12)


def test_slstm_survives_gates_that_overflow_without_its_stabiliser() -> None:
    layer = elman.Recurrent(cells.SLSTM, 1, 2)
    with torch.no_grad():
        layer.weight_ih_l0.mul_(1e4)
    output, _ = layer(torch.randn(50, 3, 1))
    output.sum().backward()
    assert output.isfinite().all() and output.abs().max() <= 1
    assert all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


@pytest.mark.parametrize("kind", CELLS)
def test_pickle_and_copy_give_the_same_cell(kind: str) -> None:
    found = CELLS[kind]
    assert pickle.loads(pickle.dumps(found)) is found
    assert copy.deepcopy(found) is found
    assert repr(found) == f"<cell {found.name}: gates {' '.join(found.gates)}; state {' '.join(found.state)}>"
    assert found.recurrent == ("u" in found.parts)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_prints_its_equations(kind: str) -> None:
    """As they were written: run again, the text declares a cell that computes the same."""
    printed, names = str(CELLS[kind]), {"cell": cell, **vars(cells)}
    assert printed.startswith("@cell(gates=")
    exec(printed, names)
    twin = names[CELLS[kind].name]
    assert twin is not CELLS[kind] and repr(twin) == repr(CELLS[kind])
    assert trace(twin).nodes == trace(CELLS[kind]).nodes
    assert str(twin) == repr(twin)  # there is no source of what was run from text


def test_a_forget_gate_of_a_memory_begins_open() -> None:
    assert cells.LSTM.forget_bias == 1.0
    assert cells.GRU.forget_bias is None and cells.Elman.forget_bias is None
    assert CELLS["mgu"].forget_bias is None, "its f is an update gate"


def test_a_cell_that_cannot_be_found_again_is_not_pickled() -> None:
    @cell(gates="h", state="h")
    def Local(x, u):
        return x.h + u.h

    with pytest.raises(UsageError, match=r"loaded by its name, but module .* has no cell Local"):
        pickle.dumps(Local)


def declare(function: Callable[..., Any], **names: str) -> Cell:
    return cell(**({"gates": "a", "state": "h"} | names))(function)


WRONG: list[tuple[Callable[..., Any], dict[str, str], str]] = [
    (lambda x: x.a, {"gates": "a a"}, "gates needs different identifiers, not 'a a'"),
    (lambda x: x.a, {"gates": "1st"}, "gates needs different identifiers"),
    (lambda x: x.a, {"gates": ""}, "needs at least one gate and one state"),
    (lambda x: x.a, {"state": ""}, "needs at least one gate and one state"),
    (lambda x: x.a, {"state": "h h"}, "state needs different identifiers"),
    (lambda x, y: x.a, {}, r"takes \(x, y\): its arguments may be x, u, s and w"),
    (lambda: 0, {}, "its arguments may be x, u, s and w"),
    (lambda x, w: x.a, {}, "declare weights= exactly when the function takes w"),
    (lambda x: x.a, {"weights": "p"}, "declare weights= exactly when the function takes w"),
]


@pytest.mark.parametrize(("function", "names", "sentence"), WRONG, ids=lambda v: "")
def test_wrong_declarations(function: Callable[..., Any], names: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        declare(function, **names)


def test_a_layer_refuses_a_cell_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match="returns 2 values but has 1 states"):
        elman.Recurrent(declare(lambda x: (x.a, x.a)), 2, 3)
    with pytest.raises(UsageError, match=r"test_cells\.py, line \d+: sinh is not a primitive"):
        elman.Recurrent(declare(lambda x: torch.sinh(x.a)), 2, 3)
    with pytest.raises(UsageError, match="can't call a weight bias_hh"):
        elman.Recurrent(declare(lambda x, w: x.a * w.bias_hh, weights="bias_hh"), 2, 3)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_found_by_any_writing_of_its_name(name: str) -> None:
    for writing in (name, name.upper(), name.replace("-", "_"), CELLS[name].name):
        assert as_cell(writing) is CELLS[name]
    assert as_cell(CELLS[name]) is CELLS[name]


def undecorated(x: Any) -> Any:
    return x.h


NO_CELLS = [
    ("RNN", "there is no cell 'RNN'; torch.nn's RNN is 'elman'"),
    ("mug", r"there is no cell 'mug'; did you mean 'mgu'\?"),
    ("transformer", "there is no cell 'transformer': there are elman, elman-relu, lstm"),
    (undecorated, r"undecorated is a plain function, not a cell: decorate it with @elman.cell\("),
    (None, r"a cell is one of elman.cells, the name of one \(\"lstm\"\) or a function .*, not None"),
    (elman.LSTM, "not <class 'elman.nn.dropin.LSTM'>"),
    (torch.nn.LSTM(2, 3), r"not LSTM\(2, 3\)"),
]


@pytest.mark.parametrize(("value", "sentence"), NO_CELLS, ids=lambda v: "")
def test_what_is_no_cell_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        elman.Recurrent(value, 2, 3)


def test_names_as_a_list_are_refused() -> None:
    with pytest.raises(UsageError, match=r"undecorated: gates must be names in one text, .* not \['h'\]"):
        cell(gates=["h"], state="h")(undecorated)  # type: ignore[arg-type]
