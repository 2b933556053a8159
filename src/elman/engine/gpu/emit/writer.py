"""Write Triton text line by line, and the equations of a Program as such lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from elman.engine.gpu.emit.functions import EMIT
from elman.engine.program import Program


class Value(NamedTuple):
    """An expression's name, and whether it has one number for each row and unit, not only for each unit."""

    text: str
    wide: bool = True


class Writer:
    """Lines with their indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._depth = 0

    def put(self, *lines: str) -> None:
        self.lines += ["    " * self._depth + line for line in lines]

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Indent what is written inside under this line."""
        self.put(head)
        self._depth += 1
        yield
        self._depth -= 1

    def evaluate(self, program: Program, leaf: Callable[[str, str], Value]) -> list[Value]:
        """Compute a Program's values, its inputs by `leaf(letter, name)`."""
        values: list[Value] = []
        for k, node in enumerate(program.nodes):
            if node.op == "constant":
                values.append(Value(_number(node.args[0]), wide=False))
            elif node.op == "input":
                values.append(leaf(*node.args))
            else:
                operands = [values[a] for a in node.args]
                note = f"  # {program.names[k]}" if program.names[k] else ""
                self.put(f"v{k} = {EMIT[node.op].format(*[o.text for o in operands])}{note}")
                values.append(Value(f"v{k}", any(o.wide for o in operands)))
        return values


def _number(value: float) -> str:
    """Return a literal; infinities and NaN have none."""
    text = repr(float(value))
    return f"({text})" if text[0] == "-" else text if text[-1].isdigit() else f'float("{text}")'
