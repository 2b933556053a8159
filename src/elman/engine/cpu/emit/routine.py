"""Native code that makes a list of native calls, so that Python pays for one.

A call is CALL words: the address of a function and its arguments.
"""

from typing import Final

from elman.engine.cpu.emit.ir import Function, Vector, declarations
from elman.engine.cpu.emit.multiply import multiply

CALL: Final = 5


def routine(vector: Vector) -> str:
    """Return the module with `perform` and what it may call: `copy`, `clear`, `add`, `gather`, `multiply`."""
    parts = (_perform(vector), _copy(vector), _clear(vector), _add(vector), _gather(vector))
    return declarations(vector) + "".join(parts) + multiply(vector)


def _perform(vector: Vector) -> str:
    """`perform(offsets, which, bases, words, count, calls)`: write words, offsets from the bases `which`,
    then make the calls that they begin with."""
    f = Function(vector)
    with f.loop("%count") as word:
        base = f.read("%bases", f.read("%which", word.index))
        f.write(f.add(base, f.read("%offsets", word.index)), "%words", word.index)
    with f.loop("%calls") as call:
        at = f.at("%words", f.mul(call.index, CALL), "i64")
        function = f.read(at, 0, "ptr")
        arguments = ", ".join(f"i64 {f.read(at, k)}" for k in range(1, CALL))
        f.put(f"call void {function}({arguments})")
    parameters = "ptr %offsets, ptr %which, ptr %bases, ptr %words, i64 %count, i64 %calls"
    return f.define("perform", parameters, linkage="external")


def _copy(vector: Vector) -> str:
    """`copy(to, source, count)`"""
    f = Function(vector)
    f.copy("%to", "%source", "%count")
    return f.define("copy", "ptr %to, ptr %source, i64 %count", linkage="external")


def _clear(vector: Vector) -> str:
    """`clear(to, count)`"""
    f = Function(vector)
    f.clear("%to", "%count")
    return f.define("clear", "ptr %to, i64 %count", linkage="external")


def _add(vector: Vector) -> str:
    """`add(to, a, b, count)`: sums of whole vectors."""
    f = Function(vector)
    with f.loop("%count", step=vector.lanes) as unit:
        f.store(f.binary("fadd", f.load("%a", unit.index), f.load("%b", unit.index)), "%to", unit.index)
    return f.define("add", "ptr %to, ptr %a, ptr %b, i64 %count", linkage="external")


def _gather(vector: Vector) -> str:
    """`gather(to, source, table)`: copy a tensor with any strides, row after row; the table holds its three
    sizes, then its three strides in elements."""
    f = Function(vector)
    steps, rows, columns, *strides = (f.read("%table", k) for k in range(6))
    with f.loop(steps) as step, f.loop(rows) as row:
        place = f.mul(f.add(f.mul(step.index, rows), row.index), columns)
        start = f.add(f.mul(step.index, strides[0]), f.mul(row.index, strides[1]))
        with f.loop(columns) as column:
            value = f.read("%source", f.add(start, f.mul(column.index, strides[2])), vector.element)
            f.write(value, "%to", f.add(place, column.index), vector.element)
    return f.define("gather", "ptr %to, ptr %source, ptr %table", linkage="external")
