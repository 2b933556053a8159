"""Print a Program: as text, and as LaTeX."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from elman.engine.ops import OPS, Op

if TYPE_CHECKING:
    from elman.engine.trace import Node, Program

LEAVES = ("input", "constant")


@dataclass(frozen=True)
class Style:
    """How to write a leaf (and how tightly it binds), the name of a value, brackets and an operator.

    `exact` keeps every bracket that says in which order to compute; a reader of LaTeX can do without some.
    """

    leaf: "Callable[[Node], tuple[str, int]]"
    name: "Callable[[Program, int], str]"
    brackets: str
    template: Callable[[Op], str]
    exact: bool


def text(program: "Program") -> str:
    """A line of inputs and outputs, then an equation a line."""
    used = [".".join(node.args) for node in program.nodes if node.op == "input"]
    lines = [f"{program.cell.name}({', '.join(used)}) -> {', '.join(program.results)}"]
    lines += [f"  {_name(program, k)} = {_render(program, k, TEXT)[0]}" for k in _shown(program)]
    lines += [f"  {state} = {_name(program, k)}" for state, k in _twins(program)]
    return "\n".join(lines)


def latex(program: "Program") -> str:
    """A LaTeX `align*` environment, with W, U, b and the time index written out."""
    lines = [f"  {_latex_name(program, k)} &= {_render(program, k, LATEX)[0]}" for k in _shown(program)]
    lines += [f"  {_latex(state)} &= {_latex_name(program, k)}" for state, k in _twins(program)]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def _shown(program: "Program") -> list[int]:
    """The values that get a line of their own: outputs, named by the author, or used more than once."""
    inner = [node for node in program.nodes if node.op not in LEAVES]
    uses = [a for node in inner for a in node.args]

    def shown(k: int, node: "Node") -> bool:
        own_line = bool(program.names[k]) or uses.count(k) > 1
        return k in program.outputs or (node.op not in LEAVES and own_line)

    return [k for k, node in enumerate(program.nodes) if shown(k, node)]


def _twins(program: "Program") -> list[tuple[str, int]]:
    """States that are the same value as a later one, and so have no line of their own."""
    return [(s, k) for s, k in zip(program.results, program.outputs, strict=True) if program.names[k] != s]


def _render(program: "Program", k: int, style: Style, top: bool = True) -> tuple[str, int]:
    """Value k as text and how tightly that text binds; a value with a line of its own appears by name."""
    node = program.nodes[k]
    if node.op in LEAVES:
        return style.leaf(node)
    if not top and k in _shown(program):
        return style.name(program, k), 9
    op = OPS[node.op]
    closed = op.level == 9 or (node.op == "div" and not style.exact)  # a fraction's bar brackets
    parts = []
    for position, a in enumerate(node.args):
        operand, level = _render(program, a, style, top=False)
        # Read from the left, as Python does, (a + b) + c needs no brackets.
        free = position == 0 or (node.op in ("add", "mul") and not style.exact)
        tight = level > op.level or (level == op.level and free)
        parts.append(operand if closed or tight else style.brackets.format(operand))
    return style.template(op).format(*parts), 9 if closed else op.level


def _name(program: "Program", k: int) -> str:
    return program.names[k] or f"t{k}"


def _latex_name(program: "Program", k: int) -> str:
    return _latex(_name(program, k))


def _latex(name: str) -> str:
    return f"{name}_t" if len(name) == 1 else rf"\mathit{{{_escaped(name)}}}_t"


def _escaped(name: str) -> str:
    return name.replace("_", r"\_")


def _number(value: float) -> tuple[str, int]:
    """Short where that is the same number; a sign binds as one."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value), 4 if value < 0 else 9


def _text_leaf(node: "Node") -> tuple[str, int]:
    return (".".join(node.args), 9) if node.op == "input" else _number(node.args[0])


def _latex_leaf(node: "Node") -> tuple[str, int]:
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


TEXT = Style(_text_leaf, _name, "({})", lambda op: op.text, exact=True)
LATEX = Style(_latex_leaf, _latex_name, r"\left({}\right)", lambda op: op.latex, exact=False)
