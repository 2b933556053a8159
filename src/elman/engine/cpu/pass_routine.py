"""The routines of both passes of a training step: packing of the weights, the kernel, copies of states and
biases, and the products that give the gradients of matrices and input.

T steps, B sequences, I inputs, H units, G gates, N heads of D units: D = H without heads.
"""

import itertools
from collections.abc import Sequence

from elman.cells import Cell
from elman.engine.call import Form, Spec
from elman.engine.cpu import build, launch
from elman.engine.cpu.emit import multiply, product
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.routine import Place, Routine, Word, after
from elman.engine.slots import gates


def _inputs(cell: Cell, weight_names: tuple[str, ...]) -> list[str]:
    return ["x", *weight_names, *[f"begin.{c}" for c in cell.state]]


def _kept(cell: Cell) -> list[str]:
    return [*[f"s.{c}" for c in cell.state], "kept", *(["units"] if cell.weights else [])]


class _Pass:
    """What the routines of both passes have in common."""

    def __init__(
        self, spec: Spec, plan: Plan, x: Form, weight_names: tuple[str, ...], threads: int, bases: list[str]
    ) -> None:
        self.spec, self.plan, self.weight_names = spec, plan, weight_names
        self.steps, self.batch, self.inputs = x.shape
        self.size, self.hidden, self.row = x.dtype.itemsize, spec.hidden, spec.hidden * x.dtype.itemsize
        self.units = spec.hidden // spec.heads  # D
        self.functions = build.routine_addresses(plan.vector) | build.packing_addresses(plan.vector)
        self.routine = Routine(plan.vector, bases)
        self.frame = launch.even_frame(plan, spec.hidden, spec.reverse, x.shape, x.dtype, threads)
        self.fields: dict[str, Word] = {name: (name, 0) for name in bases if name in plan.fields}
        self.fields |= {f"stride.{c}": self.batch * self.hidden for c in spec.cell.state}

    def call(self, name: str, *arguments: Word) -> None:
        self.routine.call(self.functions[name], *arguments)

    def start(self) -> None:
        """Call the kernel."""
        room = self.routine.room(self.frame.scratch)
        pointers, scratch = launch.places(self.frame.schedule, self.frame.rows, 0)
        self.fields |= {"pointers": after(room, pointers), "scratch": after(room, scratch)}
        words = [self.fields.get(name, self.frame.block[at]) for name, at in self.frame.at.items()]
        self.routine.call(*launch.native(self.plan, self.frame.schedule.threads, self.routine.table(words)))

    def rows(self, letters: str, name: str, inputs: int) -> list[Word]:
        """Return the addresses of the rows of a weight for these slots."""
        row, units = inputs * self.size, range(self.hidden)
        return [(name, (g * self.hidden + unit) * row) for g in gates(self.plan, letters) for unit in units]


class ForwardPass(_Pass):
    def __init__(self, spec: Spec, plan: Plan, x: Form, weight_names: tuple[str, ...], threads: int) -> None:
        cell = spec.cell
        bases = [
            "x_step",
            "x_row",
            *_kept(cell),
            *[f"end.{c}" for c in cell.state],
            *_inputs(cell, weight_names),
        ]
        super().__init__(spec, plan, x, weight_names, threads, bases)
        self._pack("W", "xa", "weight_ih", self.inputs)
        if "weight_hh" in weight_names:
            self._pack("U", "au", "weight_hh", self.units)
        self._add_biases()
        for k, name in enumerate(cell.weights):
            self.call("copy", ("units", k * self.row), (f"w.{name}", 0), self.hidden)
        slot = self.batch * self.hidden
        first, last = (self.steps, 0) if spec.reverse else (0, self.steps)
        for c in cell.state:
            self.call("copy", (f"s.{c}", first * slot * self.size), (f"begin.{c}", 0), slot)
        self.start()
        for c in cell.state:
            self.call("copy", (f"end.{c}", 0), (f"s.{c}", last * slot * self.size), slot)
        self.routine.finish(self.frame)

    def _pack(self, field: str, letters: str, name: str, inputs: int) -> None:
        rows = self.rows(letters, name, inputs)
        panels = self.fields[field] = self.routine.room(len(rows) * inputs * self.size)
        count = len(rows) // (product.WIDE * self.plan.vector.lanes)
        self.call("across", self.routine.table(rows), panels, count, inputs)

    def _add_biases(self) -> None:
        """Put together what the sums start from."""
        bias = self.fields["bias"] = self.routine.room(len(self.plan.slots) * self.row)
        for k, (letter, gate) in enumerate(self.plan.slots):
            to, offset = after(bias, k * self.row), self.spec.cell.gates.index(gate) * self.row
            if "bias_ih" not in self.weight_names:
                self.call("clear", to, self.hidden)
            elif letter == "a":
                self.call("add", to, ("bias_ih", offset), ("bias_hh", offset), self.hidden)
            else:
                self.call("copy", to, ("bias_ih" if letter == "x" else "bias_hh", offset), self.hidden)


