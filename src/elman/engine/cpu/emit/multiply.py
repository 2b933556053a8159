"""A product of small matrices as they lie in memory, without panels.

    to[r][c] += sum over k of a[r][k] * b[k][c]

The rows of `to` and `b` have their elements side by side, `a` may be transposed: the gradient of a weight is
the product of the gradients of the sums, transposed, and of what the weight was multiplied with.
"""

from typing import Final

from elman.engine.cpu.emit.ir import Function, Vector

TALL, WIDE = 4, 2  # rows and vectors of columns of a tile
# The table that describes a product: addresses, and distances in elements.
FIELDS: Final = ("to", "to_row", "a", "a_row", "a_k", "b", "b_k", "rows", "columns", "K")
PARAMETERS: Final = "ptr %to, i64 %to_row, ptr %a, i64 %a_row, i64 %a_k, ptr %b, i64 %b_k, i64 %K"


def multiply(vector: Vector) -> str:
    """Return the functions of `multiply(table)`; the columns are whole vectors."""
    shapes = [(rows, vectors) for vectors in (WIDE, 1) for rows in (TALL, 1)]
    return "".join(_tile(vector, *shape) for shape in shapes) + _driver(vector)


def _tile(vector: Vector, rows: int, vectors: int) -> str:
    f, lanes = Function(vector), vector.lanes
    to = [f.at("%to", f.mul("%to_row", r)) for r in range(rows)]
    sums = [f.load(row, c * lanes) for row in to for c in range(vectors)]
    with f.loop("%K", carried=sums) as loop:
        a = f.at("%a", f.mul(loop.index, "%a_k"))
        b = f.at("%b", f.mul(loop.index, "%b_k"))
        columns = [f.load(b, c * lanes) for c in range(vectors)]
        for r in range(rows):
            factor = f.spread(a, f.mul("%a_row", r))
            for c, column in enumerate(columns, r * vectors):
                loop.following[c] = f.fma(factor, column, loop.values[c])
    for k, total in enumerate(loop.values):
        f.store(total, to[k // vectors], k % vectors * lanes)
    return f.define(f"multiply{rows}.{vectors}", PARAMETERS)


def _driver(vector: Vector) -> str:
    f = Function(vector, FIELDS)
    f.load_arguments()
    wide = WIDE * vector.lanes
    whole = f.mul(f.div(f.arg("columns"), wide), wide)
    tall = f.mul(f.div(f.arg("rows"), TALL), TALL)
    for vectors, left, right in ((WIDE, 0, whole), (1, whole, f.arg("columns"))):
        with f.loop(right, left, vectors * vector.lanes) as across:
            b = f.at(f.pointer("b"), across.index)
            for rows, top, bottom in ((TALL, 0, tall), (1, tall, f.arg("rows"))):
                with f.loop(bottom, top, rows) as down:
                    to = f.at(f.pointer("to"), f.add(f.mul(down.index, f.arg("to_row")), across.index))
                    a = f.at(f.pointer("a"), f.mul(down.index, f.arg("a_row")))
                    left_side = f"ptr {to}, i64 {f.arg('to_row')}, ptr {a}, i64 {f.arg('a_row')}"
                    right_side = f"i64 {f.arg('a_k')}, ptr {b}, i64 {f.arg('b_k')}, i64 {f.arg('K')}"
                    f.put(f"call void @multiply{rows}.{vectors}({left_side}, {right_side})")
    return f.define("multiply", "ptr %a", linkage="external")
