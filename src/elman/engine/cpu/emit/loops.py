"""The parts that forward and backward kernels share: division of work, addresses, products and equations.

A thread owns some rows for all steps or, if there are few rows, some units of all rows; then the threads wait
for each other after every step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from elman.engine.cpu.emit.functions import EMIT
from elman.engine.cpu.emit.ir import Function
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.emit.product import WIDE
from elman.engine.program import Program

# Count the rows of a block, sorted by falling length, that are still running at step t.
ACTIVE = """
define internal i64 @active(i64 %first, i64 %last, i64 %t, ptr %rows, ptr %lengths) nounwind {
entry:
  br label %look
look:
  %end = phi i64 [ %last, %entry ], [ %shorter, %test ]
  %none = icmp eq i64 %end, %first
  br i1 %none, label %done, label %test
test:
  %shorter = sub i64 %end, 1
  %row.at = getelementptr i64, ptr %rows, i64 %shorter
  %row = load i64, ptr %row.at
  %length.at = getelementptr i64, ptr %lengths, i64 %row
  %length = load i64, ptr %length.at
  %over = icmp sle i64 %length, %t
  br i1 %over, label %look, label %done
done:
  %count = sub i64 %end, %first
  ret i64 %count
}
"""


@dataclass
class Share:
    """A thread's share: slices of rows (start, step), panels of units, and its own memory."""

    start: str
    step: str
    first_panel: str
    last_panel: str
    panels: str
    scratch: str
    sources: str
    destinations: str
    offsets: str