class BackwardPass(_Pass):
    def __init__(
        self,
        spec: Spec,
        plan: Plan,
        x: Form,
        weight_names: tuple[str, ...],
        threads: int,
        needed: tuple[bool, ...],
        gathers_up: bool,
        gathers_x: bool,
    ) -> None:
        """`gathers_up`: the elements of a row of the output's gradient aren't side by side; `gathers_x`: the
        rows of x don't follow each other."""
        cell, names = spec.cell, ("x", *weight_names, "carry")
        bases = ["up_step", "up_row", "up_unit", "x_step", "x_row", "x_unit"]
        bases += ["up", *[f"end.{c}" for c in cell.state], *[f"gradient of {name}" for name in names]]
        super().__init__(
            spec, plan, x, weight_names, threads, [*bases, *_inputs(cell, weight_names), *_kept(cell)]
        )
        self.needed = set(itertools.compress(names, needed))
        self._carry(cell.state)
        if "weight_hh" in weight_names:
            self._pack_back()
        if gathers_up:
            self.fields["up"] = self._gathered("up", self.hidden)
            self.fields |= {"up_step": self.batch * self.hidden, "up_row": self.hidden}
        self._sum()
        self._multiply(gathers_x)
        self.routine.finish(self.frame)

    def _pack_back(self) -> None:
        rows = self.rows("au", "weight_hh", self.units)
        panels = self.fields["U"] = self.routine.room(len(rows) * self.units * self.size)
        count = len(rows) if self.spec.heads == 1 else self.units  # of a block
        for first in range(0, len(rows), count):
            block, to = rows[first : first + count], after(panels, first * self.units * self.size)
            self.call("along", self.routine.table(block), to, count, self.units)

    def _carry(self, states: Sequence[str]) -> None:
        """Begin with the gradients of the final states."""
        carry = "gradient of carry", 0
        if "carry" not in self.needed:
            carry = self.routine.room(self.batch * len(states) * self.row)
        self.fields["carry"] = carry
        for k, (b, c) in enumerate(itertools.product(range(self.batch), states)):
            self.call("copy", after(carry, k * self.row), (f"end.{c}", b * self.row), self.hidden)

    def _gathered(self, name: str, columns: int) -> Place:
        """Copy a tensor (T, B, ·) to where its elements are side by side."""
        room = self.routine.room(self.steps * self.batch * columns * self.size)
        strides: list[Word] = [(f"{name}_{axis}", 0) for axis in ("step", "row", "unit")]
        sizes: list[Word] = [self.steps, self.batch, columns]
        self.call("gather", room, (name, 0), self.routine.table(sizes + strides))
        return room

    def _sum(self) -> None:
        """Run the kernel, and put the gradients that it sums up where they belong."""
        slices, plan = self.frame.schedule.slices, self.plan
        numbers = plan.sums * self.hidden
        sums = self.fields["sums"] = self.routine.room(slices * numbers * self.size)
        self.call("clear", sums, slices * numbers)
        self.start()
        for k in range(1, slices):
            self.call("add", sums, sums, after(sums, k * numbers * self.size), numbers)
        for name, letters in (("bias_ih", "xa"), ("bias_hh", "au")):
            for g, gate in enumerate(self.spec.cell.gates if name in self.needed else ()):
                to = f"gradient of {name}", g * self.row
                slot = next((k for k, s in enumerate(plan.slots) if s[0] in letters and s[1] == gate), None)
                if slot is None:
                    self.call("clear", to, self.hidden)
                else:
                    self.call("copy", to, after(sums, slot * self.row), self.hidden)
        for k, name in enumerate(self.spec.cell.weights, len(plan.slots)):
            if f"w.{name}" in self.needed:
                self.call("copy", (f"gradient of w.{name}", 0), after(sums, k * self.row), self.hidden)

    def _multiply(self, gathers_x: bool) -> None:
        """Multiply the gradients of the sums, (T*B, places, H), with what W and U read, and with W."""
        width, hidden, count = self.plan.places * self.hidden, self.hidden, self.steps * self.batch
        if "weight_ih" in self.needed:
            x = self._gathered("x", self.inputs) if gathers_x else ("x", 0)
            self._of_weight("weight_ih", "xa", x, self.inputs)
        if "weight_hh" in self.needed:
            h = f"s.{self.spec.cell.state[0]}", self.batch * self.row if self.spec.reverse else 0
            self._of_weight("weight_hh", "au", h, hidden, self.spec.heads)
        if "x" in self.needed:
            to = "gradient of x", 0
            self.call("clear", to, count * self.inputs)
            for slot, gate in self._slots("xa"):
                weight = "weight_ih", gate * self.inputs * self.row
                sums = ("kept", slot * self.row), width, 1
                self._product(to, self.inputs, *sums, weight, self.inputs, count, self.inputs, hidden)

    def _of_weight(self, name: str, letters: str, read: Place, inputs: int, heads: int = 1) -> None:
        """Multiply with what was read, of so many inputs; each head has read its part of them."""
        width, count = self.plan.places * self.hidden, self.steps * self.batch
        rows, columns = self.hidden // heads, inputs // heads
        to = f"gradient of {name}", 0
        self.call("clear", to, len(self.spec.cell.gates) * self.hidden * columns)
        for (slot, gate), head in itertools.product(self._slots(letters), range(heads)):
            sums = ("kept", slot * self.row + head * rows * self.size), 1, width
            part = after(to, (gate * self.hidden + head * rows) * columns * self.size)
            seen = after(read, head * columns * self.size)
            self._product(part, columns, *sums, seen, inputs, rows, columns, count)

    def _slots(self, letters: str) -> list[tuple[int, int]]:
        """Return the slots of these letters and their gates."""
        low, high = self.plan.range(letters)
        return list(zip(range(low, high), gates(self.plan, letters), strict=True))

    def _product(self, *fields: Word) -> None:
        """Call `multiply` with its fields in order."""
        assert len(fields) == len(multiply.FIELDS)
        self.call("multiply", self.routine.table(fields))
