"""The one matrix product of all kernels: rows by address, weights in packed panels, sums in registers.

    destination[r][n] += sum over k of source[r][k] * weight[n][k]

A panel holds two vectors of columns n for every k, in the order in which the register tile reads them: (N /
(2 lanes), K, 2 lanes). For any rows and panels of a tile, an element is summed over k = 0, 1, ... in
that order, starting from the value in the destination: the result doesn't depend on the batch, and a stream
of single steps gives the same bits as the whole sequence.

Weights may be 8-bit integers with a scale for each column: a quarter of the memory to read, which is what
takes the time. Dettmers et al., arXiv:2208.07339 (there with a scale on both sides).
"""

from typing import Final, NamedTuple

from elman.engine.cpu.emit.ir import Function, Vector

# Columns of a panel, in vectors. With two, a tile of 6 rows needs 8 loads for 12 multiplications.
WIDE: Final = 2
# Steps of k between two visits of the destination: a panel of this depth stays in the first-level cache.
DEPTH: Final = 256
PARAMETERS: Final = "ptr %source, ptr %to, i64 %m, ptr %panels, ptr %scales, i64 %q0, i64 %q1, i64 %K"


# The parameters of a tile: panels from q on, k from k0 to k1.
TILE_PARAMETERS: Final = "ptr %source, ptr %to, ptr %panels, ptr %scales, i64 %q, i64 %k0, i64 %k1, i64 %K"


def tiles(registers: int) -> dict[int, int]:
    """Map rows of a tile to its panels: as many sums as the registers hold beside the operands."""
    sums = registers - 2 - WIDE
    most = sums // WIDE
    return {rows: max(1, min(4, sums // (rows * WIDE))) for rows in range(1, most + 1)}


def product(vector: Vector, registers: int, int8: bool = False) -> str:
    """Return the functions of `@product(source, to, m, panels, scales, q0, q1, K)`: m rows, panels q0 to q1.

    `source` and `to` are arrays of row addresses; column n is element n of a destination. `scales`, one a
    column, are read with 8-bit weights only.
    """
    shapes = tiles(registers)
    functions = {(rows, n) for rows, most in shapes.items() for n in range(1, most + 1)}
    text = "".join(_tile(vector, rows, n, int8) for rows, n in sorted(functions))
    return text + _driver(vector, shapes)


def _tile(vector: Vector, rows: int, panels: int, int8: bool) -> str:
    """Compute `rows` destinations, `panels` panels from q on, k from k0 to k1."""
    f = Function(vector)
    lanes, columns = vector.lanes, panels * WIDE
    source = [f.read("%source", r, "ptr") for r in range(rows)]
    column = f.mul("%q", WIDE * lanes)
    to = [f.at(f.read("%to", r, "ptr"), column) for r in range(rows)]
    size = f.mul("%K", WIDE * lanes)
    kind = "i8" if int8 else vector.element
    first = f.at("%panels", f.mul("%q", size), kind)
    panel = [f.at(first, f.mul(size, p), kind) for p in range(panels)]
    sums = [f.load(to[r], c * lanes) for r in range(rows) for c in range(columns)]
    scales = [f.load(f.at("%scales", column), c * lanes) for c in range(columns)] if int8 else []
    initial = [vector.constant(0.0)] * len(sums) if int8 else sums
    with f.loop("%k1", "%k0", carried=initial) as loop:
        step = f.mul(loop.index, WIDE * lanes)
        places = [f.at(f.at(panel[c // WIDE], step, kind), c % WIDE * lanes, kind) for c in range(columns)]
        weights = [_widened(f, p) if int8 else f.load(p) for p in places]
        for r in range(rows):
            x = f.spread(source[r], loop.index)
            for c in range(columns):
                k = r * columns + c
                loop.following[k] = f.fma(x, weights[c], loop.values[k])
    for r in range(rows):
        for c in range(columns):
            total = loop.values[r * columns + c]
            if int8:
                total = f.fma(total, scales[c], sums[r * columns + c])
            f.store(total, to[r], c * lanes)
    return f.define(f"tile{rows}.{panels}", TILE_PARAMETERS)


def _widened(f: Function, address: str) -> str:
    v = f.vector
    packed = f.new(f"load <{v.lanes} x i8>, ptr {address}, align 1")
    return f.new(f"sitofp {v.ints} {f.new(f'sext <{v.lanes} x i8> {packed} to {v.ints}')} to {v.type}")


def _driver(vector: Vector, shapes: dict[int, int]) -> str:
    f = Function(vector)
    blocks, at_once = divided(f, "%m", shapes)
    turns = f.div(f.sub(f.add(f.sub("%q1", "%q0"), at_once), 1), at_once)
    with f.loop(turns) as turn:
        q = f.add("%q0", f.mul(turn.index, at_once))
        n = f.least(at_once, f.sub("%q1", q))
        with f.loop("%K", step=DEPTH) as deep:
            k1 = f.least(f.add(deep.index, DEPTH), "%K")
            with f.loop(blocks.number) as block:
                start, size = blocks.bounds(f, block.index)
                source, to = f.at("%source", start, "ptr"), f.at("%to", start, "ptr")
                rows = f"ptr {source}, ptr {to}, ptr %panels, ptr %scales"
                arguments = f"({rows}, i64 {q}, i64 {deep.index}, i64 {k1}, i64 %K)"
                dispatch(f, shapes, size, n, arguments)
    return f.define("product", PARAMETERS, linkage="external")


class Blocks(NamedTuple):
    """Blocks of rows, as equal as possible: 7 rows are 4 and 3, not 6 and 1."""

    rows: str
    number: str
    divisor: str  # the number, but 1 where there are no rows

    def bounds(self, f: Function, index: str) -> tuple[str, str]:
        """Return the first row of a block, and how many it has."""
        start = f.div(f.mul(index, self.rows), self.divisor)
        end = f.div(f.mul(f.add(index, 1), self.rows), self.divisor)
        return start, f.sub(end, start)


def blocks_of(f: Function, rows: str, most: int) -> Blocks:
    """Divide rows into blocks of at most `most`."""
    number = f.div(f.add(rows, most - 1), most)
    return Blocks(rows, number, f.choose(f.compare("eq", number, 0), 1, number))


def divided(f: Function, rows: str, shapes: dict[int, int]) -> tuple[Blocks, str]:
    """Return the blocks of rows of which tiles are made, and how many panels a tile of the largest takes."""
    blocks = blocks_of(f, rows, max(shapes))
    largest = f.div(f.add(f.sub(rows, 1), blocks.divisor), blocks.divisor)
    at_once = "1"
    for r, panels in shapes.items():
        at_once = f.choose(f.compare("eq", largest, r), panels, at_once)
    return blocks, at_once


def dispatch(f: Function, shapes: dict[int, int], rows: str, panels: str, arguments: str) -> None:
    """Call the tile of this shape; a block with fewer rows than the others may take as many panels."""
    kind = f.add(f.mul(rows, 8), panels)
    name = f.fresh("shape")
    made = [(r, n) for r, most in shapes.items() for n in range(1, most + 1)]
    cases = " ".join(f"i64 {r * 8 + n}, label %{name}.{r}.{n}" for r, n in made)
    f.put(f"switch i64 {kind}, label %{name}.end [ {cases} ]")
    for r, n in made:
        f.label(f"{name}.{r}.{n}")
        f.put(f"call void @tile{r}.{n}{arguments}")
        f.put(f"br label %{name}.end")
    f.label(f"{name}.end")
