"""LLVM IR as text: functions with loops, vectors of units, and the argument block that a kernel reads.

A builder of a few methods instead of llvmlite's own: text of this size is written and parsed in
milliseconds, where its object tree takes ten times as long.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True)
class Vector:
    """`lanes` floats or doubles side by side."""

    element: Literal["float", "double"]
    lanes: int

    @property
    def size(self) -> int:
        """Return the bytes of an element."""
        return 4 if self.element == "float" else 8

    @property
    def type(self) -> str:
        return f"<{self.lanes} x {self.element}>"

    @property
    def ints(self) -> str:
        """Return the type of integers as wide as the elements."""
        return f"<{self.lanes} x i{8 * self.size}>"

    @property
    def mask(self) -> str:
        return f"<{self.lanes} x i1>"

    @property
    def suffix(self) -> str:
        """Return the type's name in LLVM's intrinsics."""
        return f"v{self.lanes}f{8 * self.size}"

    def constant(self, value: float) -> str:
        """Return the same number in every lane, rounded to the element's precision."""
        if self.element == "float":
            try:
                value = struct.unpack("f", struct.pack("f", value))[0]
            except OverflowError:  # a finite number that no float32 holds
                value = math.copysign(math.inf, value)
        return f"splat ({self.element} 0x{struct.unpack('Q', struct.pack('d', value))[0]:016X})"


