"""Operands of fewer bits: how rows are rounded, and what one instruction makes of a group of them.

A group holds the values of adjacent k in 32 bits: four integers of 8 bits or two bfloat16 numbers. The
processor multiplies the groups of a row and of the weights value by value and adds all products to a sum of
32 bits. `generic` instructions compute the same where it can't.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

from elman.engine.cpu.emit.ir import Function, Vector

# Rows with smaller numbers are rounded as if this were their largest one: its inverse is finite.
SMALLEST: Final = 2.0**-100
# A float32 between 2^23 and 2^24 has no fraction: adding this rounds, and leaves an integer in the last bits.
ROUNDING: Final = 1.5 * 2.0**23
OFFSET: Final = 128  # of a row's integers, which the instruction takes for unsigned


class Operands(ABC):
    """What the product asks of a precision. All vectors are of floats.

    Attributes:
        values: in a group.
        scaled: whether rows and columns have scales; then each chunk of a panel begins with a group of the
            sums' first values.
        total: the type of a vector of sums.
    """

    values: int
    scaled: bool

    def __init__(self, vector: Vector, native: bool) -> None:
        self.vector, self.native = vector, native

    @property
    @abstractmethod
    def total(self) -> str: ...

    @abstractmethod
    def declarations(self) -> str:
        """Return the declarations of what the other methods call."""

    @abstractmethod
    def round(self, f: Function, x: str) -> tuple[str, str]:
        """Return a vector of floats as values of groups, in as many integers, and the type of those.

        With scales, `%scales` are the two of its row.
        """

    @abstractmethod
    def dot(self, f: Function, total: str, row: str, weights: str) -> str:
        """Add to each sum the products of two groups."""


class Bytes(Operands):
    """Integers of 8 bits with a scale for a row and one for a column; sums are exact."""

    values, scaled = 4, True

    @property
    def total(self) -> str:
        return self.vector.ints

    def declarations(self) -> str:
        v = self.vector
        text = f"declare {v.ints} @llvm.umax.v{v.lanes}i32({v.ints}, {v.ints})\n"
        text += f"declare i32 @llvm.vector.reduce.umax.v{v.lanes}i32({v.ints})\n"
        return text + (
            f"declare {v.ints} {self._name}({v.ints}, {v.ints}, {v.ints})\n" if self.native else ""
        )

    @property
    def _name(self) -> str:
        return f"@llvm.x86.avx512.vpdpbusd.{32 * self.vector.lanes}"

    def round(self, f: Function, x: str) -> tuple[str, str]:
        v = self.vector
        number = f.fma(x, f.spread("%scales", 1), v.constant(ROUNDING + OFFSET))
        kind = f"<{v.lanes} x i8>"
        return f.new(f"trunc {v.ints} {f.new(f'bitcast {v.type} {number} to {v.ints}')} to {kind}"), kind

    def dot(self, f: Function, total: str, row: str, weights: str) -> str:
        ints = self.vector.ints
        if self.native:
            return f.new(f"call {ints} {self._name}({ints} {total}, {ints} {row}, {ints} {weights})")
        for k in range(self.values):
            left, right = f"splat (i32 {24 - 8 * k})", f"splat (i32 {8 * k})"
            x = f.new(f"and {ints} {f.new(f'lshr {ints} {row}, {right}')}, splat (i32 255)")
            w = f.new(f"ashr {ints} {f.new(f'shl {ints} {weights}, {left}')}, splat (i32 24)")
            total = f.new(f"add {ints} {total}, {f.new(f'mul {ints} {x}, {w}')}")
        return total


class Halves(Operands):
    """bfloat16: the first 16 bits of a float32; sums are float32."""

    values, scaled = 2, False

    @property
    def total(self) -> str:
        return self.vector.type

    @property
    def _name(self) -> str:
        return f"@llvm.x86.avx512bf16.dpbf16ps.{32 * self.vector.lanes}"

    @property
    def _pairs(self) -> str:
        return f"<{2 * self.vector.lanes} x bfloat>"

    def declarations(self) -> str:
        v, pairs = self.vector.type, self._pairs
        return f"declare {v} {self._name}({v}, {pairs}, {pairs})\n" if self.native else ""

    def round(self, f: Function, x: str) -> tuple[str, str]:
        kind = f"<{self.vector.lanes} x i16>"
        return f.new(f"trunc {self.vector.ints} {bfloat(f, x)} to {kind}"), kind

    def dot(self, f: Function, total: str, row: str, weights: str) -> str:
        v, ints = self.vector.type, self.vector.ints
        if self.native:
            a, b = (f.new(f"bitcast {ints} {one} to {self._pairs}") for one in (row, weights))
            return f.new(f"call {v} {self._name}({v} {total}, {self._pairs} {a}, {self._pairs} {b})")
        # the second of a pair first, as the instruction does
        for op, bits in (("and", 0xFFFF0000), ("shl", 16)):
            a, b = (f.new(f"{op} {ints} {one}, splat (i32 {bits})") for one in (row, weights))
            a, b = (f.new(f"bitcast {ints} {one} to {v}") for one in (a, b))
            total = f.fma(a, b, total)
        return total


def integers(f: Function, pointer: str, index: str | int) -> str:
    """Load a vector of 32-bit integers."""
    return f.new(f"load {f.vector.ints}, ptr {f.at(pointer, index, 'i32')}, align 4")


def everywhere(f: Function, pointer: str, index: str | int) -> str:
    """Load one integer into all lanes."""
    ints, lanes = f.vector.ints, f.vector.lanes
    first = f.new(f"insertelement {ints} poison, i32 {f.read(pointer, index, 'i32')}, i64 0")
    return f.new(f"shufflevector {ints} {first}, {ints} poison, <{lanes} x i32> zeroinitializer")


def scaled(f: Function, total: str, scale: str, to: str) -> str:
    """Return floats `to` plus a scale times integers."""
    return f.fma(f.new(f"sitofp {f.vector.ints} {total} to {f.vector.type}"), scale, to)


def measure(vector: Vector) -> str:
    """`measure(source, scales, K)`: the scale of a row's integers and its inverse."""
    f, v, ints, name = Function(vector), vector, vector.ints, f"@llvm.umax.v{vector.lanes}i32"
    largest = f.new(f"bitcast {v.type} {v.constant(SMALLEST)} to {ints}")
    for start, end, tail in parts(f, "0", "%K"):
        with f.loop(end, start, v.lanes, [largest], ints) as loop:
            x = f.new(f"bitcast {v.type} {load(f, '%source', loop.index, end, tail)} to {ints}")
            # without the sign, floats are ordered as their bits are, NaN above all
            size = f.new(f"and {ints} {x}, splat (i32 {0x7FFFFFFF})")
            loop.following[0] = f.new(f"call {ints} {name}({ints} {loop.values[0]}, {ints} {size})")
        largest = loop.values[0]
    bits = f.new(f"call i32 @llvm.vector.reduce.umax.v{v.lanes}i32({ints} {largest})")
    number = f.new(f"bitcast i32 {bits} to float")
    f.write(f.new(f"fdiv float {number}, 127.0"), "%scales", 0, "float")
    f.write(f.new(f"fdiv float 127.0, {number}"), "%scales", 1, "float")
    return f.define("measure", "ptr %source, ptr %scales, i64 %K")


