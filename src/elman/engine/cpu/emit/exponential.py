"""exp, log and what is made of them, on vectors of units.

Exponentials reduce their argument by multiples of ln 2 and sum a Taylor polynomial of the rest (at most
ln(2)/2); tanh uses e^x - 1 to keep its relative precision near 0. NaN stays NaN.
"""

import math
import struct
from typing import Final

from elman.engine.cpu.emit.ir import Function

LN2: Final = math.log(2)
# ln 2 as a sum whose first part, times an exponent, is exact.
LN2_PARTS: Final = {"float": (0.693359375, -2.121944400546905827679e-4),
                    "double": (6.93145751953125e-1, 1.42860682030941723212e-6)}  # fmt: skip


class _Format:
    """The bits of an element, and constants that depend on them."""

    def __init__(self, f: Function) -> None:
        single = f.vector.element == "float"
        self.fraction, self.bias = (23, 127) if single else (52, 1023)
        self.degree = 6 if single else 13  # of the polynomial of e^r
        self.log_terms = 7 if single else 15
        self.least, self.greatest = (-87.0, 88.0) if single else (-708.0, 709.0)  # e^x is a normal number
        self.integer = "i32" if single else "i64"

    def splat(self, value: int) -> str:
        return f"splat ({self.integer} {value})"


def _as_ints(f: Function, x: str) -> str:
    return f.new(f"bitcast {f.vector.type} {x} to {f.vector.ints}")


def _as_floats(f: Function, x: str) -> str:
    return f.new(f"bitcast {f.vector.ints} {x} to {f.vector.type}")


def _integers(f: Function, op: str, a: str, b: str) -> str:
    return f.new(f"{op} {f.vector.ints} {a}, {b}")


def at_least(f: Function, x: str, bound: float) -> str:
    """Return the greater one, NaN if x is NaN: one instruction, where LLVM's own maximum needs four."""
    c = f.vector.constant(bound)
    return f.select(f.test("olt", x, c), c, x)


def at_most(f: Function, x: str, bound: float) -> str:
    c = f.vector.constant(bound)
    return f.select(f.test("ogt", x, c), c, x)


def _reduced(f: Function, x: str) -> tuple[str, str]:
    """Return 2^n and r with x = n ln 2 + r, |r| <= ln(2)/2, if e^x is a normal number."""
    bits, constant = _Format(f), f.vector.constant
    # Adding 1.5 * 2^fraction rounds to an integer and leaves it in the lowest bits.
    shifter = constant(1.5 * 2.0**bits.fraction)
    shifted = f.fma(x, constant(1 / LN2), shifter)
    n = f.binary("fsub", shifted, shifter)
    high, low = LN2_PARTS[f.vector.element]
    r = f.fma(n, constant(-low), f.fma(n, constant(-high), x))
    exponent = _integers(f, "shl", _as_ints(f, shifted), bits.splat(bits.fraction))
    return _as_floats(f, _integers(f, "add", exponent, bits.splat(bits.bias << bits.fraction))), r


def _taylor(f: Function, r: str, first: int) -> str:
    """Sum r^(k - first) / k! over k >= first by Horner's rule."""
    degree, constant = _Format(f).degree + (first > 0), f.vector.constant
    value = constant(1 / math.factorial(degree))
    for k in reversed(range(first, degree)):
        value = f.fma(value, r, constant(1 / math.factorial(k)))
    return value


def _bounded_exp(f: Function, x: str) -> str:
    """Return e^x for an x whose bounds make the result a normal number."""
    power, r = _reduced(f, x)
    return f.binary("fmul", power, _taylor(f, r, 0))


def exp(f: Function, x: str) -> str:
    bits, constant = _Format(f), f.vector.constant
    y = _bounded_exp(f, at_most(f, at_least(f, x, bits.least), bits.greatest))
    y = f.select(f.test("ogt", x, constant(bits.greatest)), constant(math.inf), y)
    return f.select(f.test("olt", x, constant(bits.least)), constant(0.0), y)


