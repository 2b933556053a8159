"""A cell's equations → a printable Program: run the function once on symbols and write down what it does."""

import functools
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch

from elman.cells import Cell
from elman.engine import listing
from elman.engine.ops import MEANING, OPS
from elman.errors import UsageError

TORCH: Final = str(Path(torch.__file__).parent) + os.sep


class CellError(UsageError):
    """An equation that the engine can't read."""


@dataclass(frozen=True)
class Node:
    """One value: an input ("x", "i"), a constant (1.0,), or a primitive of earlier values by number."""

    op: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Program:
    """A traced cell: values in the order they are computed, each at most once, none unused.

    `names[k]` is the name the cell's author gave value k ("" for none). `outputs` are the new states, or
    what else `results` says.
    """

    cell: Cell
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    names: tuple[str, ...]
    results: tuple[str, ...]

    def __str__(self) -> str:
        return listing.text(self)

    def latex(self) -> str:
        """The equations as a LaTeX `align*` environment, with W, U, b and the time index written out."""
        return listing.latex(self)


class Symbol:
    """A value that is not there yet. Arithmetic on it, and torch functions of it, are recorded."""

    def __init__(self, tape: "Tape", number: int) -> None:
        self.tape, self.number = tape, number

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> "Symbol":
        symbols = [a for a in args if isinstance(a, Symbol)]
        options = [k for k, v in (kwargs or {}).items() if v is not None and v is not False]
        if func not in MEANING or options or not symbols:
            raise _unknown(getattr(func, "__name__", str(func)) + "".join(f" with {k}=" for k in options))
        return symbols[0].tape.record(MEANING[func], args)

    def __bool__(self) -> bool:
        raise CellError(f"{_where()}: equations have no values yet to decide an `if`; use where(a, b, c)")

    def __getattr__(self, name: str) -> Any:
        if name in OPS and name not in ("where", "softplus"):  # those are no methods, or other ones
            return lambda *args: self.tape.record(name, (self, *args))
        if name.startswith("__"):  # Python asks whether there is such a method
            raise AttributeError(name)
        raise _unknown(f".{name}")


def _operator(name: str, swap: bool = False) -> Callable[..., Symbol]:
    def method(self: Symbol, *other: Any) -> Symbol:
        return self.tape.record(name, (*other, self) if swap else (self, *other))

    return method


def _refused(sign: str) -> Callable[..., Any]:
    def method(self: Symbol, *other: Any) -> Any:
        raise _unknown(sign)

    return method


for _method in ("add", "sub", "mul", "truediv", "neg", "gt", "lt", "abs"):
    _row = "div" if _method == "truediv" else _method
    setattr(Symbol, f"__{_method}__", _operator(_row))
    if _method in ("add", "sub", "mul", "truediv"):
        setattr(Symbol, f"__r{_method}__", _operator(_row, swap=True))

for _method, _sign in {
    **{"pow": "**", "rpow": "**", "mod": "%", "rmod": "%", "floordiv": "//", "rfloordiv": "//"},
    **{"matmul": "@", "rmatmul": "@", "eq": "==", "ne": "!=", "ge": ">=", "le": "<="},
    **{"and": "&", "rand": "&", "or": "|", "ror": "|", "xor": "^", "rxor": "^", "invert": "~"},
    **{"getitem": "[]", "iter": "taking apart", "len": "len", "float": "float", "int": "int"},
}.items():
    setattr(Symbol, f"__{_method}__", _refused(_sign))


