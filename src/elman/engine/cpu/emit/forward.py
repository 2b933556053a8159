"""The forward kernel: products with W for several steps at once, so that tiles are full and W is read rarely;
then, step by step, the equations on sums that are still in the cache."""

from elman.engine.cpu.emit.loops import Kernel
from elman.engine.cpu.emit.norm import Norm
from elman.engine.cpu.emit.plan import Plan


class Forward(Kernel):
    """`chunk` steps at a time: the sums of all inputs, then step by step."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.norm = Norm(self) if plan.norm else None

    def slice(self, piece: str, first: str, last: str) -> None:
        f, share = self.f, self.share
        with f.loop(f.arg("T"), step=f.arg("chunk")) as chunk:
            begin = chunk.index
            end = f.least(f.add(begin, f.arg("chunk")), f.arg("T"))
            f.write("0", share.offsets, 0)
            with f.loop(end, begin) as turn:
                self._gather(first, last, turn.index, f.sub(turn.index, begin))
            total = f.read(share.offsets, f.sub(end, begin))
            slots = self.plan.range("xa")
            self.product(share.sources, share.destinations, total, "W", slots, f.arg("I"))
            with f.loop(end, begin) as turn:
                self._step(first, turn.index, f.sub(turn.index, begin))

    def _gather(self, first: str, last: str, i: str, k: str) -> None:
        """Note for turn i, the k-th of the chunk, where its inputs are and where their sums go.

        Sums start from b, which layer normalisation adds later.
        """
        f, share = self.f, self.share
        t, _, _ = self.order(i)
        m = self.active(first, last, t)
        offset = f.read(share.offsets, k)
        f.write(f.add(offset, m), share.offsets, f.add(k, 1))
        slots, width = len(self.plan.slots), f.mul(f.arg("Hp"), self.plan.width)
        with f.loop(m) as loop:
            row = f.read(f.pointer("rows"), f.add(first, loop.index))
            position = f.add(offset, loop.index)
            x = f.at(f.pointer("x"), f.add(f.mul(t, f.arg("x_step")), f.mul(row, f.arg("x_row"))))
            to = f.at(share.scratch, f.mul(position, width))
            f.write(x, share.sources, position, "ptr")
            f.write(to, share.destinations, position, "ptr")
            if self.norm:
                f.clear(to, f.mul(f.arg("Hp"), slots))
            else:
                f.copy(to, f.pointer("bias"), f.mul(f.arg("Hp"), slots))

    def _step(self, first: str, i: str, k: str) -> None:
        f, share, plan = self.f, self.share, self.plan
        t, prev, following = self.order(i)
        offset = f.read(share.offsets, k)
        m = f.sub(f.read(share.offsets, f.add(k, 1)), offset)
        to = f.at(share.destinations, offset, "ptr")
        if plan.recurrent:
            with f.loop(m) as loop:
                row = f.read(f.pointer("rows"), f.add(first, loop.index))
                h = self.before(plan.cell.state[0], prev, t, row)
                if plan.masked:
                    h = self._masked(h, f.read(to, loop.index, "ptr"), row)
                f.write(h, share.sources, loop.index, "ptr")
            self._products(to, m)
        with f.loop(m) as loop:
            row = f.read(f.pointer("rows"), f.add(first, loop.index))
            self._equations(t, prev, following, row, f.read(to, loop.index, "ptr"))
        self.meet()

    def _products(self, to: str, m: str) -> None:
        """Add the products of U with m rows of h to the sums of the slots that have one."""
        share, (low, high) = self.share, self.plan.range("au")
        if self.plan.heads == 1:
            self.product(share.sources, to, m, "U", (low, high), self.f.arg("H"))
            return
        with self.heads() as head:
            for slot in range(low, high):
                self.head_product(to, m, head, slot - low, slot)
            self.next_head(m)

    def _masked(self, h: str, sums: str, row: str) -> str:
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
        kept = self.address("kept", t, row, plan.places) if plan.keep else ""
        rates, centred = [], kept or sums  # with layer normalisation: of each product
        if self.norm:
            rates = [self.norm.centre(side, sums, centred) for side in self.norm.sides]
        with self.units() as unit:

            def leaf(letter: str, name: str) -> str:
                if letter == "s":
                    return f.load(old[name], unit)
                if letter in "xau":
                    slot = plan.slots.index((letter, name))
                    if self.norm:
                        return self.norm.value(centred, rates["xu".index(letter)], slot, unit)
                    return f.load(sums, f.add(f.mul(f.arg("Hp"), slot), unit))
                return self.shared(letter, name, t, row, unit)

            values = self.evaluate(pair.forward, leaf)
            for c, k in zip(cell.state, pair.forward.outputs, strict=True):
                f.store(values[k], new[c], unit)
            for index, k in enumerate(pair.kept.values() if plan.keep else ()):
                f.store(values[k], kept, f.add(f.mul(f.arg("Hp"), plan.first_kept + index), unit))
