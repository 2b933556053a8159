"""Trace a cell's equations to a Program: run the function once on symbols and record what it does."""

import functools
import inspect
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch

from elman.cells import Cell
from elman.engine.equations import Equations
from elman.engine.ops import MEANING, OPS, VARIANTS
from elman.engine.program import Node, Program, prune
from elman.engine.rewrites import REWRITES, power
from elman.errors import UsageError
from elman.settings import plain

TORCH: Final = str(Path(torch.__file__).parent) + os.sep
INSIDE: Final = (__file__, inspect.getfile(power), TORCH)  # files that are not the cell's
# Methods of tensors that are no primitives: names of functions, which do the same.
METHODS: Final = {function.__name__: function for function in REWRITES}
# A loop that records more than this has no end: SLSTM, the longest built-in cell, takes 21 operations.
MAX_OPERATIONS: Final = 10_000


class CellError(UsageError):
    """An equation that the engine can't read."""


class Symbol:
    """A value to be computed later: arithmetic on it, and torch functions of it, are recorded."""

    def __init__(self, tape: "Tape", number: int) -> None:
        self.tape, self.number = tape, number

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> "Symbol":
        symbols = [a for a in args if isinstance(a, Symbol)]
        options = {k: v for k, v in (kwargs or {}).items() if v is not None and v is not False}
        if func in REWRITES and symbols:
            return _rewritten(func, *args, **options)
        name = MEANING.get(func)
        if len(options) == 1 and (func, *next(iter(options.items()))) in VARIANTS:
            name, options = VARIANTS[func, *options.popitem()], {}
        if name is None or options or not symbols:
            raise _unknown(getattr(func, "__name__", str(func)) + "".join(f" with {k}=" for k in options))
        return symbols[0].tape.record(name, args)

    def __bool__(self) -> bool:
        raise CellError(f"{_where()}: equations have no values yet to decide an `if`; use where(a, b, c)")

    def __getattr__(self, name: str) -> Any:
        if name in OPS and OPS[name].method:
            return lambda *args: self.tape.record(name, (self, *args))
        if name in METHODS:
            return lambda *args, **options: _rewritten(METHODS[name], self, *args, **options)
        if name.startswith("__"):  # Python asks whether there is such a method
            raise AttributeError(name)
        raise _unknown(f".{name}")


def _rewritten(function: Any, *args: Any, **options: Any) -> Symbol:
    """Record a function that is no primitive as the primitives that it is made of."""
    numbers = [a if isinstance(a, Symbol) else plain(a) for a in args]
    try:
        result: Symbol = REWRITES[function](*numbers, **options)
    except CellError:
        raise
    except UsageError as error:
        raise CellError(f"{_where()}: {error}") from None
    return result


def _operator(name: str, swap: bool = False) -> Callable[..., Symbol]:
    def method(self: Symbol, *other: Any) -> Symbol:
        return self.tape.record(name, (*other, self) if swap else (self, *other))

    return method


def _refused(sign: str) -> Callable[..., Any]:
    def method(self: Symbol, *other: Any) -> Any:
        raise _unknown(sign)

    return method


def _power(self: Symbol, exponent: Any) -> Symbol:
    return _rewritten(torch.pow, self, exponent)


def _power_of(self: Symbol, base: Any) -> Symbol:
    return _rewritten(torch.pow, base, self)


for _method, _function in {"__pow__": _power, "__rpow__": _power_of}.items():
    setattr(Symbol, _method, _function)

for _method in ("add", "sub", "mul", "truediv", "neg", "gt", "lt", "abs"):
    _row = "div" if _method == "truediv" else _method
    setattr(Symbol, f"__{_method}__", _operator(_row))
    if _method in ("add", "sub", "mul", "truediv"):
        setattr(Symbol, f"__r{_method}__", _operator(_row, swap=True))

for _method, _sign in {
    **{"mod": "%", "rmod": "%", "floordiv": "//", "rfloordiv": "//"},
    **{"matmul": "@", "rmatmul": "@", "eq": "==", "ne": "!=", "ge": ">=", "le": "<="},
    **{"and": "&", "rand": "&", "or": "|", "ror": "|", "xor": "^", "rxor": "^", "invert": "~"},
    **{"getitem": "[]", "iter": "taking apart", "len": "len", "float": "float", "int": "int"},
}.items():
    setattr(Symbol, f"__{_method}__", _refused(_sign))


