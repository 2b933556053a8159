"""Equations as data: a Program is a short list of primitives that prints itself, as text and as LaTeX."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elman.cells import Cell
from elman.engine.ops import OPS, Op

LEAVES: Final = ("input", "constant")
MAX_DEPTH: Final = 50  # of operations that are printed as one equation


@dataclass(frozen=True)
class Node:
    """One value: an input ("x", "i"), a constant (1.0,), or a primitive of earlier values by number."""

    op: str
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Program:
    """A traced cell: values in the order they are computed, each at most once, none unused.

    `names[k]` is the name the cell's author gave value k ("" for none). `outputs` are the new states, or
    the other values that `results` names.
    """

    cell: Cell
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    names: tuple[str, ...]
    results: tuple[str, ...]

    def __str__(self) -> str:
        """Return a line of inputs and outputs, then one equation a line."""
        inputs = [".".join(node.args) for node in self.nodes if node.op == "input"]
        lines = [f"{self.cell.name}({', '.join(inputs)}) -> {', '.join(self.results)}"]
        return "\n".join([*lines, *(f"  {name} = {value}" for name, value in _equations(self, TEXT))])

    def latex(self) -> str:
        """Return the equations as a LaTeX `align*` environment with W, U, b and the time index."""
        lines = [f"  {name} &= {value}" for name, value in _equations(self, LATEX)]
        return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def prune(
    cell: Cell,
    nodes: Sequence[Node],
    outputs: Sequence[int],
    names: Mapping[int, str],
    results: tuple[str, ...],
) -> Program:
    """Drop the values that no output needs and renumber the rest."""
    needed: set[int] = set()
    pending = list(outputs)
    while pending:
        k = pending.pop()
        if k not in needed:
            needed.add(k)
            pending += [] if nodes[k].op in LEAVES else nodes[k].args
    order = sorted(needed)
    new = {k: i for i, k in enumerate(order)}

    def renumbered(node: Node) -> Node:
        return node if node.op in LEAVES else Node(node.op, tuple(new[a] for a in node.args))

    return Program(
        cell,
        tuple(renumbered(nodes[k]) for k in order),
        tuple(new[k] for k in outputs),
        tuple(names.get(k, "") for k in order),
        results,
    )


@dataclass(frozen=True)
class Style:
    """How to write a leaf (and how tightly it binds), a name, brackets and an operator.

    `exact` keeps every bracket that determines the order of computation; LaTeX reads better without some.
    """

    leaf: Callable[[Node], tuple[str, int]]
    name: Callable[[str], str]
    brackets: str
    template: Callable[[Op], str]
    exact: bool


def _equations(program: Program, style: Style) -> list[tuple[str, str]]:
    """Return (name, expression) of every value with its own line, then of states that repeat a value."""
    inner = [node for node in program.nodes if node.op not in LEAVES]
    uses = Counter(a for node in inner for a in node.args)
    depths: list[int] = []  # of the operations below a value, down to values with their own line

    def shown(k: int, node: Node) -> bool:
        if node.op in LEAVES:
            depths.append(0)
            return k in program.outputs
        depth = 1 + max(depths[a] for a in node.args)
        own = k in program.outputs or bool(program.names[k]) or uses[k] > 1 or depth >= MAX_DEPTH
        depths.append(0 if own else depth)
        return own

    names = {
        k: style.name(program.names[k] or f"t{k}") for k, node in enumerate(program.nodes) if shown(k, node)
    }
    repeats = [(s, k) for s, k in zip(program.results, program.outputs, strict=True) if program.names[k] != s]
    return [(name, _render(program, k, style, names, top=True)[0]) for k, name in names.items()] + [
        (style.name(state), names[k]) for state, k in repeats
    ]


def _render(
    program: Program, k: int, style: Style, names: Mapping[int, str], top: bool = False
) -> tuple[str, int]:
    """Return value k as text and how tightly it binds; a value with its own line appears by name."""
    node = program.nodes[k]
    if node.op in LEAVES:
        return style.leaf(node)
    if not top and k in names:
        return names[k], 9
    op = OPS[node.op]
    closed = op.level == 9 or (node.op == "div" and not style.exact)  # a fraction's bar acts as brackets
    parts = []
    for position, a in enumerate(node.args):
        operand, level = _render(program, a, style, names)
        # Read from the left, as Python does, (a + b) + c needs no brackets.
        associative = position == 0 or (node.op in ("add", "mul") and not style.exact)
        tight = level > op.level or (level == op.level and associative)
        parts.append(operand if closed or tight else style.brackets.format(operand))
    return style.template(op).format(*parts), 9 if closed else op.level


def _number(value: float) -> tuple[str, int]:
    """Return the short form if it is exact; a minus binds as a sign."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value), 4 if value < 0 else 9


def _text_leaf(node: Node) -> tuple[str, int]:
    return (".".join(node.args), 9) if node.op == "input" else _number(node.args[0])


def _latex_leaf(node: Node) -> tuple[str, int]:
    if node.op == "constant":
        return _number(node.args[0])
    letter, name = node.args
    base, _, index = (_escaped(part) for part in name.partition("_"))
    name = _escaped(name)
    return {
        "x": (f"W_{{{name}}} x_t + b_{{{name}}}", 2),
        "u": (f"U_{{{name}}} h_{{t-1}} + b'_{{{name}}}", 2),
        "s": (f"{name}_{{t-1}}", 9),
        "w": (f"{base}_{{{index}}}" if index else name, 9),
    }[letter]


def _latex_name(name: str) -> str:
    return f"{name}_t" if len(name) == 1 else rf"\mathit{{{_escaped(name)}}}_t"


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


TEXT: Final = Style(_text_leaf, str, "({})", lambda op: op.text, exact=True)
LATEX: Final = Style(_latex_leaf, _latex_name, r"\left({}\right)", lambda op: op.latex, exact=False)