def bfloat(f: Function, x: str) -> str:
    """Return floats as bfloat16 in the lower half of integers, rounded to the nearest, ties to even."""
    ints = f.vector.ints
    bits = f.new(f"bitcast {f.vector.type} {x} to {ints}")
    odd = f.new(f"and {ints} {f.new(f'lshr {ints} {bits}, splat (i32 16)')}, splat (i32 1)")
    up = f.new(f"add {ints} {f.new(f'add {ints} {bits}, splat (i32 {0x7FFF})')}, {odd}")
    rounded = f.new(f"lshr {ints} {up}, splat (i32 16)")
    nan = f.test("uno", x, x)  # whose bits might round to those of an infinity
    return f.new(f"select {f.vector.mask} {nan}, {ints} splat (i32 {0x7FC0}), {ints} {rounded}")


def pairs(vector: Vector, columns: int) -> str:
    """`pairs(panels, to, count, K)`: floats (count, K, columns) → bfloat16 (count, ⌈K / 2⌉, columns, 2)."""
    f, ints = Function(vector), vector.ints
    groups, whole = f.div(f.add("%K", 1), 2), f.div("%K", 2)
    with f.loop("%count") as panel:
        source = f.at("%panels", f.mul(panel.index, f.mul("%K", columns)))
        to = f.at("%to", f.mul(panel.index, f.mul(groups, columns)))
        for start, end, both in (("0", whole, True), (whole, groups, False)):
            with f.loop(end, start) as group:
                row = f.mul(group.index, 2 * columns)
                for c in range(0, columns, vector.lanes):
                    pair = bfloat(f, f.load(source, f.add(row, c)))
                    if both:
                        second = bfloat(f, f.load(source, f.add(row, columns + c)))
                        high = f.new(f"shl {ints} {second}, splat (i32 16)")
                        pair = f.new(f"or {ints} {pair}, {high}")
                    place = f.at(to, f.add(f.mul(group.index, columns), c))
                    f.put(f"store {ints} {pair}, ptr {place}, align 4")
    return f.define("pairs", "ptr %panels, ptr %to, i64 %count, i64 %K", linkage="external")


def parts(f: Function, start: str, end: str) -> Iterator[tuple[str, str, bool]]:
    """Divide range(start, end) into that of whole vectors and the rest, which is the tail of one."""
    lanes = f.vector.lanes
    whole = f.sub(end, f.new(f"urem i64 {f.sub(end, start)}, {lanes}"))
    yield start, whole, False
    yield whole, end, True


def load(f: Function, source: str, index: str, end: str, tail: bool) -> str:
    """Return the vector at an index; of a tail only the elements before `end`, and 0 for the others."""
    v = f.vector
    if not tail:
        return f.load(source, index)
    left = f.sub(end, index)
    first = f.new(f"insertelement <{v.lanes} x i64> poison, i64 {left}, i64 0")
    zero = f"<{v.lanes} x i32> zeroinitializer"
    spread = f.new(f"shufflevector <{v.lanes} x i64> {first}, <{v.lanes} x i64> poison, {zero}")
    numbers = ", ".join(f"i64 {k}" for k in range(v.lanes))
    mask = f.new(f"icmp sgt <{v.lanes} x i64> {spread}, <{numbers}>")
    name = f"@llvm.masked.load.v{v.lanes}f32.p0"
    place = f.at(source, index)
    return f.new(f"call {v.type} {name}(ptr {place}, i32 4, {v.mask} {mask}, {v.type} zeroinitializer)")
