"""Recurrences as equations. A cell is one function of plain arithmetic on named values:

    x.i    W_i x_t + b_i              the input's part of gate i
    u.i    U_i h_{t-1} + b_i'         the recurrent part of gate i (without `u` there is no recurrent matrix)
    s.c    c_{t-1}                    a state after the previous step
    w.p    one learned number a unit  declared by `weights=`

Every name is a vector of hidden units, and a cell only combines units with themselves: what mixes units (W,
U, a projection) belongs to the layer. The function returns the new states in the order of `state=`; the first
one is the output. It may use + - * /, negation, powers, < and > to choose in `where`, and the functions of
`elman.engine.ops` and `elman.engine.rewrites`: the table of primitives, and what is made of them.
"""

import importlib
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from torch import exp, maximum, relu, sigmoid, tanh, where
from torch.nn.functional import softplus

from elman.errors import UsageError, suggestion

PARTS = ("x", "u", "s", "w")


@dataclass(frozen=True, eq=False)
class Cell:
    """A recurrence: its equations and the names they use. Made by `@cell`, run by `elman.engine.scan`."""

    name: str
    equations: Callable[..., Any]
    gates: tuple[str, ...]
    state: tuple[str, ...]
    weights: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def recurrent(self) -> bool:
        """Return whether the cell reads `u`, and so has a recurrent matrix."""
        return "u" in self.parts

    @property
    def forget_bias(self) -> float | None:
        """Return the bias with which gate `f` begins in a network that must remember for long, or None if
        there is no gate that keeps a state `c`: elsewhere f may be an update gate. Jozefowicz et al., ICML
        2015."""
        return 1.0 if "f" in self.gates and "c" in self.state else None

    def __call__(self, x: Any, u: Any, s: Any, w: Any) -> tuple[Any, ...]:
        """Take one step, on tensors for the eager engine or on symbols for the tracer."""
        arguments = {"x": x, "u": u, "s": s, "w": w}
        result = self.equations(*(arguments[part] for part in self.parts))
        new = result if isinstance(result, tuple) else (result,)
        if len(new) != len(self.state):
            raise UsageError(
                f"cell {self.name} returns {len(new)} values but has {len(self.state)} states "
                f"({' '.join(self.state)}): return one value a state, in that order"
            )
        return new

    def __deepcopy__(self, memo: Any) -> "Cell":
        return self

    def __reduce__(self) -> Any:
        if not inspect.isroutine(self.equations):  # but data
            return Cell, tuple(getattr(self, one.name) for one in fields(self))
        address = (self.equations.__module__, self.name)
        _find(*address)  # so that saving fails already, not only loading
        return _find, address

    def __str__(self) -> str:
        """Return the declaration as its author wrote it, the listing of a loaded cell, or the short form
        where there is no source."""
        if not inspect.isroutine(self.equations):
            return str(self.equations.program(self))  # type: ignore[attr-defined]
        try:
            return textwrap.dedent(inspect.getsource(self.equations)).rstrip()
        except (OSError, TypeError):
            return repr(self)

    def __repr__(self) -> str:
        return f"<cell {self.name}: gates {' '.join(self.gates)}; state {' '.join(self.state)}>"


def _find(module: str, name: str) -> Any:
    """Unpickle a cell by its name, which refers to the Cell and no longer to its function."""
    cell = getattr(importlib.import_module(module), name, None)
    if not isinstance(cell, Cell):
        raise UsageError(f"a cell is loaded by its name, but module {module} has no cell {name}")
    return cell


def check_names(name: str, what: str, listed: Sequence[str]) -> None:
    """Raise UsageError unless the gates, states or weights of cell `name` are different identifiers. One that
    begins with _ could mean a part of Python's or of the engine's."""
    wrong = [n for n in listed if not n.isidentifier() or n.startswith("_") or listed.count(n) > 1]
    if wrong:
        raise UsageError(
            f"cell {name}: {what} needs different identifiers, not {' '.join(wrong)!r:.100}"
            + ("; a name can't begin with _" if wrong[0].startswith("_") else "")
        )


