"""The values of a cell's gates, as further states of a cell that computes the same.

Every engine returns every state of every step, with gradients, on request; so it returns the gates, too.
"""

import functools
from dataclasses import dataclass
from typing import Any, Final

from elman.cells import Cell
from elman.engine.equations import Equations
from elman.engine.ops import OPS
from elman.engine.program import LEAVES, Node, Program
from elman.engine.trace import Symbol, Tape, trace

# What mixes values without being a function of a gate, beside the infix operators.
CHOICES: Final = ("where", "minimum", "maximum")


@dataclass(frozen=True, eq=False)
class Observed(Cell):
    """A cell whose last states are the values of its gates. No step reads them."""

    base: Cell

    def __reduce__(self) -> Any:
        return observed, (self.base,)


@functools.cache
def observed(cell: Cell) -> Observed:
    """Return the cell that computes the same and has the values of its gates as further states."""
    program, tape = trace(cell), Tape(cell)
    for node in program.nodes:
        tape.add(node)
    values = gate_values(program)
    gates = [values[g] if g in values else _sum(tape, program, g).number for g in cell.gates]
    names = (*program.names, *[""] * (len(tape.nodes) - len(program.nodes)))
    equations = Equations(tuple(tape.nodes), (*program.outputs, *gates), names, cell.parts)
    state = (*cell.state, *(f"gate.{g}" for g in cell.gates))  # no name of an author has a dot
    return Observed(f"{cell.name} with gates", equations, cell.gates, state, cell.weights, cell.parts, cell)


def base_of(cell: Cell) -> Cell:
    """Return the cell that an author wrote."""
    return cell.base if isinstance(cell, Observed) else cell


def gate_values(program: Program) -> dict[str, int]:
    """Return by gate which value of the equations is the gate's: the one that they call by its name, or else
    the first function of its sums, such as sigmoid or tanh. A gate without either is left out."""
    named = {name: k for k, name in enumerate(program.names) if k not in program.outputs}
    values = {g: named[g] if g in named else _first_function(program, g) for g in program.cell.gates}
    return {g: k for g, k in values.items() if k is not None}


def _first_function(program: Program, gate: str) -> int | None:
    """Return the first value that is a function of a gate's sums, or of arithmetic with them."""
    reached: set[int] = set()
    for k, node in enumerate(program.nodes):
        if node.op == "input":
            if node.args[0] in "xu" and node.args[1] == gate:
                reached.add(k)
        elif node.op not in LEAVES and not reached.isdisjoint(node.args):
            if OPS[node.op].level == 9 and node.op not in CHOICES:
                return k
            if k not in program.outputs:  # what is made of a new state is no gate
                reached.add(k)
    return None


def _sum(tape: Tape, program: Program, gate: str) -> Symbol:
    """Return the sum of those products of a gate that the equations read."""
    leaves = [Node("input", (letter, gate)) for letter in "xu"]
    read = [tape.add(leaf) for leaf in leaves if leaf in program.nodes] or [tape.add(leaves[0])]
    return sum(read[1:], start=read[0])
