"""A cell without its Python: its equations as JSON values, which a model's folder holds and no code.

A folder may come from anywhere. `from_json` builds only what the tracer could have recorded itself, so what
reaches the derivative rules and the compiler has the same form, whoever wrote it.
"""

import functools
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeAlias

from elman.cells import PARTS, Cell, check_names
from elman.engine.equations import Equations
from elman.engine.ops import OPS
from elman.engine.program import LEAVES, Node, Program, prune
from elman.engine.trace import Tape, trace
from elman.errors import UsageError
from elman.typed import typed

FORMAT: Final = 1
# The longest built-in cell has some 30 values, and the kernels of 1,000 compile in about 10 seconds.
MAX_VALUES: Final = 1000
MAX_NAMES: Final = 100  # gates, states or weights
MAX_LETTERS: Final = 100  # of a name

Value: TypeAlias = tuple[str | int | float, ...]  # ("x", "f"): an input; (0.5,): a number; ("add", 0, 1)


@dataclass(frozen=True)
class _Saved:
    """The JSON form. A value refers to earlier ones by their position; `names` are the author's for them."""

    format: int
    name: str
    gates: tuple[str, ...]
    state: tuple[str, ...]
    weights: tuple[str, ...]
    parts: tuple[str, ...]
    values: tuple[Value, ...]
    names: tuple[str, ...]
    outputs: tuple[int, ...]


def portable(cell: Cell) -> Cell:
    """Return the cell with its equations as data. Raises UsageError for one that a network can't learn from
    or that is too long to be saved."""
    return cell if isinstance(cell.equations, Equations) else from_json(to_json(cell))


def to_json(cell: Cell) -> dict[str, Any]:
    """Return a cell as JSON values. Raises CellError for one that the engine can't read."""
    program = trace(cell)
    saved = _Saved(
        format=FORMAT,
        name=cell.name,
        gates=cell.gates,
        state=cell.state,
        weights=cell.weights,
        parts=tuple(letter for letter in PARTS if letter in cell.parts),
        values=tuple(node.args if node.op in LEAVES else (node.op, *node.args) for node in program.nodes),
        names=program.names,
        outputs=program.outputs,
    )
    return asdict(saved)


def from_json(value: Any) -> Cell:
    """Return the cell that `to_json` described; the same one for the same values.

    Raises UsageError for anything else: another format, unknown primitives, wrong operands, unused or
    repeated values, numbers that are not finite, too many values, or an output without an input.
    """
    try:
        saved = typed(_Saved, value, "cell")
    except ValueError as error:
        raise UsageError(f"a saved cell can't be read: {error}") from error
    return _cell(saved, repr(saved))  # in which 0.0 and -0.0 differ, which are equal


@functools.lru_cache(256)
def _cell(saved: _Saved, spelling: str) -> Cell:
    if saved.format != FORMAT:
        raise UsageError(f"the cell is saved in format {saved.format}; this version reads {FORMAT}")
    _check_declaration(saved)
    nodes = tuple(_node(k, saved) for k in range(len(saved.values)))
    if len(saved.names) != len(nodes):
        raise _refused(saved, f"has {len(saved.names)} names for {len(nodes)} values")
    if len(saved.outputs) != len(saved.state) or not all(0 <= k < len(nodes) for k in saved.outputs):
        raise _refused(saved, f"must have one of its values for each of {len(saved.state)} states")
    equations = Equations(nodes, saved.outputs, saved.names, saved.parts)
    cell = Cell(saved.name, equations, saved.gates, saved.state, saved.weights, saved.parts)
    program = trace(cell)
    _check_values(cell, program, saved)
    if not _depends_on_input(program):
        what = f"never lets its input x reach its output {saved.state[0]}, so a network of it can't learn"
        raise _refused(saved, what)
    return cell


