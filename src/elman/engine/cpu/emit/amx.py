"""The grouped product by AMX: tiles of 16 rows and 16 groups, in registers of their own.

The tiles read rounded rows and panels as they lie in memory. What is left of the groups beyond the last whole
tile is added by vectors, row by row. Integers are exact in any order, so few rows, which vectors multiply
faster, have the same bits; all bfloat16 products are summed by tiles.
"""

from typing import Final

from elman.engine.cpu.emit.ir import Function
from elman.engine.cpu.emit.operands import Operands, everywhere, integers, scaled
from elman.engine.cpu.emit.product import WIDE

SIDE: Final = 16  # rows of a tile, and 32-bit numbers of its row
TILE_BYTES: Final = 4 * SIDE * SIDE
LEAST_ROWS: Final = 6  # from which tiles are faster than vectors
FUNCTIONS: Final = {
    "ldtilecfg": "ptr",
    "tilerelease": "",
    "tilezero": "i8 immarg",
    "tileloadd64": "i8 immarg, ptr, i64",
    "tilestored64": "i8 immarg, ptr, i64",
}


class Tiles:
    """Writes the functions of the product by tiles."""

    def __init__(self, operands: Operands, stride: int, parameters: str, emulated: bool) -> None:
        """`stride` is that of rounded rows, `parameters` are those of `tile_panels`. `emulated` tiles lie in
        memory, for tests."""
        self.operands, self.stride, self.parameters, self.emulated = operands, stride, parameters, emulated
        self.columns = WIDE * operands.vector.lanes
        self.across = self.columns // SIDE  # tiles of a panel
        self.dot = "tdpbusd" if operands.scaled else "tdpbf16ps"

    def text(self) -> str:
        shape = [1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[SIDE] * 8, *[0] * 8]
        numbers = ", ".join(f"i8 {number}" for number in shape)
        text = f"@tile.shape = internal constant [64 x i8] [{numbers}], align 64\n"
        text += self._emulation() if self.emulated else self._declarations()
        return text + "".join(self._block(down) for down in (1, 2)) + self._finish() + self._panels()

    def _declarations(self) -> str:
        functions = FUNCTIONS | {self.dot: ", ".join(["i8 immarg"] * 3)}
        return "".join(f"declare void @llvm.x86.{name}({types})\n" for name, types in functions.items())

    def _call(self, f: Function, name: str, *arguments: str) -> None:
        where = "emulated" if self.emulated else "llvm.x86"
        f.put(f"call void @{where}.{name}({', '.join(arguments)})")

    def _block(self, down: int) -> str:
        """`block(rows, panel, groups, totals)`: 16 rows, `down` times, by a panel over whole tiles."""
        f, across = Function(self.operands.vector), self.across
        sums = {(i, j): i * across + j for i in range(down) for j in range(across)}
        left, right = len(sums), len(sums) + down  # the numbers of the first tiles of either operand
        for number in sums.values():
            self._call(f, "tilezero", f"i8 {number}")
        with f.loop("%groups", step=SIDE) as loop:
            for i in range(down):
                place = f.at("%rows", f.add(loop.index, i * SIDE * self.stride), "i32")
                self._call(f, "tileloadd64", f"i8 {left + i}", f"ptr {place}", f"i64 {4 * self.stride}")
            for j in range(across):
                place = f.at("%panel", f.add(f.mul(loop.index, self.columns), j * SIDE), "i32")
                self._call(f, "tileloadd64", f"i8 {right + j}", f"ptr {place}", f"i64 {4 * self.columns}")
            for (i, j), number in sums.items():
                self._call(f, self.dot, f"i8 {number}", f"i8 {left + i}", f"i8 {right + j}")
        for (i, j), number in sums.items():
            place = f.at("%totals", (i * self.columns + j) * SIDE, "i32")
            self._call(f, "tilestored64", f"i8 {number}", f"ptr {place}", f"i64 {4 * self.columns}")
        return f.define(f"block{down}", "ptr %rows, ptr %panel, i64 %groups, ptr %totals")

    def _finish(self) -> str:
        """`finish(...)`: add a row's totals, and its groups beyond whole tiles, to its destination."""
        operands, v, lanes = self.operands, self.operands.vector, self.operands.vector.lanes
        f = Function(v)
        vectors = [c * lanes for c in range(WIDE)]
        if operands.scaled:
            starts = [(integers(f, "%totals", c), integers(f, "%starts", c)) for c in vectors]
            totals = [f.new(f"add {v.ints} {total}, {start}") for total, start in starts]
        else:
            totals = [f.load("%totals", c) for c in vectors]
        with f.loop("%groups", "%whole", carried=totals, kind=operands.total) as loop:
            x = everywhere(f, "%row", loop.index)
            for k, c in enumerate(vectors):
                weights = integers(f, "%panel", f.add(f.mul(loop.index, self.columns), c))
                loop.following[k] = operands.dot(f, loop.values[k], x, weights)
        row_scale = f.spread("%row_scales", 0) if operands.scaled else ""
        for total, c in zip(loop.values, vectors, strict=True):
            to = f.load("%to", c)
            if operands.scaled:
                to = scaled(f, total, f.binary("fmul", row_scale, f.load("%scales", c)), to)
            else:
                to = f.binary("fadd", total, to)
            f.store(to, "%to", c)
        parameters = "ptr %row, ptr %panel, ptr %starts, ptr %totals, i64 %whole, i64 %groups, "
        return f.define("finish", parameters + "ptr %scales, ptr %row_scales, ptr %to")

    def _panels(self) -> str:
        """`tile_panels(...)`: what `panels` does."""
        f, columns = Function(self.operands.vector), self.columns
        totals = f.new(f"alloca [{2 * SIDE * columns} x i32], align 64")
        whole = f.sub("%groups", f.new(f"urem i64 %groups, {SIDE}"))
        self._call(f, "ldtilecfg", "ptr @tile.shape")
        with f.loop("%q1", "%q0") as panel:
            own = f.sub(panel.index, "%skipped")
            starts = f.at("%panels", f.mul(own, "%size"), "i32")
            first = f.at(starts, columns * self.operands.scaled, "i32")
            scales, column = f.at("%scales", f.mul(own, columns)), f.mul(panel.index, columns)
            with f.loop("%m", step=2 * SIDE) as block:
                rows = f.at("%rows", f.mul(block.index, self.stride), "i32")
                count = f.least(f.sub("%m", block.index), 2 * SIDE)
                for down, how in ((1, "ule"), (2, "ugt")):
                    with f.when(f.compare(how, count, SIDE)):
                        f.put(f"call void @block{down}(ptr {rows}, ptr {first}, i64 {whole}, ptr {totals})")
                with f.loop(count) as row:
                    number = f.add(block.index, row.index)
                    one = f.at("%rows", f.mul(number, self.stride), "i32")
                    to = f.at(f.read("%to", number, "ptr"), column)
                    sums = f.at(totals, f.mul(row.index, columns), "i32")
                    row_scales = f.at("%row_scales", f.mul(number, 2))
                    operands = f"ptr {one}, ptr {first}, ptr {starts}, ptr {sums}, i64 {whole}, i64 %groups"
                    f.put(f"call void @finish({operands}, ptr {scales}, ptr {row_scales}, ptr {to})")
        self._call(f, "tilerelease")
        return f.define("tile_panels", self.parameters)

    def _emulation(self) -> str:
        """The instructions as functions on tiles in memory."""
        v = self.operands.vector
        text = f"@tiles = internal global [{8 * TILE_BYTES} x i8] zeroinitializer, align 64\n"
        functions = {"ldtilecfg": "ptr %shape", "tilerelease": "", "tilezero": "i8 %tile"}
        functions |= dict.fromkeys(("tileloadd64", "tilestored64"), "i8 %tile, ptr %memory, i64 %stride")
        for name, parameters in functions.items():
            f = Function(v)
            if name == "tilezero":
                f.clear(self._tile(f, "%tile"), SIDE * SIDE)
            elif "memory" in parameters:
                tile = self._tile(f, "%tile")
                with f.loop(SIDE) as row:
                    inside = f.at(tile, f.mul(row.index, SIDE))
                    outside = f.at("%memory", f.mul(row.index, "%stride"), "i8")
                    to, source = (inside, outside) if name == "tileloadd64" else (outside, inside)
                    f.copy(to, source, SIDE)
            text += f.define(f"emulated.{name}", parameters)
        f = Function(v)
        total, a, b = (self._tile(f, name) for name in ("%c", "%a", "%b"))
        with f.loop(SIDE) as row, f.loop(SIDE) as k, f.loop(SIDE, step=v.lanes) as column:
            place, kind = f.at(total, f.add(f.mul(row.index, SIDE), column.index)), self.operands.total
            x = everywhere(f, a, f.add(f.mul(row.index, SIDE), k.index))
            weights = integers(f, b, f.add(f.mul(k.index, SIDE), column.index))
            sums = f.new(f"load {kind}, ptr {place}, align 4")
            f.put(f"store {kind} {self.operands.dot(f, sums, x, weights)}, ptr {place}, align 4")
        return text + f.define(f"emulated.{self.dot}", "i8 %c, i8 %a, i8 %b")

    def _tile(self, f: Function, number: str) -> str:
        return f.at("@tiles", f.mul(f.new(f"zext i8 {number} to i64"), TILE_BYTES), "i8")