def sigmoid(f: Function, x: str) -> str:
    """1 / (1 + e^-x), with full relative precision down to the smallest normal number."""
    bits, one = _Format(f), f.vector.constant(1.0)
    negative = f.new(f"fneg {f.vector.type} {x}")
    e = _bounded_exp(f, at_most(f, at_least(f, negative, bits.least), bits.greatest))
    return f.binary("fdiv", one, f.binary("fadd", one, e))


def silu(f: Function, x: str) -> str:
    """x / (1 + e^-x)."""
    e = exp(f, f.new(f"fneg {f.vector.type} {x}"))
    return f.binary("fdiv", x, f.binary("fadd", f.vector.constant(1.0), e))


def tanh(f: Function, x: str) -> str:
    """-m / (m + 2) with m = e^(-2|x|) - 1, and the sign of x."""
    bits, constant = _Format(f), f.vector.constant
    twice = f.binary("fmul", f.intrinsic("fabs", x), constant(-2.0))
    power, r = _reduced(f, at_least(f, twice, bits.least))
    # 2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1): nothing cancels where n = 0
    above = f.binary("fmul", r, _taylor(f, r, 1))
    m = f.fma(power, above, f.binary("fsub", power, constant(1.0)))
    y = f.binary("fdiv", m, f.binary("fadd", m, constant(2.0)))
    return f.intrinsic("copysign", y, x)


def log(f: Function, x: str) -> str:
    """2 artanh((m - 1) / (m + 1)) of the fraction m, plus the exponent times ln 2."""
    v, bits, constant = f.vector, _Format(f), f.vector.constant
    tiny = f.test("olt", x, constant(2.0 ** (1 - bits.bias)))  # a denormal has no exponent of its own
    scaled = f.select(tiny, f.binary("fmul", x, constant(2.0**bits.fraction)), x)
    half = struct.unpack("I", struct.pack("f", math.sqrt(0.5)))[0]
    if v.element == "double":
        half = struct.unpack("Q", struct.pack("d", math.sqrt(0.5)))[0]
    above = _integers(f, "sub", _as_ints(f, scaled), bits.splat(half))
    exponent = _integers(f, "ashr", above, bits.splat(bits.fraction))
    m = _as_floats(f, _integers(f, "sub", _as_ints(f, scaled),
                                _integers(f, "shl", exponent, bits.splat(bits.fraction))))  # fmt: skip
    n = f.new(f"sitofp {v.ints} {exponent} to {v.type}")
    n = f.select(tiny, f.binary("fsub", n, constant(float(bits.fraction))), n)
    one = constant(1.0)
    z = f.binary("fdiv", f.binary("fsub", m, one), f.binary("fadd", m, one))
    high, low = LN2_PARTS[v.element]
    y = f.fma(n, constant(high), f.fma(n, constant(low), _twice_artanh(f, z)))
    y = f.select(f.test("oeq", x, constant(0.0)), constant(-math.inf), y)
    y = f.select(f.test("oeq", x, constant(math.inf)), x, y)
    # neither "> 0" nor "= 0": negative or NaN
    return f.select(f.test("oge", x, constant(0.0)), y, constant(math.nan))


def _twice_artanh(f: Function, z: str) -> str:
    """2 (z + z³/3 + z⁵/5 + ...) for |z| <= 1/3."""
    terms, constant = _Format(f).log_terms + 2, f.vector.constant
    square = f.binary("fmul", z, z)
    total = constant(1 / (2 * terms + 1))
    for k in reversed(range(terms)):
        total = f.fma(total, square, constant(1 / (2 * k + 1)))
    return f.binary("fmul", f.binary("fmul", z, constant(2.0)), total)


def softplus(f: Function, x: str) -> str:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), the latter as 2 artanh(e / (2 + e))."""
    bits, constant = _Format(f), f.vector.constant
    negative = f.new(f"fneg {f.vector.type} {f.intrinsic('fabs', x)}")
    e = _bounded_exp(f, at_least(f, negative, bits.least))
    rest = _twice_artanh(f, f.binary("fdiv", e, f.binary("fadd", e, constant(2.0))))
    return f.binary("fadd", at_least(f, x, 0.0), rest)
