"""A Program → the Program of its gradients, by the rule table, and what the forward pass must keep for it.

Reverse accumulation (Griewank, Walther, "Evaluating Derivatives", 2008, chapter 3) on symbols: a rule is
written in the very arithmetic of the equations, so that `elman.engine.trace` records it.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import sigmoid, where

from elman.cells import Cell
from elman.engine.trace import Node, Program, Symbol, Tape, prune, trace

LEAVES: Final = ("input", "constant")
# Recomputing one of these costs no more than reading it from memory.
CHEAP: Final = frozenset(
    ["add", "sub", "mul", "neg", "gt", "lt", "where", "relu", "abs", "minimum", "maximum"]
)


def _share(here: Any, g: Any) -> Any:
    """Of two equal values, each gets half of the gradient, as in PyTorch."""
    return where(here > 0, g, where(here < 0, 0.0, 0.5 * g))


# For each primitive (gradient, value, operands) → a gradient for each operand, None where there is none.
RULES: Final[dict[str, Callable[..., tuple[Any, ...]]]] = {
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, -g),
    "mul": lambda g, y, a, b: (g * b, g * a),
    "div": lambda g, y, a, b: (g / b, -(g * y) / b),
    "neg": lambda g, y, a: (-g,),
    "gt": lambda g, y, a, b: (None, None),
    "lt": lambda g, y, a, b: (None, None),
    "sigmoid": lambda g, y, a: (g * (y * (1 - y)),),
    "tanh": lambda g, y, a: (g * (1 - y * y),),
    "exp": lambda g, y, a: (g * y,),
    "log": lambda g, y, a: (g / a,),
    "sqrt": lambda g, y, a: (g / (y + y),),
    "relu": lambda g, y, a: (where(y > 0, g, 0.0),),
    "softplus": lambda g, y, a: (g * sigmoid(a),),
    "abs": lambda g, y, a: (where(a > 0, g, where(a < 0, -g, 0.0)),),
    "minimum": lambda g, y, a, b: (_share(b - a, g), _share(a - b, g)),
    "maximum": lambda g, y, a, b: (_share(a - b, g), _share(b - a, g)),
    "where": lambda g, y, c, a, b: (None, where(c, g, 0.0), where(c, 0.0, g)),
}


@dataclass(frozen=True)
class Pair:
    """A cell's forward and backward Programs.

    Beside the inputs of a cell, the forward one may read a.g = x.g + u.g, the sum of both products, and z.c,
    the share of state c that zoneout keeps. The backward one reads kept.v (value v of the forward pass), s.c,
    w.p, z.c, new.c (a state as the step leaves it) and d.c (the gradient of new.c); its outputs are the
    gradients of the inputs in `gradients`, in that order.
    """

    forward: Program
    backward: Program
    gradients: tuple[tuple[str, str], ...]
    kept: dict[str, int]  # name → value of the forward Program

    def inputs(self, letter: str) -> tuple[str, ...]:
        """The names that the forward Program reads with this letter, in the cell's order."""
        read = {n.args[1] for n in self.forward.nodes if n.op == "input" and n.args[0] == letter}
        cell = self.forward.cell
        order = {"s": cell.state, "z": cell.state, "w": cell.weights}.get(letter, cell.gates)
        return tuple(name for name in order if name in read)


@functools.cache
def derive(cell: Cell, zoneout: bool = False, joined: bool = True) -> Pair:
    """The Programs that a compiled kernel runs for a cell; unless `joined`, x.g and u.g stay apart."""
    program = trace(cell)
    if zoneout:
        program = _zoned_out(program)
    if joined:
        program = _joined(program)
    tape = Tape(program.cell)
    values = [tape.add(node) for node in program.nodes]
    gradients = _gradients(program, tape, values)
    return _cut(program, tape.nodes, gradients)


def _zoned_out(program: Program) -> Program:
    """Every new state as a mixture with the old one, in the share z."""
    tape = Tape(program.cell)
    values = [tape.add(node) for node in program.nodes]
    outputs = []
    for name, k in zip(program.cell.state, program.outputs, strict=True):
        z: Any = tape.add(Node("input", ("z", name)))
        old: Any = tape.add(Node("input", ("s", name)))
        outputs.append((z * old + (1.0 - z) * values[k]).number)
    return _pruned(program, tape.nodes, outputs)


def _joined(program: Program) -> Program:
    """x.g + u.g as one input a.g, where the two are never used apart: one sum of both products."""
    users: dict[int, list[int]] = {}
    for k, node in enumerate(program.nodes):
        for a in node.args if node.op not in LEAVES else ():
            users.setdefault(a, []).append(k)
    place = {node.args: k for k, node in enumerate(program.nodes) if node.op == "input"}
    nodes = list(program.nodes)
    for gate in program.cell.gates:
        x, u = place.get(("x", gate)), place.get(("u", gate))
        if x is None or u is None or {x, u} & set(program.outputs):
            continue
        if len(users[x]) == 1 and users[x] == users[u] and nodes[users[x][0]].op == "add":
            nodes[users[x][0]] = Node("input", ("a", gate))
    return _pruned(program, nodes, program.outputs)


