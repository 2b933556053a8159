"""The matrix product with operands of fewer bits, which are multiplied group by group (see `operands`).

    destination[r][n] += sum over k of source[r][k] * weight[n][k]

Rows come as floats by address, as in `product`, and are rounded in the thread's own memory. A panel holds two
vectors of columns: (N / C, groups, C) numbers of 32 bits. Every element is summed over the same k in the same
order, and a row is rounded by itself, so that here, too, the result doesn't depend on the batch.

A row of 8-bit integers has the scale of its largest number, at every step anew. Its integers are stored 128
higher, because the instruction takes them for unsigned; so each column's sum starts below 0. Every chunk of
DEPTH groups of a panel begins with one more group, of these first values.
"""

from typing import Final, Literal

from elman.engine.cpu.emit.amx import LEAST_ROWS, Tiles
from elman.engine.cpu.emit.ir import Function, Vector, declarations
from elman.engine.cpu.emit.operands import (
    Bytes,
    Halves,
    Operands,
    everywhere,
    integers,
    load,
    measure,
    pairs,
    parts,
    scaled,
)
from elman.engine.cpu.emit.product import WIDE, blocks_of, dispatch, divided, tiles

# Groups of a chunk: a panel of this depth stays in the first-level cache.
DEPTH: Final = 256
ROWS: Final = 48  # rounded at once
# 32-bit numbers between two rounded rows: with a line more, rows don't compete for the same part of a cache.
STRIDE: Final = DEPTH + 16
# Columns q0 to q1 and, `turns` times, those `stride` panels further; the weights begin with panel `skipped`.
PARAMETERS: Final = (
    "ptr %source, ptr %to, i64 %m, ptr %panels, ptr %scales, i64 %q0, i64 %q1, i64 %K, "
    "i64 %turns, i64 %stride, i64 %skipped"
)
TILE_PARAMETERS: Final = (
    "ptr %rows, ptr %to, ptr %panels, i64 %size, ptr %scales, ptr %row_scales, i64 %column, i64 %groups"
)
PANEL_PARAMETERS: Final = (
    "ptr %rows, ptr %to, i64 %m, ptr %panels, i64 %size, ptr %scales, ptr %row_scales, i64 %q0, i64 %q1, "
    "i64 %groups, i64 %skipped"
)


# Which instructions multiply groups: those that every processor has, one for vectors, or also one for tiles,
# which can be emulated.
Instructions = Literal["generic", "native", "tiles", "emulated tiles"]


def grouped(vector: Vector, registers: int, int8: bool, instructions: Instructions) -> str:
    """Return the module of `@product`, and of `@pairs` without `int8`."""
    operands = (Bytes if int8 else Halves)(vector, instructions in ("native", "tiles"))
    tiled = instructions.endswith("tiles")
    v, shapes = vector, tiles(registers)
    text = declarations(vector) + operands.declarations()
    text += f"declare {v.type} @llvm.masked.load.v{v.lanes}f32.p0(ptr, i32, {v.mask}, {v.type})\n"
    for rows, most in shapes.items():
        text += "".join(_tile(operands, rows, panels) for panels in range(1, most + 1))
    if tiled:
        text += Tiles(operands, STRIDE, PANEL_PARAMETERS, instructions != "tiles").text()
    text += _rounding(operands) + _panels(operands, shapes) + _driver(operands, tiled)
    return text + (measure(vector) if int8 else pairs(vector, WIDE * vector.lanes))