def cell(*, gates: str, state: str, weights: str = "") -> Callable[[Callable[..., Any]], Cell]:
    """Declare a function of (x, u, s, w), or of some of them, to be a recurrence.

    `gates`, `state` and `weights` are names separated by blanks. Raises UsageError for a name that is no
    identifier or occurs twice, and for an argument other than x, u, s, w.
    """

    def declare(equations: Callable[..., Any]) -> Cell:
        name = equations.__name__
        texts = {"gates": gates, "state": state, "weights": weights}
        for what, text in texts.items():
            if not isinstance(text, str):
                raise UsageError(f'cell {name}: {what} must be names in one text, as in "i f", not {text!r}')
        names = {what: text.split() for what, text in texts.items()}
        for what, listed in names.items():
            check_names(name, what, listed)
        if not names["gates"] or not names["state"]:
            raise UsageError(f"cell {name} needs at least one gate and one state")
        parts = tuple(inspect.signature(equations).parameters)
        if not set(parts) <= set(PARTS) or len(parts) == 0:
            raise UsageError(f"cell {name} takes ({', '.join(parts)}): its arguments may be x, u, s and w")
        if bool(names["weights"]) != ("w" in parts):
            raise UsageError(f"cell {name}: declare weights= exactly when the function takes w")
        gate_names, state_names, weight_names = (tuple(n) for n in names.values())
        return Cell(name, equations, gate_names, state_names, weight_names, parts)

    return declare


@cell(gates="h", state="h")
def Elman(x, u, s):
    """The simple recurrent network. Elman, "Finding structure in time", Cognitive Science 14, 1990."""
    return tanh(x.h + u.h)


@cell(gates="h", state="h")
def ElmanReLU(x, u, s):
    """Elman's network with rectified units. Le, Jaitly, Hinton, arXiv:1504.00941, 2015."""
    return relu(x.h + u.h)


@cell(gates="i f g o", state="h c")
def LSTM(x, u, s):
    """Long short-term memory with a forget gate. Hochreiter, Schmidhuber 1997; Gers et al. 2000."""
    i, f, o = sigmoid(x.i + u.i), sigmoid(x.f + u.f), sigmoid(x.o + u.o)
    c = f * s.c + i * tanh(x.g + u.g)
    return o * tanh(c), c


@cell(gates="r z n", state="h")
def GRU(x, u, s):
    """Gated recurrent unit, reset after the product as in cuDNN. Cho et al., arXiv:1406.1078, 2014."""
    r, z = sigmoid(x.r + u.r), sigmoid(x.z + u.z)
    n = tanh(x.n + r * u.n)
    return (1 - z) * n + z * s.h


@cell(gates="i f g o", state="h c", weights="p_i p_f p_o")
def PeepholeLSTM(x, u, s, w):
    """LSTM whose gates see the memory cell. Gers, Schmidhuber, Schraudolph, JMLR 3, 2002."""
    i, f = sigmoid(x.i + u.i + w.p_i * s.c), sigmoid(x.f + u.f + w.p_f * s.c)
    c = f * s.c + i * tanh(x.g + u.g)
    return sigmoid(x.o + u.o + w.p_o * c) * tanh(c), c


@cell(gates="f g o", state="h c")
def CIFG(x, u, s):
    """LSTM with coupled input and forget gates. Greff et al., arXiv:1503.04069, 2015."""
    f, o = sigmoid(x.f + u.f), sigmoid(x.o + u.o)
    c = f * s.c + (1 - f) * tanh(x.g + u.g)
    return o * tanh(c), c


@cell(gates="f n", state="h")
def MGU(x, u, s):
    """Minimal gated unit, reset after the product. Zhou et al., arXiv:1603.09420, 2016."""
    f = sigmoid(x.f + u.f)
    return (1 - f) * s.h + f * tanh(x.n + f * u.n)


@cell(gates="c g", state="h")
def UGRNN(x, u, s):
    """Update-gate RNN. Collins, Sohl-Dickstein, Sussillo, arXiv:1611.09913, 2017."""
    g = sigmoid(x.g + u.g)
    return g * s.h + (1 - g) * tanh(x.c + u.c)


@cell(gates="h", state="h", weights="u_h")
def IndRNN(x, s, w):
    """Independently recurrent units: one recurrent weight each. Li et al., arXiv:1803.04831, 2018."""
    return relu(x.h + w.u_h * s.h)