class Function:
    """The body of one function under construction. Values are names, i64 by default."""

    def __init__(self, vector: Vector, fields: Sequence[str] = ()) -> None:
        self.vector = vector
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0
        self._fields = {name: k for k, name in enumerate(fields)}
        self._loaded: dict[str, str] = {}

    def define(self, name: str, parameters: str, linkage: str = "internal") -> str:
        head = f"define {linkage} void @{name}({parameters}) nounwind {{\nentry:"
        return "\n".join([head, *self.lines, "  ret void", "}", ""])

    def put(self, line: str) -> None:
        self.lines.append("  " + line)

    def new(self, expression: str) -> str:
        self._count += 1
        self.put(f"%v{self._count} = {expression}")
        return f"%v{self._count}"

    # ---- integers and addresses

    def add(self, a: str | int, b: str | int) -> str:
        return self.new(f"add i64 {a}, {b}")

    def sub(self, a: str | int, b: str | int) -> str:
        return self.new(f"sub i64 {a}, {b}")

    def mul(self, a: str | int, b: str | int) -> str:
        return self.new(f"mul i64 {a}, {b}")

    def div(self, a: str | int, b: str | int) -> str:
        return self.new(f"udiv i64 {a}, {b}")

    def least(self, a: str | int, b: str | int) -> str:
        less = self.new(f"icmp ult i64 {a}, {b}")
        return self.new(f"select i1 {less}, i64 {a}, i64 {b}")

    def choose(self, condition: str, yes: str | int, no: str | int, kind: str = "i64") -> str:
        return self.new(f"select i1 {condition}, {kind} {yes}, {kind} {no}")

    def compare(self, how: str, a: str | int, b: str | int, kind: str = "i64") -> str:
        return self.new(f"icmp {how} {kind} {a}, {b}")

    def at(self, pointer: str, index: str | int, kind: str = "") -> str:
        """Return the address of an element, of the kernel's own type unless another is named."""
        return self.new(f"getelementptr {kind or self.vector.element}, ptr {pointer}, i64 {index}")

    def read(self, pointer: str, index: str | int, kind: str = "i64") -> str:
        return self.new(f"load {kind}, ptr {self.at(pointer, index, kind)}")

    def write(self, value: str, pointer: str, index: str | int, kind: str = "i64") -> None:
        self.put(f"store {kind} {value}, ptr {self.at(pointer, index, kind)}")

    def arg(self, name: str) -> str:
        """Return a number from the argument block `%a`, read once, at a point that dominates every use."""
        if name not in self._loaded:
            self._loaded[name] = self.read("%a", self._fields[name])
        return self._loaded[name]

    def pointer(self, name: str) -> str:
        if "*" + name not in self._loaded:
            self._loaded["*" + name] = self.read("%a", self._fields[name], "ptr")
        return self._loaded["*" + name]

    def load_arguments(self) -> None:
        """Read the whole block at the function's beginning, which dominates the rest."""
        for name in self._fields:
            self.arg(name)
            self.pointer(name)

    # ---- control flow

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def fresh(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    @contextmanager
    def loop(
        self,
        count: str | int,
        start: str | int = 0,
        step: str | int = 1,
        carried: Sequence[str] = (),
        kind: str = "",
    ) -> "Iterator[Loop]":
        """Loop over range(start, count, step); `carried` vectors, of the kernel's own type unless another is
        named, pass from each turn to the next."""
        name = self.fresh("loop")
        before, head, latch, done = self.block, f"{name}.head", f"{name}.latch", f"{name}.done"
        body = f"{name}.body"
        self.put(f"br label %{head}")
        self.label(head)
        i = f"%{name}.i"
        self.put(f"{i} = phi i64 [ {start}, %{before} ], [ {i}.next, %{latch} ]")
        values = [f"%{name}.c{k}" for k in range(len(carried))]
        phis = len(self.lines)  # to insert them later: they name values that the body will define
        self.put(f"{i}.go = icmp slt i64 {i}, {count}")
        self.put(f"br i1 {i}.go, label %{body}, label %{done}")
        self.label(body)
        loop = Loop(i, values)
        yield loop
        self.put(f"br label %{latch}")
        self.label(latch)
        self.put(f"{i}.next = add i64 {i}, {step}")
        self.put(f"br label %{head}")
        self.label(done)
        self.lines[phis:phis] = [
            f"  {value} = phi {kind or self.vector.type} [ {initial}, %{before} ], [ {following}, %{latch} ]"
            for value, initial, following in zip(values, carried, loop.following, strict=True)
        ]

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        name = self.fresh("if")
        self.put(f"br i1 {condition}, label %{name}.then, label %{name}.end")
        self.label(f"{name}.then")
        yield
        self.put(f"br label %{name}.end")
        self.label(f"{name}.end")

    # ---- vectors

    def load(self, pointer: str, index: str | int = 0) -> str:
        address = self.at(pointer, index)
        return self.new(f"load {self.vector.type}, ptr {address}, align {self.vector.size}")

    def store(self, value: str, pointer: str, index: str | int = 0) -> None:
        address = self.at(pointer, index)
        self.put(f"store {self.vector.type} {value}, ptr {address}, align {self.vector.size}")

    def spread(self, pointer: str, index: str | int) -> str:
        return self.everywhere(self.read(pointer, index, self.vector.element))

    def everywhere(self, one: str) -> str:
        v = self.vector
        first = self.new(f"insertelement {v.type} poison, {v.element} {one}, i64 0")
        return self.new(f"shufflevector {v.type} {first}, {v.type} poison, <{v.lanes} x i32> zeroinitializer")

    def total(self, value: str) -> str:
        v, distance = self.vector, 1
        while distance < v.lanes:
            mask = ", ".join(f"i32 {k ^ distance}" for k in range(v.lanes))
            other = self.new(f"shufflevector {v.type} {value}, {v.type} poison, <{v.lanes} x i32> <{mask}>")
            value, distance = self.binary("fadd", value, other), 2 * distance
        return value

    def binary(self, op: str, a: str, b: str) -> str:
        return self.new(f"{op} {self.vector.type} {a}, {b}")

    def intrinsic(self, name: str, *values: str) -> str:
        arguments = ", ".join(f"{self.vector.type} {v}" for v in values)
        return self.new(f"call {self.vector.type} @llvm.{name}.{self.vector.suffix}({arguments})")

    def fma(self, a: str, b: str, c: str) -> str:
        return self.intrinsic("fma", a, b, c)

    def select(self, condition: str, yes: str, no: str) -> str:
        v = self.vector
        return self.new(f"select {v.mask} {condition}, {v.type} {yes}, {v.type} {no}")

    @contextmanager
    def doubles(self, x: str) -> "Iterator[Doubles]":
        """Compute with doubles inside: yield x as doubles, and what makes elements of a result."""
        outer = self.vector
        wide = Vector("double", outer.lanes)
        if outer == wide:
            yield Doubles(x, lambda y: y, single=False)
            return
        self.vector = wide
        value = self.new(f"fpext {outer.type} {x} to {wide.type}")
        yield Doubles(value, lambda y: self.new(f"fptrunc {wide.type} {y} to {outer.type}"), single=True)
        self.vector = outer

    def test(self, how: str, a: str, b: str) -> str:
        return self.new(f"fcmp {how} {self.vector.type} {a}, {b}")

    def copy(self, destination: str, source: str, count: str | int) -> None:
        """Copy `count` elements that don't overlap."""
        size = self.mul(count, self.vector.size)
        self.put(f"call void @llvm.memcpy.p0.p0.i64(ptr {destination}, ptr {source}, i64 {size}, i1 false)")

    def clear(self, destination: str, count: str | int) -> None:
        size = self.mul(count, self.vector.size)
        self.put(f"call void @llvm.memset.p0.i64(ptr {destination}, i8 0, i64 {size}, i1 false)")


class Doubles(NamedTuple):
    """A value as doubles, how to make elements of another one, and whether those are floats."""

    value: str
    rounded: Callable[[str], str]
    single: bool


class Loop:
    """A loop's index and carried values: `values` at a turn's start, `following` for the next turn."""

    def __init__(self, index: str, values: list[str]) -> None:
        self.index, self.values = index, values
        self.following: list[str] = list(values)


def declarations(vector: Vector, text: str = "") -> str:
    """Return the declarations of LLVM's functions of these vectors, and of doubles where `text` has some."""
    wide = Vector("double", vector.lanes)
    if vector != wide and wide.type in text:
        return declarations(vector) + _functions(wide)
    lines = [_functions(vector).rstrip()]
    lines += ["declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"]
    lines += ["declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"]
    return "\n".join(lines) + "\n"


def _functions(vector: Vector) -> str:
    v, floats = vector.type, {"fma": 3, "copysign": 2, "maximum": 2, "minimum": 2}
    floats |= dict.fromkeys(("fabs", "sqrt"), 1)
    lines = [f"declare {v} @llvm.{f}.{vector.suffix}({', '.join([v] * n)})" for f, n in floats.items()]
    return "\n".join(lines) + "\n"
