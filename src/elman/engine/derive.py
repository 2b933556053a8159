"""Differentiate a Program by the rules in `elman.engine.ops`, and choose what the forward pass keeps.

Reverse accumulation (Griewank, Walther, "Evaluating Derivatives", 2008, chapter 3) on symbols, which
`elman.engine.trace` records.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from elman.cells import Cell
from elman.engine.ops import OPS
from elman.engine.program import LEAVES, Node, Program, prune
from elman.engine.trace import Symbol, Tape, trace


@dataclass(frozen=True)
class Pair:
    """A cell's forward and backward Programs.

    Beside a cell's inputs, the forward Program may read a.g = x.g + u.g, the sum of both products, and z.c,
    the share of state c that zoneout keeps. The backward Program reads kept.v (value v of the forward pass),
    s.c, w.p, z.c, new.c (state c after the step) and d.c (the gradient of new.c from later steps and the
    output); its outputs are the gradients of the inputs in `gradients`, in that order, and those of new.c by
    all ways if they are to be noted.
    """

    forward: Program
    backward: Program
    gradients: tuple[tuple[str, str], ...]
    kept: dict[str, int]  # name → value of the forward Program

    def inputs(self, letter: str) -> tuple[str, ...]:
        """Return the names that the forward Program reads with this letter, in the cell's order."""
        read = {n.args[1] for n in self.forward.nodes if n.op == "input" and n.args[0] == letter}
        cell = self.forward.cell
        order = {"s": cell.state, "z": cell.state, "w": cell.weights}.get(letter, cell.gates)
        return tuple(name for name in order if name in read)


@functools.cache
def derive(cell: Cell, zoneout: bool = False, joined: bool = True, noted: bool = False) -> Pair:
    """Return the Programs of a cell's kernels; unless `joined`, x.g and u.g are inputs of their own. If
    `noted`, the backward Program's outputs also have the gradient of every new state, by all ways."""
    program = trace(cell)
    if zoneout:
        program = _zoned_out(program)
    if joined:
        program = _joined(program)
    tape = Tape(program.cell)
    values = [tape.add(node) for node in program.nodes]
    gradients = _gradients(program, tape, values, noted)
    return _cut(program, tape.nodes, gradients)


def _zoned_out(program: Program) -> Program:
    """Mix every new state with the old one, in the share z."""
    tape = Tape(program.cell)
    values = [tape.add(node) for node in program.nodes]
    outputs = []
    for name, k in zip(program.cell.state, program.outputs, strict=True):
        z: Any = tape.add(Node("input", ("z", name)))
        old: Any = tape.add(Node("input", ("s", name)))
        outputs.append((z * old + (1.0 - z) * values[k]).number)
    return _pruned(program, tape.nodes, outputs)


def _joined(program: Program) -> Program:
    """Read x.g + u.g as one input a.g where the two are never used apart: one sum of both products."""
    users: dict[int, list[int]] = {}
    for k, node in enumerate(program.nodes):
        for a in node.args if node.op not in LEAVES else ():
            users.setdefault(a, []).append(k)
    inputs = {node.args: k for k, node in enumerate(program.nodes) if node.op == "input"}
    nodes = list(program.nodes)
    for gate in program.cell.gates:
        x, u = inputs.get(("x", gate)), inputs.get(("u", gate))
        if x is None or u is None or {x, u} & set(program.outputs):
            continue
        if len(users[x]) == 1 and users[x] == users[u] and nodes[users[x][0]].op == "add":
            nodes[users[x][0]] = Node("input", ("a", gate))
    return _pruned(program, nodes, program.outputs)


def _pruned(program: Program, nodes: Sequence[Node], outputs: Sequence[int]) -> Program:
    return prune(program.cell, nodes, outputs, dict(enumerate(program.names)), program.results)


def _gradients(
    program: Program, tape: Tape, values: Sequence[Symbol], noted: bool
) -> dict[tuple[str, str], int]:
    """Append the gradients of all inputs to the tape: input → number of its gradient."""
    gradients: dict[int, Any] = {}  # value of the Program → symbol

    def collect(k: int, g: Symbol) -> None:
        gradients[k] = gradients[k] + g if k in gradients else g

    for name, k in zip(program.cell.state, program.outputs, strict=True):
        collect(k, tape.add(Node("input", ("d", name))))
    for k in reversed(range(len(program.nodes))):
        node = program.nodes[k]
        if k not in gradients or node.op in LEAVES:
            continue
        parts = OPS[node.op].gradient(gradients[k], values[k], *(values[a] for a in node.args))
        for a, g in zip(node.args, parts, strict=True):
            if g is not None and program.nodes[a].op != "constant":
                collect(a, g)
    leaves = {n.args: k for k, n in enumerate(program.nodes) if n.op == "input" and n.args[0] != "z"}
    numbers = {leaf: gradients[k].number for leaf, k in leaves.items() if k in gradients}
    if noted:
        numbers |= {
            ("new", name): gradients[k].number
            for name, k in zip(program.cell.state, program.outputs, strict=True)
        }
    return numbers


