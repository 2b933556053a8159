"""Functions of torch that an equation may use and that are no primitives: each is a few of them."""

import math
from collections.abc import Callable
from typing import Any, Final

import torch

from elman.errors import UsageError

MAX_EXPONENT: Final = 64  # of a power that is written as products


def power(base: Any, exponent: Any) -> Any:
    """Return base ** exponent, one of them a number. Integers become products, halves square roots; other
    exponents, of a base that isn't negative, exp(exponent * log(base)).

    Raises UsageError for two values, as the sign of a power of a negative one changes with every integer.
    """
    if isinstance(base, int | float):
        if not 0 < base < math.inf:
            raise UsageError(f"{base} ** x has a value only where x is a whole number; use a base above 0")
        return torch.exp(exponent * math.log(base))
    if not isinstance(exponent, int | float):
        raise UsageError("a power needs a number; write torch.exp(b * torch.log(a)) for a ** b if a > 0")
    if not math.isfinite(exponent) or exponent == 0:
        raise UsageError(f"a power of {exponent} has one value only; write that")
    if exponent < 0:
        return 1 / power(base, -exponent)
    whole, rest = divmod(exponent, 1)
    if whole > MAX_EXPONENT or rest not in (0, 0.5):
        return torch.exp(exponent * torch.log(base))
    root = torch.sqrt(base) if rest else None
    if not whole:
        return root
    product = _product(base, int(whole))
    return product if root is None else product * root


def _product(base: Any, exponent: int) -> Any:
    """Return a power by repeated squaring."""
    result = None
    while exponent:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        base = base * base if exponent else base
    return result


def clamp(value: Any, min: Any = None, max: Any = None) -> Any:
    """Return the value between bounds, which are numbers or values, or None."""
    if min is None and max is None:
        raise UsageError("clamp needs a bound")
    above = value if min is None else torch.clamp_min(value, min)
    return above if max is None else torch.clamp_max(above, max)


REWRITES: Final[dict[Any, Callable[..., Any]]] = {
    torch.pow: power,
    torch.square: lambda value: value * value,
    torch.reciprocal: lambda value: 1 / value,
    torch.rsqrt: lambda value: 1 / torch.sqrt(value),
    torch.clamp: clamp,
    torch.clip: clamp,
}