def _pruned(program: Program, nodes: Sequence[Node], outputs: Sequence[int]) -> Program:
    """The same Program with other nodes under the numbers that had names."""
    return prune(program.cell, nodes, outputs, dict(enumerate(program.names)), program.results)


def _gradients(program: Program, tape: Tape, values: Sequence[Symbol]) -> dict[tuple[str, str], int]:
    """Append the gradients of all inputs to the tape: input → number of its gradient."""
    found: dict[int, Any] = {}  # symbols

    def collect(k: int, g: Symbol) -> None:
        found[k] = found[k] + g if k in found else g

    for name, k in zip(program.cell.state, program.outputs, strict=True):
        collect(k, tape.add(Node("input", ("d", name))))
    for k in reversed(range(len(program.nodes))):
        node = program.nodes[k]
        if k not in found or node.op in LEAVES:
            continue
        parts = RULES[node.op](found[k], values[k], *(values[a] for a in node.args))
        for a, g in zip(node.args, parts, strict=True):
            if g is not None and program.nodes[a].op != "constant":
                collect(a, g)
    leaves = {n.args: k for k, n in enumerate(program.nodes) if n.op == "input" and n.args[0] != "z"}
    return {leaf: found[k].number for leaf, k in leaves.items() if k in found}


class _Cut:
    """Split values of a joint tape: those of the forward pass are kept, read again or computed again."""

    def __init__(self, program: Program, nodes: Sequence[Node]) -> None:
        self.program, self.nodes = program, nodes
        self.tape = Tape(program.cell)
        self.kept: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.moved: dict[int, int] = {}
        # Where two states are one value, the first one's name stands for both.
        self.states = dict(reversed(list(zip(program.outputs, program.cell.state, strict=True))))
        self.free = functools.cache(self._free)

    def _free(self, k: int) -> bool:
        """Whether the backward pass has value k without keeping it: from states, weights and constants."""
        node = self.nodes[k]
        if k in self.states or node.op == "constant":
            return True
        if node.op == "input":
            return node.args[0] in ("s", "w", "z")
        return all(self.free(a) for a in node.args)

    def again(self, k: int, wanted: set[int]) -> bool:
        """Whether to compute value k again: from free values, or cheaply from those kept anyhow."""
        node = self.nodes[k]
        if node.op in LEAVES:
            return False
        held = [a for a in node.args if not self.free(a)]
        return not held or (
            node.op in CHEAP and all(a in wanted and self.nodes[a].op not in CHEAP for a in held)
        )

    def put(self, k: int, wanted: set[int]) -> int:
        """Value k of the joint tape on the backward tape."""
        if k not in self.moved:
            node = self.nodes[k]
            if k in self.states:
                new = Node("input", ("new", self.states[k]))
            elif k >= len(self.program.nodes) or self.free(k) or self.again(k, wanted):
                inner = node.op not in LEAVES
                new = Node(node.op, tuple(self.put(a, wanted) for a in node.args)) if inner else node
            else:
                name = self.program.names[k] or _leaf_name(node) or f"t{k}"
                while name in self.kept:
                    name += "_"
                self.kept[name] = k
                new = Node("input", ("kept", name))
            self.moved[k] = self.tape.add(new).number
            if k < len(self.program.nodes):
                self.names[self.moved[k]] = self.program.names[k]
        return self.moved[k]

    def wanted(self, outputs: Sequence[int]) -> set[int]:
        """Values of the forward pass that the gradients use directly."""
        pending, seen = list(outputs), set()
        while pending:
            k = pending.pop()
            if k not in seen:
                seen.add(k)
                if k >= len(self.program.nodes) and self.nodes[k].op not in LEAVES:
                    pending += self.nodes[k].args
        return {k for k in seen if k < len(self.program.nodes)}


def _leaf_name(node: Node) -> str:
    return "_".join(node.args) if node.op == "input" else ""


def _cut(program: Program, nodes: Sequence[Node], gradients: dict[tuple[str, str], int]) -> Pair:
    cut = _Cut(program, nodes)
    wanted = cut.wanted(list(gradients.values()))
    outputs = [cut.put(k, wanted) for k in gradients.values()]
    results = tuple("d" + ".".join(leaf) for leaf in gradients)
    taken = set(results) | set(program.cell.state)
    names = {k: name for k, name in cut.names.items() if name not in taken}
    names |= dict(zip(outputs, results, strict=True))
    backward = prune(program.cell, cut.tape.nodes, outputs, names, results)
    return Pair(program, backward, tuple(gradients), cut.kept)
