"""The normal distribution function of vectors, and what is made of it, in doubles whatever the element.

Phi(-|x|) = exp(-z²) erfcx(z) / 2 with z = |x|/sqrt(2), and (1 + 2z) erfcx(z) is a Chebyshev series in
t = (z - k)/(z + k), which reaches from 0 to infinity (Shepherd, Laframboise, Math. Comp. 36, 1981). So small
probabilities keep their relative precision.
"""

import math
from collections.abc import Sequence
from typing import Final

from elman.engine.cpu.emit.exponential import at_least, at_most, exp
from elman.engine.cpu.emit.ir import Function

K: Final = 3.75
# Coefficients T_0, T_1, ... by interpolation in 64 Chebyshev nodes, computed with 40 digits.
SERIES: Final = (
    *(1.1775789345674017541, -0.0045900545806464773309, -0.084249133366517915584, 0.059209939998191890498),
    *(-0.026658668435305752277, 0.0090749976707052650939, -0.0024131635404176081909),
    *(0.00049077583652580863229, -0.000069169733025012063671, 4.1390279860730101675e-6),
    *(7.7403830661984906686e-7, -2.1886401049234395661e-7, 1.0764999465670910377e-8),
    *(4.5219598112182868979e-9, -7.7544002088313511065e-10, -6.3180883408866844944e-11),
    *(2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389059e-13),
    *(3.2525481481487398415e-14, 3.3478119482868053878e-14, -1.8645628804193131015e-15),
    *(-1.2507950530688647085e-15, 7.418235256624043463e-17, 5.0681489047961113168e-17),
)
SINGLE_TERMS: Final = 14  # of the series, for the 24 bits of a float32
GREATEST: Final = 40.0  # Phi(-40) is no double
# 2 sqrt(2/pi), and that times 0.044715, as sums of two doubles.
LINEAR: Final = (1.5957691216057308, -9.96930880911092e-17)
CUBIC: Final = (0.07135481627260025, -6.175149918155315e-19)


def ndtr(f: Function, x: str) -> str:
    with f.doubles(x) as (wide, rounded, single):
        return rounded(_ndtr(f, wide, single))


def gelu(f: Function, x: str) -> str:
    """x Phi(x). Hendrycks, Gimpel, arXiv:1606.08415."""
    with f.doubles(x) as (wide, rounded, single):
        return rounded(f.binary("fmul", wide, _ndtr(f, wide, single)))


def _ndtr(f: Function, x: str, single: bool) -> str:
    constant, one = f.vector.constant, f.vector.constant(1.0)
    size = at_most(f, f.intrinsic("fabs", x), GREATEST)
    z = f.binary("fmul", size, constant(math.sqrt(0.5)))
    t = f.binary("fdiv", f.binary("fsub", z, constant(K)), f.binary("fadd", z, constant(K)))
    ratio = f.binary("fdiv", _series(f, t, SERIES[:SINGLE_TERMS] if single else SERIES),
                     f.fma(z, constant(2.0), one))  # fmt: skip
    # the rounding error of x² would be multiplied by x²
    square = f.binary("fmul", size, size)
    error = f.fma(size, size, f.new(f"fneg {f.vector.type} {square}"))
    tail = exp(f, f.binary("fmul", square, constant(-0.5)))
    tail = f.binary("fmul", tail, f.fma(error, constant(-0.5), one))
    small = f.binary("fmul", f.binary("fmul", tail, constant(0.5)), ratio)
    return f.select(f.test("ogt", x, constant(0.0)), f.binary("fsub", one, small), small)


def _series(f: Function, t: str, coefficients: Sequence[float]) -> str:
    """Sum c_k T_k(t) by Clenshaw's recurrence."""
    constant = f.vector.constant
    twice = f.binary("fadd", t, t)
    last = before = constant(0.0)
    for c in reversed(coefficients[1:]):
        last, before = f.fma(twice, last, f.binary("fsub", constant(c), before)), last
    return f.fma(t, last, f.binary("fsub", constant(coefficients[0]), before))


def gelu_tanh(f: Function, x: str) -> str:
    """x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x³), which is x (1 + tanh u) / 2."""
    with f.doubles(x) as (wide, rounded, _):
        constant, one = f.vector.constant, f.vector.constant(1.0)
        near = at_most(f, at_least(f, wide, -GREATEST), GREATEST)
        square = f.binary("fmul", near, near)
        lost = f.fma(near, near, f.new(f"fneg {f.vector.type} {square}"))
        cubic = f.binary("fmul", square, constant(CUBIC[0]))
        factor = f.binary("fadd", cubic, constant(LINEAR[0]))
        # what rounding left out of cubic, of the sum (Knuth's two-sum) and of the constants
        more = f.fma(square, constant(CUBIC[0]), f.new(f"fneg {f.vector.type} {cubic}"))
        added = f.binary("fsub", factor, cubic)
        lacking = f.binary("fsub", cubic, f.binary("fsub", factor, added))
        more = f.binary("fadd", more, lacking)
        more = f.binary("fadd", more, f.binary("fsub", constant(LINEAR[0]), added))
        more = f.binary("fadd", more, f.fma(lost, constant(CUBIC[0]), constant(LINEAR[1])))
        more = f.fma(square, constant(CUBIC[1]), more)
        twice = f.binary("fmul", near, factor)
        error = f.fma(near, factor, f.new(f"fneg {f.vector.type} {twice}"))
        error = f.fma(near, more, error)
        e = exp(f, f.new(f"fneg {f.vector.type} {twice}"))
        e = f.binary("fmul", e, f.binary("fsub", one, error))
        return rounded(f.binary("fdiv", wide, f.binary("fadd", one, e)))