class Tape:
    """The recorded values, each once."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.nodes: list[Node] = []
        self.numbers: dict[Node, int] = {}
        self.locals: dict[str, Any] = {}  # of the equations, at the last operation
        self.operations = 0

    def record(self, op: str, args: tuple[Any, ...]) -> Symbol:
        row = OPS[op]
        if len(args) != row.operands:
            raise CellError(f"{_where()}: {op} takes {row.operands} values here, not {len(args)}")
        if not row.numbers and not all(isinstance(a, Symbol) for a in args):
            raise CellError(f"{_where()}: {op} takes no numbers; write where(a > 1, a, 1) or the like")
        for position, a in enumerate(args):
            if (op == "where" and position == 0) != self.compares(a):
                raise CellError(f"{_where()}: only the first argument of where(a > b, c, d) is a comparison")
        if self.frame:
            self.locals = dict(self.frame.f_locals)
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                raise CellError(f"{_where()}: over {MAX_OPERATIONS} operations a step: has a loop no end?")
        return self.add(Node(op, tuple(self.number(a, op) for a in args)))

    @functools.cached_property
    def frame(self) -> FrameType | None:
        """The running equations, whose variable names make a listing readable; None in a derivative rule."""
        code = getattr(self.cell.equations, "__code__", None)
        frame: FrameType | None = sys._getframe(1)
        while frame and frame.f_code is not code:
            frame = frame.f_back
        return frame

    def compares(self, value: Any) -> bool:
        return isinstance(value, Symbol) and self.nodes[value.number].op in ("gt", "lt")

    def add(self, node: Node) -> Symbol:
        """Record a value, or return the symbol of the same expression: common subexpressions are shared."""
        if node not in self.numbers:
            self.numbers[node] = len(self.nodes)
            self.nodes.append(node)
        return Symbol(self, self.numbers[node])

    def number(self, value: Any, op: str) -> int:
        if isinstance(value, Symbol):
            return value.number
        value = plain(value)
        if isinstance(value, int | float):
            return self.add(Node("constant", (float(value),))).number
        raise CellError(f"{_where()}: {op} takes named values and numbers, not a {type(value).__name__}")


class _Part:
    """`x`, `u`, `s` or `w`: its attributes are inputs."""

    def __init__(self, tape: Tape, letter: str, names: tuple[str, ...]) -> None:
        self._tape, self._letter, self._names = tape, letter, names

    def __getattr__(self, name: str) -> Symbol:
        if name not in self._names:
            names = " ".join(f"{self._letter}.{n}" for n in self._names)
            cell = self._tape.cell.name
            raise CellError(f"{_where()}: there is no {self._letter}.{name}; cell {cell} has {names}")
        return self._tape.add(Node("input", (self._letter, name)))


@functools.cache
def trace(cell: Cell) -> Program:
    """Return a cell's equations as a Program.

    Raises:
        CellError: for an operation outside the table of primitives; the message names the line of the cell.
    """
    if isinstance(cell.equations, Equations):
        return cell.equations.program(cell)
    tape = Tape(cell)
    parts = {"x": cell.gates, "u": cell.gates, "s": cell.state, "w": cell.weights}
    inputs = [_Part(tape, letter, names) for letter, names in parts.items()]
    try:
        results = cell(*inputs)
    except UsageError:
        raise
    except RecursionError as error:
        raise CellError(f"{_raised_at(error)}: cell {cell.name} calls itself without end") from None
    except TypeError as error:  # torch or Python refused the symbol itself
        raise CellError(f"{_raised_at(error)}: {error}; an equation may use {_vocabulary()}") from error
    except (Exception, SystemExit) as error:
        raise CellError(f"{_raised_at(error)}: {type(error).__name__}: {error}") from error
    if any(not isinstance(r, Symbol) or tape.compares(r) for r in results):
        raise CellError(f"cell {cell.name} must compute every state that it returns from named values")
    outputs = [r.number for r in results]
    # a state's name means the new state, even if the author gave that name to another value too
    names = {v.number: k for k, v in tape.locals.items() if isinstance(v, Symbol) and k not in cell.state}
    names |= dict(zip(outputs, cell.state, strict=True))
    return prune(cell, tape.nodes, outputs, names, cell.state)


def _unknown(what: str) -> CellError:
    return CellError(f"{_where()}: {what} is not a primitive; an equation may use {_vocabulary()}")


def _vocabulary() -> str:
    names = [name for name, op in OPS.items() if op.level == 9] + list(METHODS)
    return "+ - * / ** < > " + " ".join(names)


def _where() -> str:
    """Return the file and line of the cell: the innermost caller outside this file and torch."""
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith(INSIDE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}, line {frame.f_lineno}" if frame else "cell"


def _raised_at(error: BaseException) -> str:
    """Return the innermost line of an error outside this file and torch."""
    calls = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    file, line = [call for call in calls if not call[0].startswith(INSIDE)][-1]
    return f"{file}, line {line}"