class Kernel:
    """Base of both kernels. `f` writes the one function; it reads the argument block's fields by name."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lanes = plan.vector.lanes
        self.f = Function(plan.vector, plan.fields)
        self.f.load_arguments()
        self.share = self._share()

    def text(self) -> str:
        f = self.f
        with f.loop(f.arg("slices"), self.share.start, self.share.step) as piece:
            first = f.read(f.pointer("begins"), piece.index)
            last = f.read(f.pointer("begins"), f.add(piece.index, 1))
            self.slice(piece.index, first, last)
        return f.define("run", "ptr %a", linkage="external")

    def slice(self, piece: str, first: str, last: str) -> None:
        raise NotImplementedError

    def _share(self) -> Share:
        f = self.f
        number, size = (
            f.new(f"sext i32 {f.new(f'call i32 {f.pointer(name)}()')} to i64")
            for name in ("thread_num", "num_threads")
        )
        split = f.compare("ne", f.arg("split"), 0)
        panels = f.div(f.arg("Hp"), WIDE * self.lanes)
        # the actual team may be smaller than the one asked for
        low = f.div(f.mul(panels, number), size)
        high = f.div(f.mul(panels, f.add(number, 1)), size)
        room = f.arg("room")
        row = f.mul(f.arg("Hp"), self.plan.width)
        sources = f.at(f.pointer("pointers"), f.mul(number, f.mul(room, 3)), "i64")
        return Share(
            start=f.choose(split, 0, number),
            step=size,
            first_panel=f.choose(split, low, 0),
            last_panel=f.choose(split, high, panels),
            panels=panels,
            scratch=f.at(f.pointer("scratch"), f.mul(number, f.mul(room, row))),
            sources=sources,
            destinations=f.at(sources, room, "i64"),
            offsets=f.at(sources, f.mul(room, 2), "i64"),
        )

    # ---- addresses

    def address(self, field: str, t: str, row: str, width: int | str = 1) -> str:
        """Return the address of (t, row) in a contiguous (T, B, width, Hp) buffer."""
        f = self.f
        return f.at(f.pointer(field), f.mul(f.add(f.mul(t, f.arg("B")), row), f.mul(f.arg("Hp"), width)))

    def state(self, name: str, slot: str, row: str) -> str:
        f = self.f
        return f.at(
            f.pointer(f"s.{name}"), f.add(f.mul(slot, f.arg(f"stride.{name}")), f.mul(row, f.arg("Hp")))
        )

    def starts(self, t: str, row: str) -> str:
        """Return whether the state is cleared before step t of a row."""
        f = self.f
        flag = f.read(f.pointer("clear"), f.add(f.mul(t, f.arg("B")), row), "i8")
        return f.compare("ne", flag, 0, "i8")

    def before(self, name: str, prev: str, t: str, row: str) -> str:
        """Return the address of a state before step t: of zeros where a sequence starts."""
        address = self.state(name, prev, row)
        if not self.plan.resets:
            return address
        return self.f.choose(self.starts(t, row), self.f.pointer("zero"), address, "ptr")

    def order(self, i: str) -> tuple[str, str, str]:
        """Return for turn i the step t, and the slots of the state before and after it.

        The state after step t is in slot t + 1 going forwards, in slot t going backwards.
        """
        f = self.f
        reverse = f.compare("ne", f.arg("reverse"), 0)
        back = f.sub(f.sub(f.arg("T"), 1), i)
        t = f.choose(reverse, i, back) if self.plan.backward else f.choose(reverse, back, i)
        following = f.add(t, 1)
        return t, f.choose(reverse, following, t), f.choose(reverse, t, following)

    def active(self, first: str, last: str, t: str) -> str:
        f = self.f
        rows, lengths = f.pointer("rows"), f.pointer("lengths")
        return f.new(f"call i64 @active(i64 {first}, i64 {last}, i64 {t}, ptr {rows}, ptr {lengths})")

    # ---- work

    def product(self, sources: str, to: str, m: str, which: str, slots: tuple[int, int], K: str) -> None:
        """Add a product with the weights `which` to this thread's units of some slots of m destinations."""
        if self.plan.grouped:
            self._grouped_product(sources, to, m, which, slots, K)
            return
        f, int8 = self.f, self.plan.packing == "int8"
        low, high = slots
        # panels and scales count from the first slot that these weights feed
        skipped = f.mul(f.arg("Hp"), low)
        kind = "i8" if int8 else ""
        weights = f.at(f.pointer(which), f.sub(0, f.mul(skipped, K)), kind)
        scales = f.at(f.pointer(f"{which}.scales"), f.sub(0, skipped)) if int8 else "null"
        # a thread that has all units takes the slots as one range of panels
        split = f.compare("ne", f.arg("split"), 0)
        turns, each = f.choose(split, high - low, 1), f.choose(split, 1, high - low)
        with f.loop(turns) as turn:
            base = f.mul(self.share.panels, f.add(turn.index, low))
            first = f.add(base, self.share.first_panel)
            last = f.add(f.add(base, f.mul(self.share.panels, f.sub(each, 1))), self.share.last_panel)
            rows = f"ptr {sources}, ptr {to}, i64 {m}, ptr {weights}, ptr {scales}"
            f.put(f"call void {f.pointer('product')}({rows}, i64 {first}, i64 {last}, i64 {K})")

    def _grouped_product(
        self, sources: str, to: str, m: str, which: str, slots: tuple[int, int], K: str
    ) -> None:
        """Do the same in one call, because it rounds the rows."""
        f, share, (low, high) = self.f, self.share, slots
        split = f.compare("ne", f.arg("split"), 0)
        turns, rest = f.choose(split, high - low, 1), f.choose(split, 0, high - low - 1)
        skipped = f.mul(share.panels, low)
        first = f.add(skipped, share.first_panel)
        last = f.add(f.add(skipped, f.mul(share.panels, rest)), share.last_panel)
        scales = f.pointer(f"{which}.scales") if self.plan.packing == "int8 groups" else "null"
        rows = f"ptr {sources}, ptr {to}, i64 {m}, ptr {f.pointer(which)}, ptr {scales}"
        panels = f"i64 {first}, i64 {last}, i64 {K}, i64 {turns}, i64 {share.panels}, i64 {skipped}"
        f.put(f"call void {f.pointer('product')}({rows}, {panels})")

    @contextmanager
    def heads(self) -> Iterator[str]:
        """Loop over heads; yields the number of each."""
        with self.f.loop(self.f.div(self.f.arg("Hp"), self.f.arg("D"))) as loop:
            yield loop.index

    def head_product(self, to: str, m: str, head: str, index: int, slot: int) -> None:
        """Add the product of a head's block of U, in its slot `index`, to this thread's units of that head in
        a slot of m destinations."""
        f, share, D = self.f, self.share, self.f.arg("D")
        panels = f.div(D, WIDE * self.lanes)
        low, high = f.mul(head, panels), f.mul(f.add(head, 1), panels)
        low = f.choose(f.compare("ult", low, share.first_panel), share.first_panel, low)
        high = f.least(high, share.last_panel)
        skipped = f.mul(share.panels, slot)
        weights = f.at(f.pointer("U"), f.mul(f.mul(f.arg("Hp"), D), index - slot))
        rows = f"ptr {share.sources}, ptr {to}, i64 {m}, ptr {weights}, ptr null"
        with f.when(f.compare("slt", low, high)):
            first, last = f.add(skipped, low), f.add(skipped, high)
            f.put(f"call void {f.pointer('product')}({rows}, i64 {first}, i64 {last}, i64 {D})")

    def next_head(self, m: str) -> None:
        """Let m sources begin at the numbers of the next head."""
        f, sources = self.f, self.share.sources
        with f.loop(m) as loop:
            here = f.read(sources, loop.index, "ptr")
            f.write(f.at(here, f.arg("D")), sources, loop.index, "ptr")

    def meet(self) -> None:
        f = self.f
        with f.when(f.compare("ne", f.arg("split"), 0)):
            f.put(f"call void {f.pointer('barrier')}()")

    @contextmanager
    def units(self) -> Iterator[str]:
        """Loop over this thread's vectors of units; yields the first unit of each."""
        f = self.f
        low, high = f.mul(self.share.first_panel, WIDE), f.mul(self.share.last_panel, WIDE)
        with f.loop(high, low) as loop:
            yield f.mul(loop.index, self.lanes)

    def real(self, unit: str) -> str:
        f, v = self.f, self.plan.vector
        left = f.sub(f.arg("H"), unit)
        first = f.new(f"insertelement <{v.lanes} x i64> poison, i64 {left}, i64 0")
        lanes = f"<{v.lanes} x i32> zeroinitializer"
        spread = f.new(f"shufflevector <{v.lanes} x i64> {first}, <{v.lanes} x i64> poison, {lanes}")
        numbers = ", ".join(f"i64 {k}" for k in range(v.lanes))
        return f.new(f"icmp sgt <{v.lanes} x i64> {spread}, <{numbers}>")

    def shared(self, letter: str, name: str, t: str, row: str, unit: str) -> str:
        f = self.f
        if letter == "w":
            offset = f.mul(f.arg("Hp"), self.plan.cell.weights.index(name))
            return f.load(f.pointer("units"), f.add(offset, unit))
        assert letter == "z"
        offset = f.mul(f.arg("z_state"), self.plan.cell.state.index(name))
        offset = f.add(offset, f.add(f.mul(t, f.arg("z_step")), f.mul(row, f.arg("z_row"))))
        return f.load(f.pointer("zoneout"), f.add(offset, unit))

    def evaluate(self, program: Program, leaf: Callable[[str, str], str]) -> list[str]:
        """Return the values of a Program, its inputs by `leaf(letter, name)`."""
        values: list[str] = []
        for node in program.nodes:
            if node.op == "constant":
                values.append(self.plan.vector.constant(node.args[0]))
            elif node.op == "input":
                values.append(leaf(*node.args))
            else:
                values.append(EMIT[node.op](self.f, *(values[a] for a in node.args)))
        return values
