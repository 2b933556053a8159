"""What a cell is: equations, and the names that they use."""

import importlib
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final
from weakref import WeakValueDictionary

from elman.errors import UsageError

PARTS = ("x", "u", "s", "w")
# By their ids: while it compiles, PyTorch can tell the id of an object and not the object itself.
_ALIVE: Final["WeakValueDictionary[int, Cell]"] = WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class Cell:
    """A recurrence: its equations and the names they use. Made by `@cell`, run by `elman.engine.scan`."""

    name: str
    equations: Callable[..., Any]
    gates: tuple[str, ...]
    state: tuple[str, ...]
    weights: tuple[str, ...]
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        _ALIVE[id(self)] = self

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
                f"({' '.join(self.state)}): return one value for each state, in that order"
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


def cell_with_id(identity: int) -> Cell:
    """Return the cell with an id. Raises KeyError if there is none."""
    return _ALIVE[identity]


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
                raise UsageError(f'cell {name}: {what} must be a string of names, as in "i f", not {text!r}')
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
