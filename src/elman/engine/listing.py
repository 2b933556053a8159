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
    """How to write a leaf (and how tightly it binds), the name of a value, brackets and an operator."""

    leaf: "Callable[[Node], tuple[str, int]]"
    name: "Callable[[Program, int], str]"
    brackets: str
    template: Callable[[Op], str]
    division_binds: bool


def text(program: "Program") -> str:
    """A line of inputs and outputs, then an equation a line."""
    used = [".".join(node.args) for node in program.nodes if node.op == "input"]
    lines = [f"{program.cell.name}({', '.join(used)}) -> {', '.join(program.cell.state)}"]
    lines += [f"  {_name(program, k)} = {_render(program, k, TEXT)[0]}" for k in _shown(program)]
    return "\n".join(lines)


def latex(program: "Program") -> str:
    """A LaTeX `align*` environment, with W, U, b and the time index written out."""
    lines = [f"  {_latex_name(program, k)} &= {_render(program, k, LATEX)[0]}" for k in _shown(program)]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(lines), r"\end{align*}"])


def _shown(program: "Program") -> list[int]:
    """The values that get a line of their own: outputs, named by the author, or used more than once."""
    inner = [node for node in program.nodes if node.op not in LEAVES]
    uses = [a for node in inner for a in node.args]

    def shown(k: int, node: "Node") -> bool:
        own_line = bool(program.names[k]) or uses.count(k) > 1
        return k in program.outputs or (node.op not in LEAVES and own_line)

    return [k for k, node in enumerate(program.nodes) if shown(k, node)]


def _render(program: "Program", k: int, style: Style, top: bool = True) -> tuple[str, int]:
    """Value k as text and how tightly that text binds; a value with a line of its own appears by name."""
    node = program.nodes[k]
    if node.op in LEAVES:
        return style.leaf(node)
    if not top and k in _shown(program):
        return style.name(program, k), 9
    op = OPS[node.op]
    closed = op.level == 9 or (style.division_binds and node.op == "div")
    parts = []
    for position, a in enumerate(node.args):
        operand, level = _render(program, a, style, top=False)
        # a - (b - c) needs its brackets, (a - b) - c does not
        tight = level > op.level or (level == op.level and (position == 0 or node.op in ("add", "mul")))
        parts.append(operand if closed or tight else style.brackets.format(operand))
    return style.template(op).format(*parts), 9 if closed else op.level


def _name(program: "Program", k: int) -> str:
    return program.names[k] or f"t{k}"


def _latex_name(program: "Program", k: int) -> str:
    name = _name(program, k).replace("_", r"\_")
    return f"{name}_t" if len(name) == 1 else rf"\mathit{{{name}}}_t"


def _text_leaf(node: "Node") -> tuple[str, int]:
    return (".".join(node.args) if node.op == "input" else f"{node.args[0]:g}"), 9


def _latex_leaf(node: "Node") -> tuple[str, int]:
    if node.op == "constant":
        return f"{node.args[0]:g}", 9
    letter, name = node.args
    base, _, index = name.partition("_")
    return {
        "x": (f"W_{{{name}}} x_t + b_{{{name}}}", 2),
        "u": (f"U_{{{name}}} h_{{t-1}} + b'_{{{name}}}", 2),
        "s": (f"{name}_{{t-1}}", 9),
        "w": (f"{base}_{{{index}}}" if index else name, 9),
    }[letter]


TEXT = Style(_text_leaf, _name, "({})", lambda op: op.text, division_binds=False)
LATEX = Style(_latex_leaf, _latex_name, r"\left({}\right)", lambda op: op.latex, division_binds=True)