class Tape:
    """Values as they are recorded, each once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.nodes: list[Node] = []
        self.known: dict[Node, int] = {}
        self.locals: dict[str, Any] = {}  # of the equations, as the last operation found them

    def record(self, op: str, args: tuple[Any, ...]) -> Symbol:
        if len(args) != OPS[op].operands:
            raise CellError(f"{_where()}: {op} takes {OPS[op].operands} values here, not {len(args)}")
        if op in ("minimum", "maximum") and not all(isinstance(a, Symbol) for a in args):
            raise CellError(f"{_where()}: {op} takes no numbers; write where(a > 1, a, 1) or the like")
        for place, a in enumerate(args):
            if (op == "where" and place == 0) != self.compares(a):
                raise CellError(f"{_where()}: a comparison stands first in where(a > b, c, d) and only there")
        self.watch()
        return self.add(Node(op, tuple(self.number(a, op) for a in args)))

    def watch(self) -> None:
        """Note the author's variables: their names make the listing readable."""
        code = getattr(self.cell.equations, "__code__", None)
        frame: FrameType | None = sys._getframe(1)
        while frame and frame.f_code is not code:
            frame = frame.f_back
        if frame:
            self.locals = dict(frame.f_locals)

    def compares(self, value: Any) -> bool:
        return isinstance(value, Symbol) and self.nodes[value.number].op in ("gt", "lt")

    def add(self, node: Node) -> Symbol:
        """The same expression is the same value: common subexpressions are shared here."""
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return Symbol(self, self.known[node])

    def number(self, value: Any, op: str) -> int:
        if isinstance(value, Symbol):
            return value.number
        if isinstance(value, int | float):
            return self.add(Node("constant", (float(value),))).number
        raise CellError(f"{_where()}: {op} takes named values and numbers, not a {type(value).__name__}")


class _Part:
    """`x`, `u`, `s` or `w`: its attributes are inputs."""

    def __init__(self, tape: Tape, letter: str, names: tuple[str, ...]) -> None:
        self._tape, self._letter, self._names = tape, letter, names

    def __getattr__(self, name: str) -> Symbol:
        if name not in self._names:
            known = " ".join(f"{self._letter}.{n}" for n in self._names)
            cell = self._tape.cell.name
            raise CellError(f"{_where()}: there is no {self._letter}.{name}; cell {cell} has {known}")
        return self._tape.add(Node("input", (self._letter, name)))


@functools.cache
def trace(cell: Cell) -> Program:
    """Read a cell's equations.

    Raises:
        CellError: an operation outside the table of primitives; the message names the line of the cell.
    """
    tape = Tape(cell)
    parts = {"x": cell.gates, "u": cell.gates, "s": cell.state, "w": cell.weights}
    inputs = [_Part(tape, letter, names) for letter, names in parts.items()]
    try:
        results = cell(*inputs)
    except TypeError as error:  # torch or Python turned down a symbol before it was asked
        raise CellError(f"{_raised_at(error)}: {error}; an equation may use {_vocabulary()}") from error
    if any(not isinstance(r, Symbol) or tape.compares(r) for r in results):
        raise CellError(f"cell {cell.name} must compute every state that it returns from named values")
    outputs = [r.number for r in results]
    # A state's name means the new state and nothing else, whatever the author called on the way there.
    names = {v.number: k for k, v in tape.locals.items() if isinstance(v, Symbol) and k not in cell.state}
    names |= dict(zip(outputs, cell.state, strict=True))
    return prune(cell, tape.nodes, outputs, names, cell.state)


def prune(
    cell: Cell,
    nodes: Sequence[Node],
    outputs: Sequence[int],
    names: Mapping[int, str],
    results: tuple[str, ...],
) -> Program:
    """Drop what no output needs and number the rest anew."""
    needed: set[int] = set()
    pending = list(outputs)
    while pending:
        k = pending.pop()
        if k not in needed:
            needed.add(k)
            pending += [] if nodes[k].op in ("input", "constant") else nodes[k].args
    order = sorted(needed)
    new = {k: i for i, k in enumerate(order)}

    def moved(node: Node) -> Node:
        return node if node.op in ("input", "constant") else Node(node.op, tuple(new[a] for a in node.args))

    kept = tuple(moved(nodes[k]) for k in order)
    numbers = tuple(new[k] for k in outputs)
    return Program(cell, kept, numbers, tuple(names.get(k, "") for k in order), results)


def _unknown(what: str) -> CellError:
    return CellError(f"{_where()}: {what} is not a primitive; an equation may use {_vocabulary()}")


def _vocabulary() -> str:
    return "+ - * / < > " + " ".join(name for name, op in OPS.items() if op.level == 9)


def _where() -> str:
    """File and line of the cell: the innermost caller outside this file and torch."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((__file__, TORCH)):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame else "cell"


def _raised_at(error: Exception) -> str:
    """The same for an error from within torch or Python."""
    calls = traceback.extract_tb(error.__traceback__)
    last = [call for call in calls if not call.filename.startswith((__file__, TORCH))][-1]
    return f"{last.filename}, line {last.lineno}"
