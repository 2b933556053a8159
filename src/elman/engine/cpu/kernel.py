"""Whole-sequence kernels: the loops around a Program, as LLVM IR.

A thread owns some rows for all steps, or, where there are few rows, some units of all rows; then the team
meets after every step. The inputs' products are made for several steps at once, so that their tiles are full
and W is read seldom; the equations then run on each step's sums while those are in the cache.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from elman.engine.cpu.functions import EMIT
from elman.engine.cpu.ir import Function, declarations
from elman.engine.cpu.plan import Plan
from elman.engine.cpu.product import WIDE
from elman.engine.trace import Program

# How many of a block's rows, which stand by falling length, are still running at step t.
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


def kernel(plan: Plan) -> str:
    """The module of a plan: its function `run` takes the address of an argument block."""
    run = _Backward(plan) if plan.backward else _Forward(plan)
    return declarations(plan.vector) + ACTIVE + run.text()


@dataclass
class _Team:
    """This thread's part: slices of rows (start, step), its panels of units, and its own memory."""

    start: str
    step: str
    first_panel: str
    last_panel: str
    panels: str
    scratch: str
    sources: str
    destinations: str
    offsets: str


class _Kernel:
    """What both directions share. `f` writes the one function; the argument block's fields are its names."""

    width: int  # slots of a scratch row

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.lanes = plan.vector.lanes
        self.f = Function(plan.vector, plan.fields)
        self.f.load_arguments()
        self.team = self._team()

    def text(self) -> str:
        f = self.f
        with f.loop(f.arg("slices"), self.team.start, self.team.step) as piece:
            first = f.read(f.pointer("begins"), piece.index)
            last = f.read(f.pointer("begins"), f.add(piece.index, 1))
            self.slice(piece.index, first, last)
        return f.define("run", "ptr %a", linkage="")

    def slice(self, piece: str, first: str, last: str) -> None:
        raise NotImplementedError

    def _team(self) -> _Team:
        f = self.f
        number, size = (
            f.new(f"sext i32 {f.new(f'call i32 {f.pointer(asked)}()')} to i64")
            for asked in ("thread_num", "num_threads")
        )
        split = f.compare("ne", f.arg("split"), 0)
        panels = f.div(f.arg("Hp"), WIDE * self.lanes)
        # The split follows the team that there is, which may be smaller than the one asked for.
        low = f.div(f.mul(panels, number), size)
        high = f.div(f.mul(panels, f.add(number, 1)), size)
        room = f.arg("room")
        row = f.mul(f.arg("Hp"), self.width)
        sources = f.at(f.pointer("pointers"), f.mul(number, f.mul(room, 3)), "i64")
        return _Team(
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

    # ---- places

    def place(self, field: str, t: str, row: str, width: int | str = 1) -> str:
        """The address of (t, row) in a contiguous (T, B, width, Hp) buffer."""
        f = self.f
        return f.at(f.pointer(field), f.mul(f.add(f.mul(t, f.arg("B")), row), f.mul(f.arg("Hp"), width)))

    def state(self, name: str, slot: str, row: str) -> str:
        f = self.f
        return f.at(
            f.pointer(f"s.{name}"), f.add(f.mul(slot, f.arg(f"stride.{name}")), f.mul(row, f.arg("Hp")))
        )

    def starts(self, t: str, row: str) -> str:
        """Whether the state is cleared before step t of a row."""
        f = self.f
        flag = f.read(f.pointer("clear"), f.add(f.mul(t, f.arg("B")), row), "i8")
        return f.compare("ne", flag, 0, "i8")

    def before(self, name: str, prev: str, t: str, row: str) -> str:
        """The address of a state as step t finds it: of zeros, where a sequence starts."""
        place = self.state(name, prev, row)
        if not self.plan.resets:
            return place
        return self.f.choose(self.starts(t, row), self.f.pointer("zero"), place, "ptr")

    def order(self, i: str) -> tuple[str, str, str]:
        """For turn i: step t, and the slots of the state before and after it.

        Slot t + 1 is the state after step t going forwards, slot t is it going backwards.
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
        f = self.f
        low, high = slots
        # the weights' panels and scales count from the first slot that they make
        skipped = f.mul(f.arg("Hp"), low)
        kind = "i8" if self.plan.int8 else ""
        weights = f.at(f.pointer(which), f.sub(0, f.mul(skipped, K)), kind)
        scales = f.at(f.pointer(f"{which}.scales"), f.sub(0, skipped)) if self.plan.int8 else "null"
        # Alone with all units, a thread takes the slots as one range of panels.
        split = f.compare("ne", f.arg("split"), 0)
        turns, each = f.choose(split, high - low, 1), f.choose(split, 1, high - low)
        with f.loop(turns) as turn:
            base = f.mul(self.team.panels, f.add(turn.index, low))
            first = f.add(base, self.team.first_panel)
            last = f.add(f.add(base, f.mul(self.team.panels, f.sub(each, 1))), self.team.last_panel)
            rows = f"ptr {sources}, ptr {to}, i64 {m}, ptr {weights}, ptr {scales}"
            f.put(f"call void {f.pointer('product')}({rows}, i64 {first}, i64 {last}, i64 {K})")

    def meet(self) -> None:
        """Wait for the team, if it shares the rows."""
        f = self.f
        with f.when(f.compare("ne", f.arg("split"), 0)):
            f.put(f"call void {f.pointer('barrier')}()")

    @contextmanager
    def units(self) -> Iterator[str]:
        """Loop over this thread's vectors of units: the first unit of each."""
        f = self.f
        low, high = f.mul(self.team.first_panel, WIDE), f.mul(self.team.last_panel, WIDE)
        with f.loop(high, low) as loop:
            yield f.mul(loop.index, self.lanes)

    def shared(self, letter: str, name: str, t: str, row: str, unit: str) -> str:
        """A leaf that both directions read: a weight, or zoneout's share."""
        f = self.f
        if letter == "w":
            place = f.mul(f.arg("Hp"), self.plan.cell.weights.index(name))
            return f.load(f.pointer("units"), f.add(place, unit))
        assert letter == "z"
        place = f.mul(f.arg("z_state"), self.plan.cell.state.index(name))
        place = f.add(place, f.add(f.mul(t, f.arg("z_step")), f.mul(row, f.arg("z_row"))))
        return f.load(f.pointer("zoneout"), f.add(place, unit))

    def evaluate(self, program: Program, leaf: Callable[[str, str], str]) -> list[str]:
        """The values of a Program, its inputs by `leaf(letter, name)`."""
        values: list[str] = []
        for node in program.nodes:
            if node.op == "constant":
                values.append(self.plan.vector.constant(node.args[0]))
            elif node.op == "input":
                values.append(leaf(*node.args))
            else:
                values.append(EMIT[node.op](self.f, *(values[a] for a in node.args)))
        return values


class _Forward(_Kernel):
    """`chunk` steps at a time: the inputs' sums of all, then step after step."""

    def __init__(self, plan: Plan) -> None:
        self.width = len(plan.slots) + plan.masked  # and a place for h times its mask
        super().__init__(plan)

    def slice(self, piece: str, first: str, last: str) -> None:
        f, team = self.f, self.team
        with f.loop(f.arg("T"), step=f.arg("chunk")) as chunk:
            begin = chunk.index
            end = f.least(f.add(begin, f.arg("chunk")), f.arg("T"))
            f.write("0", team.offsets, 0)
            with f.loop(end, begin) as turn:
                self._gather(first, last, turn.index, f.sub(turn.index, begin))
            total = f.read(team.offsets, f.sub(end, begin))
            slots = self.plan.range("xa")
            self.product(team.sources, team.destinations, total, "W", slots, f.arg("I"))
            with f.loop(end, begin) as turn:
                self._step(first, turn.index, f.sub(turn.index, begin))

    def _gather(self, first: str, last: str, i: str, k: str) -> None:
        """Turn i, the k-th of the chunk: where its inputs are and where their sums go, starting from b."""
        f, team = self.f, self.team
        t, _, _ = self.order(i)
        m = self.active(first, last, t)
        offset = f.read(team.offsets, k)
        f.write(f.add(offset, m), team.offsets, f.add(k, 1))
        slots, width = len(self.plan.slots), f.mul(f.arg("Hp"), self.width)
        with f.loop(m) as loop:
            row = f.read(f.pointer("rows"), f.add(first, loop.index))
            place = f.add(offset, loop.index)
            x = f.at(f.pointer("x"), f.add(f.mul(t, f.arg("x_step")), f.mul(row, f.arg("x_row"))))
            to = f.at(team.scratch, f.mul(place, width))
            f.write(x, team.sources, place, "ptr")
            f.write(to, team.destinations, place, "ptr")
            f.copy(to, f.pointer("bias"), f.mul(f.arg("Hp"), slots))

    def _step(self, first: str, i: str, k: str) -> None:
        f, team, plan = self.f, self.team, self.plan
        t, prev, following = self.order(i)
        offset = f.read(team.offsets, k)
        m = f.sub(f.read(team.offsets, f.add(k, 1)), offset)
        to = f.at(team.destinations, offset, "ptr")
        if plan.recurrent:
            with f.loop(m) as loop:
                row = f.read(f.pointer("rows"), f.add(first, loop.index))
                h = self.before(plan.cell.state[0], prev, t, row)
                if plan.masked:
                    h = self._masked(h, f.read(to, loop.index, "ptr"), row)
                f.write(h, team.sources, loop.index, "ptr")
            self.product(team.sources, to, m, "U", plan.range("au"), f.arg("H"))
        with f.loop(m) as loop:
            row = f.read(f.pointer("rows"), f.add(first, loop.index))
            self._equations(t, prev, following, row, f.read(to, loop.index, "ptr"))
        self.meet()

    def _masked(self, h: str, sums: str, row: str) -> str:
        """h times its mask, behind the sums of its row."""
        f = self.f
        to = f.at(sums, f.mul(f.arg("Hp"), len(self.plan.slots)))
        mask = f.at(f.pointer("mask"), f.mul(row, f.arg("Hp")))
        with f.loop(f.arg("Hp"), step=self.lanes) as loop:
            f.store(f.binary("fmul", f.load(h, loop.index), f.load(mask, loop.index)), to, loop.index)
        return to

    def _equations(self, t: str, prev: str, following: str, row: str, sums: str) -> None:
        f, plan = self.f, self.plan
        cell, pair = plan.cell, plan.pair
        old = {c: self.before(c, prev, t, row) for c in cell.state}
        new = {c: self.state(c, following, row) for c in cell.state}
        kept = self.place("kept", t, row, plan.places) if plan.keep else ""
        with self.units() as unit:

            def leaf(letter: str, name: str) -> str:
                if letter == "s":
                    return f.load(old[name], unit)
                if letter in "xau":
                    slot = plan.slots.index((letter, name))
                    return f.load(sums, f.add(f.mul(f.arg("Hp"), slot), unit))
                return self.shared(letter, name, t, row, unit)

            values = self.evaluate(pair.forward, leaf)
            for c, k in zip(cell.state, pair.forward.outputs, strict=True):
                f.store(values[k], new[c], unit)
            for place, k in enumerate(pair.kept.values() if plan.keep else ()):
                f.store(values[k], kept, f.add(f.mul(f.arg("Hp"), place), unit))


class _Backward(_Kernel):
    """From the last turn to the first: what the later step passes back through U, then the equations."""

    def __init__(self, plan: Plan) -> None:
        self.width = 1 + plan.masked  # the gradient of h; with a mask, what comes through U stands apart
        super().__init__(plan)

    def slice(self, piece: str, first: str, last: str) -> None:
        f = self.f
        with f.loop(f.arg("T")) as turn:
            t, prev, following = self.order(turn.index)
            m = self.active(first, last, t)
            reverse = f.compare("ne", f.arg("reverse"), 0)
            later = f.choose(reverse, f.sub(t, 1), f.add(t, 1))
            with f.loop(m) as loop:
                row = f.read(f.pointer("rows"), f.add(first, loop.index))
                self._gather(t, later, row, loop.index)
            if self.plan.recurrent:
                low, high = self.plan.range("au")
                K = f.mul(f.arg("Hp"), high - low)
                sources, to = self.team.sources, self.team.destinations
                self.product(sources, to, m, "U", (0, 1), K)
            with f.loop(m) as loop:
                row = f.read(f.pointer("rows"), f.add(first, loop.index))
                self._equations(piece, t, prev, following, row, loop.index)
            self.meet()

    def _gather(self, t: str, later: str, row: str, k: str) -> None:
        """The k-th running row: where the later step's gradients are, and upstream's to add them to."""
        f, team, plan = self.f, self.team, self.plan
        width = f.mul(f.arg("Hp"), self.width)
        to = f.at(team.scratch, f.mul(k, width))
        up = f.at(f.pointer("up"), f.add(f.mul(t, f.arg("up_step")), f.mul(row, f.arg("up_row"))))
        if plan.masked:
            f.copy(f.at(to, f.arg("Hp")), up, f.arg("H"))
            f.clear(to, f.arg("Hp"))
        else:
            f.copy(to, up, f.arg("H"))
        f.write(to, team.destinations, k, "ptr")
        if not plan.recurrent:
            return
        began = f.compare("sge", later, 0)
        length = f.read(f.pointer("lengths"), row)
        runs = f.new(f"and i1 {began}, {f.compare('slt', later, length)}")
        source = f.at(self.place("kept", later, row, plan.places), f.mul(f.arg("Hp"), plan.range("au")[0]))
        if plan.resets:
            # a step that isn't taken has no flag: look at this one's instead
            flagged = self.starts(f.choose(runs, later, t), row)
            runs = f.new(f"and i1 {runs}, {f.new(f'xor i1 {flagged}, true')}")
        f.write(f.choose(runs, source, f.pointer("zero"), "ptr"), team.sources, k, "ptr")

    def _equations(self, piece: str, t: str, prev: str, following: str, row: str, k: str) -> None:
        f, plan = self.f, self.plan
        cell, pair = plan.cell, plan.pair
        old = {c: self.before(c, prev, t, row) for c in cell.state}
        new = {c: self.state(c, following, row) for c in cell.state}
        up = {c: self.place(f"up.{c}", t, row) for c in cell.state if plan.every}
        kept = self.place("kept", t, row, plan.places)
        carry = f.at(f.pointer("carry"), f.mul(row, f.mul(f.arg("Hp"), len(cell.state))))
        dh = f.read(self.team.destinations, k, "ptr")
        starts = self.starts(t, row) if plan.resets else ""
        names = tuple(pair.kept)
        with self.units() as unit:

            def gradient(name: str) -> str:
                place = cell.state.index(name)
                total = f.load(carry, f.add(f.mul(f.arg("Hp"), place), unit))
                if place == 0:
                    total = f.binary("fadd", total, self._of_output(dh, row, unit))
                if plan.every:
                    total = f.binary("fadd", total, f.load(up[name], unit))
                return total

            def leaf(letter: str, name: str) -> str:
                if letter == "d":
                    return gradient(name)
                if letter == "kept":
                    return f.load(kept, f.add(f.mul(f.arg("Hp"), names.index(name)), unit))
                if letter in ("s", "new"):
                    return f.load((old if letter == "s" else new)[name], unit)
                return self.shared(letter, name, t, row, unit)

            values = self.evaluate(pair.backward, leaf)
            results = dict(zip(pair.gradients, (values[k] for k in pair.backward.outputs), strict=True))
            self._store_gates(kept, piece, results, unit)
            self._store_carry(carry, results, starts, unit)
            self._add_weights(piece, results, unit)

    def _of_output(self, dh: str, row: str, unit: str) -> str:
        """The gradient of h from above and through U."""
        f = self.f
        if not self.plan.masked:
            return f.load(dh, unit)
        mask = f.load(f.pointer("mask"), f.add(f.mul(row, f.arg("Hp")), unit))
        return f.fma(f.load(dh, unit), mask, f.load(dh, f.add(f.arg("Hp"), unit)))

    def _store_gates(self, kept: str, piece: str, results: dict[tuple[str, str], str], unit: str) -> None:
        """Zero beyond H, whatever the equations make of units that don't exist: products read these."""
        f, v = self.f, self.plan.vector
        real = self._real(unit)
        for place, slot in enumerate(self.plan.slots):
            value = f.select(real, results[slot], v.constant(0.0))
            f.store(value, kept, f.add(f.mul(f.arg("Hp"), place), unit))
            self._sum_up(piece, place, value, unit)

    def _sum_up(self, piece: str, place: int, value: str, unit: str) -> None:
        """Add to a sum over steps and rows. Every slice of rows has its own, in its own order: whoever does
        the work, the same numbers are added in the same order."""
        f = self.f
        row = f.add(f.mul(piece, len(self.plan.slots) + len(self.plan.cell.weights)), place)
        where = f.add(f.mul(row, f.arg("Hp")), unit)
        f.store(f.binary("fadd", f.load(f.pointer("sums"), where), value), f.pointer("sums"), where)

    def _real(self, unit: str) -> str:
        """Which lanes are units below H."""
        f, v = self.f, self.plan.vector
        left = f.sub(f.arg("H"), unit)
        first = f.new(f"insertelement <{v.lanes} x i64> poison, i64 {left}, i64 0")
        lanes = f"<{v.lanes} x i32> zeroinitializer"
        spread = f.new(f"shufflevector <{v.lanes} x i64> {first}, <{v.lanes} x i64> poison, {lanes}")
        numbers = ", ".join(f"i64 {k}" for k in range(v.lanes))
        return f.new(f"icmp sgt <{v.lanes} x i64> {spread}, <{numbers}>")

    def _store_carry(self, carry: str, results: dict[tuple[str, str], str], starts: str, unit: str) -> None:
        """What the step before gets: nothing across a sequence's start."""
        f, v = self.f, self.plan.vector
        zero = v.constant(0.0)
        for place, c in enumerate(self.plan.cell.state):
            value = results.get(("s", c), zero)
            if starts:
                value = f.choose(starts, zero, value, v.type)
            f.store(value, carry, f.add(f.mul(f.arg("Hp"), place), unit))

    def _add_weights(self, piece: str, results: dict[tuple[str, str], str], unit: str) -> None:
        for place, name in enumerate(self.plan.cell.weights):
            if ("w", name) in results:
                self._sum_up(piece, len(self.plan.slots) + place, results["w", name], unit)