@cell(gates="z n", state="h")
def MinGRU(x, s):
    """GRU whose gates don't look back, in its plain form. Feng et al., arXiv:2410.01201, 2024."""
    z = sigmoid(x.z)
    return (1 - z) * s.h + z * x.n


@cell(gates="f i n", state="h")
def MinLSTM(x, s):
    """LSTM whose normalised gates don't look back, in its plain form. Feng et al., arXiv:2410.01201, 2024."""
    f, i = sigmoid(x.f), sigmoid(x.i)
    return (f * s.h + i * x.n) / (f + i)


@cell(gates="i f z o", state="h c n m")
def SLSTM(x, u, s):
    """Scalar LSTM with exponential gates, stabilised. Beck et al., arXiv:2405.04517, 2024 (xLSTM)."""
    i = x.i + u.i
    # n is 0 only before the first step (afterwards it is at least 1): then there is nothing to keep
    f = where(s.n > 0, s.m - softplus(-(x.f + u.f)), i)
    m = maximum(f, i)
    write, keep = exp(i - m), exp(f - m)
    c = keep * s.c + write * tanh(x.z + u.z)
    n = keep * s.n + write
    return sigmoid(x.o + u.o) * c / n, c, n, m


@cell(gates="y known", state="ahead trend", weights="alpha beta phi")
def DampedTrend(x, s, w):
    """Exponential smoothing with a damped trend, as error correction. Gardner, McKenzie, Man. Sci. 31, 1985.

    `ahead` is the forecast of the next step, the level and a damped trend. With beta and phi of 0 this is
    simple smoothing. A step that is not `known` (0) carries the state on.
    """
    error = x.known * (x.y - s.ahead)
    trend = w.phi * s.trend + w.beta * error
    return s.ahead + w.alpha * error + w.phi * trend, trend


@cell(gates="y known intercept slope now", state="ahead level one time", weights="alpha lift")
def Theta(x, s, w):
    """Smoothing lifted by the line fitted so far: the dynamic theta method. Fiorucci et al., IJF 32, 2016.

    `lift` is 1 - 1/theta. The line `intercept + slope * now` is smoothed as the values are (`one` and `time`
    are smoothed 1 and `now`), and what smoothing lags behind it is added.
    """
    rate = w.alpha * x.known
    level = s.level + rate * (x.y - s.level)
    one, time = s.one + rate * (1 - s.one), s.time + rate * (x.now - s.time)
    return level + w.lift * (x.intercept * (1 - one) + x.slope * (x.now + 1 - time)), level, one, time


# The cells that a network may be made of; the two above have no weights that an input could turn.
CELLS: Final[dict[str, Cell]] = {
    "elman": Elman,
    "elman-relu": ElmanReLU,
    "lstm": LSTM,
    "gru": GRU,
    "peephole-lstm": PeepholeLSTM,
    "cifg": CIFG,
    "mgu": MGU,
    "ugrnn": UGRNN,
    "indrnn": IndRNN,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "slstm": SLSTM,
}


def as_cell(cell: Any) -> Cell:
    """Return a cell itself, or the built-in one of this name: a key of CELLS, whatever the case.

    Raises UsageError for anything else.
    """
    if isinstance(cell, Cell):
        return cell
    if isinstance(cell, str):
        names = {_letters(name): built_in for name, built_in in CELLS.items()}
        if _letters(cell) in names:
            return names[_letters(cell)]
        plain = "; torch.nn's RNN is 'elman'" if _letters(cell) == "rnn" else ""
        if ".py:" in cell:
            plain = ": in Python import the cell and give it, not its name; only commands take FILE.py:NAME"
        hint = plain or suggestion(cell, CELLS) or f": there are {', '.join(CELLS)}"
        raise UsageError(f"there is no cell {cell!r}{hint}")
    if inspect.isfunction(cell):
        advice = "decorate it with @elman.cell(gates=..., state=...)"
        raise UsageError(f"{cell.__name__} is a plain function, not a cell: {advice}")
    raise UsageError(
        'a cell is one of elman.cells, the name of one ("lstm") or a function decorated with @elman.cell, '
        f"not {cell!r}"
    )


def _letters(name: str) -> str:
    """Return a name as it is compared: "PeepholeLSTM" is "peephole-lstm"."""
    return name.lower().replace("-", "").replace("_", "")