def _tile(operands: Operands, rows: int, panels: int) -> str:
    """Compute `rows` destinations and `panels` panels over the groups of a chunk."""
    v = operands.vector
    f, lanes, columns = Function(v), v.lanes, range(panels * WIDE)
    to = [f.at(f.read("%to", r, "ptr"), "%column") for r in range(rows)]
    panel = [f.at("%panels", f.mul("%size", p), "i32") for p in range(panels)]
    if operands.scaled:
        starts = [integers(f, panel[c // WIDE], c % WIDE * lanes) for c in columns]
        panel = [f.at(p, WIDE * lanes, "i32") for p in panel]
        initial = starts * rows
    else:
        initial = [f.load(to[r], c * lanes) for r in range(rows) for c in columns]
    with f.loop("%groups", carried=initial, kind=operands.total) as loop:
        step = f.mul(loop.index, WIDE * lanes)
        weights = [integers(f, panel[c // WIDE], f.add(step, c % WIDE * lanes)) for c in columns]
        for r in range(rows):
            x = everywhere(f, "%rows", f.add(loop.index, r * STRIDE))
            for c in columns:
                k = r * len(columns) + c
                loop.following[k] = operands.dot(f, loop.values[k], x, weights[c])
    scales = [f.load("%scales", c * lanes) for c in columns] if operands.scaled else []
    for r in range(rows):
        row_scale = f.spread("%row_scales", 2 * r) if operands.scaled else ""
        for c in columns:
            total = loop.values[r * len(columns) + c]
            if operands.scaled:
                scale = f.binary("fmul", row_scale, scales[c])
                total = scaled(f, total, scale, f.load(to[r], c * lanes))
            f.store(total, to[r], c * lanes)
    return f.define(f"tile{rows}.{panels}", TILE_PARAMETERS)


def _rounding(operands: Operands) -> str:
    """`round(source, k0, k1, scales, to)`: the groups of k from k0 to k1 of one row."""
    f = Function(operands.vector)
    for start, end, tail in parts(f, "%k0", "%k1"):
        with f.loop(end, start, operands.vector.lanes) as loop:
            values, kind = operands.round(f, load(f, "%source", loop.index, end, tail))
            place = f.at("%to", f.sub(loop.index, "%k0"), f"i{32 // operands.values}")
            f.put(f"store {kind} {values}, ptr {place}, align 1")
    return f.define("round", "ptr %source, i64 %k0, i64 %k1, ptr %scales, ptr %to")


def _panels(operands: Operands, shapes: dict[int, int]) -> str:
    """`panels(...)`: multiply m rounded rows with the panels from q0 to q1, of a chunk."""
    f, lanes = Function(operands.vector), operands.vector.lanes
    blocks, at_once = divided(f, "%m", shapes)
    with f.loop("%q1", "%q0", at_once) as panel:
        n = f.least(at_once, f.sub("%q1", panel.index))
        own = f.sub(panel.index, "%skipped")
        first = f.at("%panels", f.mul(own, "%size"), "i32")
        scales = f.at("%scales", f.mul(own, WIDE * lanes))
        column = f.mul(panel.index, WIDE * lanes)
        with f.loop(blocks.number) as block:
            start, size = blocks.bounds(f, block.index)
            rows, to = f.at("%rows", f.mul(start, STRIDE), "i32"), f.at("%to", start, "ptr")
            row_scales = f.at("%row_scales", f.mul(start, 2))
            arguments = f"(ptr {rows}, ptr {to}, ptr {first}, i64 %size, ptr {scales}, ptr {row_scales}, "
            dispatch(f, shapes, size, n, arguments + f"i64 {column}, i64 %groups)")
    return f.define("panels", PANEL_PARAMETERS)


def _driver(operands: Operands, tiled: bool) -> str:
    f, values = Function(operands.vector), operands.values
    rounded = f.new(f"alloca [{ROWS * STRIDE} x i32], align 64")
    scales = f.new(f"alloca [{ROWS * 2} x float], align 64")
    groups = f.div(f.add("%K", values - 1), values)
    chunks = f.div(f.add(groups, DEPTH - 1), DEPTH)
    columns = WIDE * operands.vector.lanes
    size = f.mul(f.add(groups, f.mul(chunks, int(operands.scaled))), columns)
    blocks = blocks_of(f, "%m", ROWS)
    with f.loop(blocks.number) as block:
        start, m = blocks.bounds(f, block.index)
        source, to = f.at("%source", start, "ptr"), f.at("%to", start, "ptr")
        if operands.scaled:
            with f.loop(m) as row:
                own = f.at(scales, f.mul(row.index, 2))
                f.put(f"call void @measure(ptr {f.read(source, row.index, 'ptr')}, ptr {own}, i64 %K)")
        with f.loop(groups, step=DEPTH) as deep:
            count = f.least(f.sub(groups, deep.index), DEPTH)
            k0 = f.mul(deep.index, values)
            k1 = f.least(f.add(k0, DEPTH * values), "%K")
            with f.loop(m) as row:
                place = f.at(rounded, f.mul(row.index, STRIDE), "i32")
                own = f.at(scales, f.mul(row.index, 2))
                range_ = f"ptr {f.read(source, row.index, 'ptr')}, i64 {k0}, i64 {k1}"
                f.put(f"call void @round({range_}, ptr {own}, ptr {place})")
            before = f.mul(f.div(deep.index, DEPTH), int(operands.scaled))
            panels = f.at("%panels", f.mul(f.add(deep.index, before), columns), "i32")
            with f.loop("%turns") as turn:
                more = f.mul(turn.index, "%stride")
                q0, q1 = f.add("%q0", more), f.add("%q1", more)
                rows = (
                    f"ptr {rounded}, ptr {to}, i64 {m}, ptr {panels}, i64 {size}, ptr %scales, ptr {scales}"
                )
                arguments = f"({rows}, i64 {q0}, i64 {q1}, i64 {count}, i64 %skipped)"
                function = "@panels"
                if tiled:
                    few = f.compare("ult", m, LEAST_ROWS if operands.scaled else 0)
                    function = f.choose(few, "@panels", "@tile_panels", "ptr")
                f.put(f"call void {function}{arguments}")
    return f.define("product", PARAMETERS, linkage="external")
