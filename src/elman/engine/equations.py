"""A cell's equations as data that run: what a model's folder holds in place of a function of Python."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from elman.cells import Cell
from elman.engine.ops import OPS
from elman.engine.program import Node, Program

# Python's operators, which unlike torch's functions take a number on the left.
INFIX: Final[dict[str, Callable[..., Any]]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
}


@dataclass(frozen=True)
class Equations:
    """The values of a Program, which it computes anew for the named values of `parts` (x, u, s, w)."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    names: tuple[str, ...]
    parts: tuple[str, ...]

    def program(self, cell: Cell) -> Program:
        """Return the Program of the cell whose equations these are."""
        return Program(cell, self.nodes, self.outputs, self.names, cell.state)

    def __call__(self, *parts: Any) -> tuple[Any, ...]:
        """Take one step, on tensors or on symbols, as the function did whose equations these are."""
        named = dict(zip(self.parts, parts, strict=True))
        values: list[Any] = []
        for node in self.nodes:
            if node.op == "input":
                letter, name = node.args
                values.append(getattr(named[letter], name))
            elif node.op == "constant":
                values.append(node.args[0])
            else:
                compute = INFIX.get(node.op) or OPS[node.op].value
                values.append(compute(*(values[a] for a in node.args)))
        return tuple(values[k] for k in self.outputs)
