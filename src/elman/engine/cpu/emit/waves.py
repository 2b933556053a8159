"""sin and cos of vectors, computed in doubles whatever the element.

The angle is reduced to r, at most about pi/4, and a number of quarter turns. Up to 2^51 that is Cody's and
Waite's subtraction of n pi/2 in three parts. Beyond, where a float32 is a multiple of 2^28, it is multiplied
by what 2/pi leaves modulo the quarter turns that such multiples make up (Payne, Hanek, SIGNUM 18, 1983); a
float64 of that size is more than half a radian from the next one, and gives NaN.
"""

import math
from typing import Final

from elman.engine.cpu.emit.ir import Function

# pi/2 as a sum of doubles.
HALF_PI: Final = (1.5707963267948966, 6.123233995736766e-17, -1.497384905065873e-33)
LARGE: Final = 2.0**51
ROUND: Final = 1.5 * 2.0**52  # added to a number below 2^51, it leaves the nearest integer in the lowest bits
# 2^24k * 2/pi modulo 2^-26, as a sum whose first two parts times 24 bits are exact.
TURNS: Final = tuple(
    tuple(map(float.fromhex, parts))
    for parts in (
        ("0x1.727220ap-27", "0x1.29fc275p-56", "0x1.f47d4d377036ep-86"),
        ("0x1.529fc26p-28", "0x1.57d1f53p-56", "0x1.377036d8a5665p-86"),
        ("0x1.3abe8fap-27", "0x1.34ddc0dp-56", "0x1.6c52b32788721p-85"),
        ("0x1.a9a6eep-27", "0x1.b6c52b2p-57", "0x1.278872083fca3p-85"),
    )
)


def sin(f: Function, x: str) -> str:
    return _wave(f, x, 0)


def cos(f: Function, x: str) -> str:
    return _wave(f, x, 1)


def _wave(f: Function, x: str, quarters: int) -> str:
    """Return the sine of x and some quarter turns."""
    with f.doubles(x) as (wide, rounded, single):
        n, r, rest = _reduced(f, wide)
        if single:
            n, r, rest = _of_large(f, wide, n, r, rest)
        else:
            far = f.test("oge", f.intrinsic("fabs", wide), f.vector.constant(LARGE))
            r = f.select(far, f.vector.constant(math.nan), r)
        turn = f.new(f"add {f.vector.ints} {n}, splat (i64 {quarters})")
        sine, cosine = _sine(f, r, rest, single), _cosine(f, r, rest, single)
        y = f.select(_bit(f, turn, 1), cosine, sine)
        return rounded(f.select(_bit(f, turn, 2), f.new(f"fneg {f.vector.type} {y}"), y))


def _bit(f: Function, n: str, bit: int) -> str:
    masked = f.new(f"and {f.vector.ints} {n}, splat (i64 {bit})")
    return f.new(f"icmp ne {f.vector.ints} {masked}, splat (i64 0)")


def _rounded(f: Function, x: str) -> tuple[str, str]:
    """Return the nearest integer, as a double and as bits whose lowest two are its own."""
    shifted = f.binary("fadd", x, f.vector.constant(ROUND))
    bits = f.new(f"bitcast {f.vector.type} {shifted} to {f.vector.ints}")
    return f.binary("fsub", shifted, f.vector.constant(ROUND)), bits


def _reduced(f: Function, x: str) -> tuple[str, str, str]:
    """Return n, r and what r lacks, with x = n pi/2 + r, for |x| below 2^51."""
    constant = f.vector.constant
    count, n = _rounded(f, f.binary("fmul", x, constant(2 / math.pi)))
    first, second, third = HALF_PI
    near = f.fma(count, constant(-first), x)  # exact: a multiple of 2^-52 below 1
    part = f.binary("fmul", count, constant(second))
    lost = f.fma(count, constant(second), f.new(f"fneg {f.vector.type} {part}"))
    r = f.binary("fsub", near, part)
    rest = f.binary("fsub", f.binary("fsub", f.binary("fsub", near, r), part), lost)
    return n, r, f.fma(count, constant(-third), rest)


def _of_large(f: Function, x: str, n: str, r: str, rest: str) -> tuple[str, str, str]:
    """Return n, r and rest of the lanes whose size is 2^51 or more, a float32 each; those given of others."""
    constant, size = f.vector.constant, f.intrinsic("fabs", x)
    y, parts = x, [constant(part) for part in TURNS[0]]
    for k, row in enumerate(TURNS[1:], 1):
        beyond = f.test("oge", size, constant(LARGE * 2.0 ** (24 * k)))
        y = f.select(beyond, f.binary("fmul", x, constant(2.0 ** (-24 * k))), y)
        parts = [f.select(beyond, constant(new), old) for new, old in zip(row, parts, strict=True)]
    high, middle, low = (f.binary("fmul", y, part) for part in parts)
    (whole, bits), (more, others) = _rounded(f, high), _rounded(f, middle)
    high, middle = f.binary("fsub", high, whole), f.binary("fsub", middle, more)
    last, final = _rounded(f, f.binary("fadd", high, middle))
    turn = f.binary("fadd", f.binary("fadd", f.binary("fsub", high, last), middle), low)
    ints = f.vector.ints
    count = f.new(f"add {ints} {f.new(f'add {ints} {bits}, {others}')}, {final}")
    far = f.test("oge", size, constant(LARGE))
    angle = f.binary("fmul", turn, constant(math.pi / 2))
    chosen = f.new(f"select {f.vector.mask} {far}, {ints} {count}, {ints} {n}")
    return chosen, f.select(far, angle, r), f.select(far, constant(0.0), rest)


def _series(f: Function, square: str, first: int, last: int) -> str:
    """Return 1/first! - r²/(first + 2)! + ..., up to the term of r^last of sin or cos."""
    value = f.vector.constant(0.0)
    for k in reversed(range(first, last + 1, 2)):
        sign = -1.0 if (k - first) % 4 else 1.0
        term = f.vector.constant(sign / math.factorial(k))
        value = term if k + 2 > last else f.fma(value, square, term)
    return value


def _sine(f: Function, r: str, rest: str, single: bool) -> str:
    square = f.binary("fmul", r, r)
    tail = _series(f, square, 3, 11 if single else 17)
    cube = f.new(f"fneg {f.vector.type} {f.binary('fmul', r, square)}")
    return f.binary("fadd", r, f.fma(cube, tail, rest))


def _cosine(f: Function, r: str, rest: str, single: bool) -> str:
    """1 - r²/2 + ..., with the rounding error of 1 - r²/2 added last."""
    constant = f.vector.constant
    square = f.binary("fmul", r, r)
    half = f.binary("fmul", square, constant(0.5))
    near = f.binary("fsub", constant(1.0), half)
    error = f.binary("fsub", f.binary("fsub", constant(1.0), near), half)
    tail = f.fma(f.binary("fmul", square, square), _series(f, square, 4, 12 if single else 18), error)
    turned = f.binary("fmul", r, rest)
    return f.binary("fadd", near, f.binary("fsub", tail, turned))
