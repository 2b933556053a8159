"""The backward kernel: from the last step to the first, through U and then through the equations."""

from elman.engine.cpu.emit.loops import Kernel
from elman.engine.cpu.emit.norm import Norm
from elman.engine.cpu.emit.plan import Plan


class Backward(Kernel):
    """From the last step to the first: the later step's gradient through U, then the equations."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.norm = Norm(self) if plan.norm else None

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
                self._through(m)
            with f.loop(m) as loop:
                row = f.read(f.pointer("rows"), f.add(first, loop.index))
                self._equations(piece, t, prev, following, row, loop.index)
            self.meet()

    def _through(self, m: str) -> None:
        """Add what the later step's gradients of the sums of m rows have for h, through U."""
        f, share, (low, high) = self.f, self.share, self.plan.range("au")
        if self.plan.heads == 1:
            K = f.mul(f.arg("Hp"), high - low)
            self.product(share.sources, share.destinations, m, "U", (0, 1), K)
            return
        for index in range(high - low):  # whose gradients follow each other, as do those of their heads
            with self.heads() as head:
                self.head_product(share.destinations, m, head, index, 0)
                self.next_head(m)

    def _gather(self, t: str, later: str, row: str, k: str) -> None:
        """Note for the k-th running row where the later step's gradients are, and copy those from above."""
        f, share, plan = self.f, self.share, self.plan
        width = f.mul(f.arg("Hp"), plan.width)
        to = f.at(share.scratch, f.mul(k, width))
        up = f.at(f.pointer("up"), f.add(f.mul(t, f.arg("up_step")), f.mul(row, f.arg("up_row"))))
        if plan.masked:
            f.copy(f.at(to, f.arg("Hp")), up, f.arg("H"))
            f.clear(to, f.arg("Hp"))
        else:
            f.copy(to, up, f.arg("H"))
        f.write(to, share.destinations, k, "ptr")
        if not plan.recurrent:
            return
        began = f.compare("sge", later, 0)
        length = f.read(f.pointer("lengths"), row)
        runs = f.new(f"and i1 {began}, {f.compare('slt', later, length)}")
        source = f.at(self.address("kept", later, row, plan.places), f.mul(f.arg("Hp"), plan.range("au")[0]))
        if plan.resets:
            # a step that isn't taken has no flag: read this one's instead
            flagged = self.starts(f.choose(runs, later, t), row)
            runs = f.new(f"and i1 {runs}, {f.new(f'xor i1 {flagged}, true')}")
        f.write(f.choose(runs, source, f.pointer("zero"), "ptr"), share.sources, k, "ptr")

    def _equations(self, piece: str, t: str, prev: str, following: str, row: str, k: str) -> None:
        f, plan = self.f, self.plan
        cell, pair = plan.cell, plan.pair
        old = {c: self.before(c, prev, t, row) for c in cell.state}
        new = {c: self.state(c, following, row) for c in cell.state}
        up = {c: self.address(f"up.{c}", t, row) for c in cell.state if plan.every}
        kept = self.address("kept", t, row, plan.places)
        carry = f.at(f.pointer("carry"), f.mul(row, f.mul(f.arg("Hp"), len(cell.state))))
        dh = f.read(self.share.destinations, k, "ptr")
        starts = self.starts(t, row) if plan.resets else ""
        names = tuple(pair.kept)
        gates = f.at(dh, f.mul(f.arg("Hp"), 1 + plan.masked)) if self.norm else kept
        with self.units() as unit:

            def gradient(name: str) -> str:
                index = cell.state.index(name)
                total = f.load(carry, f.add(f.mul(f.arg("Hp"), index), unit))
                if index == 0:
                    total = f.binary("fadd", total, self._of_output(dh, row, unit))
                if plan.every:
                    total = f.binary("fadd", total, f.load(up[name], unit))
                return total

            def leaf(letter: str, name: str) -> str:
                if letter == "d":
                    return gradient(name)
                if letter == "kept":
                    return f.load(kept, f.add(f.mul(f.arg("Hp"), plan.first_kept + names.index(name)), unit))
                if letter in ("s", "new"):
                    return f.load((old if letter == "s" else new)[name], unit)
                return self.shared(letter, name, t, row, unit)

            values = self.evaluate(pair.backward, leaf)
            results = dict(zip(pair.gradients, (values[k] for k in pair.backward.outputs), strict=True))
            self._store_gates(gates, piece, results, unit)
            self._store_carry(carry, results, starts, unit)
            self._add_weights(piece, results, unit)
            if plan.noted:
                for c in cell.state:
                    f.store(results["new", c], up[c], unit)
        if self.norm:
            sums = self._sum(piece, plan.sums - len(plan.slots))
            for side in self.norm.sides:
                self.norm.backward(side, kept, gates, sums)

    def _of_output(self, dh: str, row: str, unit: str) -> str:
        f = self.f
        if not self.plan.masked:
            return f.load(dh, unit)
        mask = f.load(f.pointer("mask"), f.add(f.mul(row, f.arg("Hp")), unit))
        return f.fma(f.load(dh, unit), mask, f.load(dh, f.add(f.arg("Hp"), unit)))

    def _store_gates(self, to: str, piece: str, results: dict[tuple[str, str], str], unit: str) -> None:
        """Store the gradients of the gates, 0 for units beyond H: products read these."""
        f, zero = self.f, self.plan.vector.constant(0.0)
        real = self.real(unit)
        for index, slot in enumerate(self.plan.slots):
            value = f.select(real, results.get(slot, zero), zero)
            f.store(value, to, f.add(f.mul(f.arg("Hp"), index), unit))
            self._sum_up(piece, index, value, unit)

    def _sum_up(self, piece: str, index: int, value: str, unit: str) -> None:
        """Add to a sum over steps and rows.

        Every slice of rows has its own sum, so that the order of additions doesn't depend on the threads.
        """
        f, total = self.f, self._sum(piece, index)
        f.store(f.binary("fadd", f.load(total, unit), value), total, unit)

    def _sum(self, piece: str, index: int) -> str:
        f = self.f
        row = f.add(f.mul(piece, self.plan.sums), index)
        return f.at(f.pointer("sums"), f.mul(row, f.arg("Hp")))

    def _store_carry(self, carry: str, results: dict[tuple[str, str], str], starts: str, unit: str) -> None:
        """Store the gradient for the step before: 0 across a sequence's start."""
        f, v = self.f, self.plan.vector
        zero = v.constant(0.0)
        for index, c in enumerate(self.plan.cell.state):
            value = results.get(("s", c), zero)
            if starts:
                value = f.choose(starts, zero, value, v.type)
            f.store(value, carry, f.add(f.mul(f.arg("Hp"), index), unit))

    def _add_weights(self, piece: str, results: dict[tuple[str, str], str], unit: str) -> None:
        for index, name in enumerate(self.plan.cell.weights):
            if ("w", name) in results:
                self._sum_up(piece, len(self.plan.slots) + index, results["w", name], unit)