def _check_declaration(saved: _Saved) -> None:
    listed = {"gates": saved.gates, "state": saved.state, "weights": saved.weights}
    for what, names in listed.items():
        check_names(saved.name, what, names)
    every = (saved.name, *saved.names, *saved.gates, *saved.state, *saved.weights)
    if len(saved.values) > MAX_VALUES or max(map(len, listed.values())) > MAX_NAMES:
        limits = f"at most {MAX_VALUES} values and {MAX_NAMES} gates, states or weights"
        raise _refused(saved, f"has {len(saved.values)} values; a cell that is saved has {limits}")
    if wrong := [name for name in every if len(name) > MAX_LETTERS or not (name or "_").isidentifier()]:
        raise _refused(saved, f"has the name {wrong[0]!r:.60}, which must be an identifier")
    if not saved.name or not saved.gates or not saved.state:
        raise _refused(saved, "needs a name, a gate and a state")
    letters = tuple(letter for letter in PARTS if letter in saved.parts)
    if letters != saved.parts or ("w" in letters) != bool(saved.weights):
        raise _refused(
            saved, f"has the parts {' '.join(saved.parts)!r:.60}; they are some of {' '.join(PARTS)}"
        )


def _node(k: int, saved: _Saved) -> Node:
    """Return value k as the tracer would record it."""
    value = saved.values[k]
    if len(value) == 1 and not isinstance(value[0], str):
        number = float(value[0])  # `typed` has seen that it is finite
        return Node("constant", (number,))
    declared = {"x": saved.gates, "u": saved.gates, "s": saved.state, "w": saved.weights}
    if len(value) == 2 and value[0] in saved.parts and value[1] in declared[str(value[0])]:
        return Node("input", value)
    op, operands = value[:1], value[1:]
    row = OPS.get(str(op[0])) if op else None
    if row is None or len(operands) != row.operands:
        raise _refused(saved, f"has {list(value)!r:.80} as value {k}, which is no input, number or primitive")
    if any(type(a) is not int or not 0 <= a < k for a in operands):
        raise _refused(saved, f"has {list(value)!r:.80} as value {k}, whose operands must be earlier values")
    return Node(str(op[0]), operands)


def _check_values(cell: Cell, program: Program, saved: _Saved) -> None:
    """Raise UsageError unless the tracer could have recorded these values: each once, and none unused."""
    tape = Tape(cell)
    values: list[Any] = []
    for k, node in enumerate(program.nodes):
        if node.op in LEAVES:
            values.append(tape.add(node))
            continue
        constants = [program.nodes[a].op == "constant" for a in node.args]
        comparisons = [tape.compares(values[a]) for a in node.args]
        takes = [node.op == "where" and position == 0 for position in range(len(node.args))]
        if comparisons != takes or all(constants) or (any(constants) and not OPS[node.op].numbers):
            raise _refused(saved, f"has operands of the wrong kind in value {k}, {list(saved.values[k])}")
        values.append(tape.record(node.op, tuple(values[a] for a in node.args)))
    if any(tape.compares(values[k]) or program.nodes[k].op == "constant" for k in program.outputs):
        raise _refused(saved, "must compute every state from named values")
    named = dict(enumerate(program.names))
    once = len(tape.nodes) == len(program.nodes)  # the tape records a repeated value once
    if not once or program != prune(cell, tape.nodes, program.outputs, named, cell.state):
        raise _refused(saved, "has values that are repeated or unused")


def _depends_on_input(program: Program) -> bool:
    """Return whether the input reaches the output, at this step or by way of the states at a later one."""
    dependent: set[str] = set()  # states that depend on an input
    while True:
        reached: set[int] = set()
        for k, node in enumerate(program.nodes):
            if node.op == "input":
                letter, name = node.args
                state = program.cell.state[0] if letter == "u" else name
                if letter == "x" or (letter in "us" and state in dependent):
                    reached.add(k)
            elif node.op != "constant" and not reached.isdisjoint(node.args):
                reached.add(k)
        states = {name for name, k in zip(program.cell.state, program.outputs, strict=True) if k in reached}
        if states == dependent:
            return program.cell.state[0] in dependent
        dependent = states


def _refused(saved: _Saved, what: str) -> UsageError:
    return UsageError(f"cell {saved.name!r:.60} {what}")
