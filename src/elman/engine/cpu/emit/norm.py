"""Layer normalisation of a row's sums, over the units of all gates: Ba et al., arXiv:1607.06450.

With N sums v of one product, their mean m, c = v - m and r = 1 / sqrt(mean(c²) + ε), the equations read
gain c r + bias. With the gradients g of these and d = g gain, the gradient of v is
r (d - mean(d) - c r² mean(d c)).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from elman.engine.cpu.emit.ir import Loop
from elman.engine.cpu.emit.loops import Kernel
from elman.engine.plan import EPSILON


class Norm:
    """The normalisation in a kernel whose threads have whole rows."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel, self.f, self.plan = kernel, kernel.f, kernel.plan
        f, v = self.f, self.plan.vector
        self.zero = v.constant(0.0)
        total = f.mul(f.arg("H"), len(self.plan.cell.gates))
        self.total = f.everywhere(f.new(f"sitofp i64 {total} to {v.element}"))
        self.sides = [self.plan.range(letter) for letter in "xu" if self.plan.range(letter)[1]]

    def _units(self, sums: int = 0) -> AbstractContextManager[Loop]:
        """Loop over the vectors of a row's units, with `sums` carried sums that start at 0."""
        f = self.f
        return f.loop(f.arg("Hp"), step=self.plan.vector.lanes, carried=[self.zero] * sums)

    def _offsets(self, side: tuple[int, int], unit: str) -> list[str]:
        return [self._offset(slot, unit) for slot in range(*side)]

    def _offset(self, slot: int, unit: str) -> str:
        return self.f.add(self.f.mul(self.f.arg("Hp"), slot), unit)

    def _plus(self, total: str, values: Sequence[str]) -> str:
        """Add the gates' values first, so that turns of a loop wait for one addition only."""
        first, *others = values
        for value in others:
            first = self.f.binary("fadd", first, value)
        return self.f.binary("fadd", total, first)

    def _mean(self, sums: str) -> str:
        return self.f.binary("fdiv", self.f.total(sums), self.total)

    def _rate(self, squares: str) -> str:
        f, constant = self.f, self.plan.vector.constant
        variance = f.binary("fadd", self._mean(squares), constant(EPSILON))
        return f.binary("fdiv", constant(1.0), f.intrinsic("sqrt", variance))

    def centre(self, side: tuple[int, int], source: str, to: str) -> str:
        """Subtract the mean from one row of slots to another, 0 for units beyond H; return r."""
        f = self.f
        with self._units(1) as first:
            values = [f.load(source, offset) for offset in self._offsets(side, first.index)]
            first.following[0] = self._plus(first.values[0], values)
        mean = self._mean(first.values[0])
        with self._units(1) as second:
            real, squares = self.kernel.real(second.index), []
            for offset in self._offsets(side, second.index):
                centred = f.select(real, f.binary("fsub", f.load(source, offset), mean), self.zero)
                f.store(centred, to, offset)
                squares.append(f.binary("fmul", centred, centred))
            second.following[0] = self._plus(second.values[0], squares)
        return self._rate(second.values[0])

    def value(self, centred: str, rate: str, slot: int, unit: str) -> str:
        f, offset = self.f, self._offset(slot, unit)
        scaled = f.binary("fmul", f.load(centred, offset), rate)
        return f.fma(scaled, f.load(f.pointer("gain"), offset), f.load(f.pointer("bias"), offset))

    def backward(self, side: tuple[int, int], centred: str, gradients: str, sums: str) -> None:
        """Replace the centred sums by their gradients; add those of the gains to `sums`."""
        f = self.f
        with self._units(3) as first:
            parts = []
            for offset in self._offsets(side, first.index):
                c, d = f.load(centred, offset), self._scaled(gradients, offset)
                parts.append((f.binary("fmul", c, c), d, f.binary("fmul", d, c)))
            both = zip(first.values, zip(*parts, strict=True), strict=True)
            first.following = [self._plus(total, values) for total, values in both]
        squares, plain, crossed = first.values
        rate, shift = self._rate(squares), self._mean(plain)
        slope = f.binary("fmul", f.binary("fmul", rate, rate), self._mean(crossed))
        with self._units() as second:
            real = self.kernel.real(second.index)
            for offset in self._offsets(side, second.index):
                c, d = f.load(centred, offset), self._scaled(gradients, offset)
                gain = f.fma(f.load(gradients, offset), f.binary("fmul", c, rate), f.load(sums, offset))
                f.store(gain, sums, offset)
                d = f.binary("fsub", f.binary("fsub", d, shift), f.binary("fmul", c, slope))
                f.store(f.select(real, f.binary("fmul", d, rate), self.zero), centred, offset)

    def _scaled(self, gradients: str, offset: str) -> str:
        f = self.f
        return f.binary("fmul", f.load(gradients, offset), f.load(f.pointer("gain"), offset))