class _Cut:
    """Split the joint tape of both passes: the backward pass keeps, rereads or recomputes forward values."""

    def __init__(self, program: Program, nodes: Sequence[Node], outputs: Sequence[int]) -> None:
        self.program, self.nodes = program, nodes
        self.tape = Tape(program.cell)
        self.kept: dict[str, int] = {}
        self.names: dict[int, str] = {}
        self.moved: dict[int, int] = {}
        # Where two states are one value, the first one's name serves for both.
        self.states = dict(reversed(list(zip(program.outputs, program.cell.state, strict=True))))
        self.used = self._used(outputs)
        self.free: list[bool] = []  # whether a value follows from states, weights and constants
        for k in range(len(nodes)):
            self.free.append(self._is_free(k))

    def _used(self, outputs: Sequence[int]) -> set[int]:
        """Return the values of the forward pass that the gradients use directly."""
        pending, reached = list(outputs), set()
        while pending:
            k = pending.pop()
            if k not in reached:
                reached.add(k)
                if k >= len(self.program.nodes) and self.nodes[k].op not in LEAVES:
                    pending += self.nodes[k].args
        return {k for k in reached if k < len(self.program.nodes)}

    def _is_free(self, k: int) -> bool:
        """Return whether value k follows from states, weights and constants, so that it need not be kept."""
        node = self.nodes[k]
        if k in self.states or node.op == "constant":
            return True
        if node.op == "input":
            return node.args[0] in ("s", "w", "z")
        return all(self.free[a] for a in node.args)

    def _recomputed(self, k: int) -> bool:
        """Return whether to compute value k again: from free values, or cheaply from kept ones. What a
        comparison compares is kept, not its outcome, which is no number."""
        node = self.nodes[k]
        if node.op in LEAVES:
            return False
        if OPS[node.op].is_comparison:
            return True
        kept = [a for a in node.args if not self.free[a]]
        return not kept or (
            OPS[node.op].cheap and all(a in self.used and not _cheap(self.nodes[a]) for a in kept)
        )

    def put(self, k: int) -> int:
        """Copy value k of the joint tape to the backward tape, after what it needs; return its number."""
        pending = [k]  # no recursion: a chain of operations may be longer than Python's stack
        while pending:
            missing = next((a for a in self._sources(pending[-1]) if a not in self.moved), None)
            if missing is not None:
                pending.append(missing)
            elif (last := pending.pop()) not in self.moved:
                self._move(last)
        return self.moved[k]

    def _sources(self, k: int) -> tuple[int, ...]:
        """Return the values from which the backward pass computes value k; none if it reads it."""
        node = self.nodes[k]
        if k in self.states or node.op in LEAVES:
            return ()
        computed = k >= len(self.program.nodes) or self.free[k] or self._recomputed(k)
        return node.args if computed else ()

    def _move(self, k: int) -> None:
        node, sources = self.nodes[k], self._sources(k)
        if k in self.states:
            new = Node("input", ("new", self.states[k]))
        elif sources:
            new = Node(node.op, tuple(self.moved[a] for a in sources))
        elif k >= len(self.program.nodes) or self.free[k]:  # a leaf
            new = node
        else:
            name = self.program.names[k] or _leaf_name(node) or f"t{k}"
            while name in self.kept:
                name += "_"
            self.kept[name] = k
            new = Node("input", ("kept", name))
        self.moved[k] = self.tape.add(new).number
        if k < len(self.program.nodes):
            self.names[self.moved[k]] = self.program.names[k]


def _cheap(node: Node) -> bool:
    return node.op not in LEAVES and OPS[node.op].cheap


def _leaf_name(node: Node) -> str:
    return "_".join(node.args) if node.op == "input" else ""


def _cut(program: Program, nodes: Sequence[Node], gradients: dict[tuple[str, str], int]) -> Pair:
    cut = _Cut(program, nodes, list(gradients.values()))
    outputs = [cut.put(k) for k in gradients.values()]
    results = tuple("d" + ".".join(leaf) for leaf in gradients)
    taken = set(results) | set(program.cell.state)
    names = {k: name for k, name in cut.names.items() if name not in taken}
    names |= dict(zip(outputs, results, strict=True))
    backward = prune(program.cell, cut.tape.nodes, outputs, names, results)
    return Pair(program, backward, tuple(gradients), cut.kept)
