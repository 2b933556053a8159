"""A setting is one row: default, range, help. Its check, its command-line option and its line in the
documentation all come from that row.

A group of settings is a frozen dataclass whose fields are rows and whose `__post_init__` calls `check`.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from elman.errors import UsageError


@dataclass(frozen=True)
class Search:
    """Values among which tuning looks: a few; or all from `low` to `high`, by their logarithm if `log`."""

    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def __str__(self) -> str:
        return ", ".join(map(str, self.values)) or f"{self.low:g} to {self.high:g}"


def among(*values: Any) -> Search:
    return Search(values)


def between(low: float, high: float, *, log: bool = False) -> Search:
    return Search(low=low, high=high, log=log)


@dataclass(frozen=True)
class Row:
    """One setting."""

    help: str
    kind: type  # of its values: int, float, bool, str, or tuple for a comma list on the command line
    range: Callable[[], str]  # a phrase: "a whole number of at least 1"
    holds: Callable[[Any], bool]  # whether a value lies in that range
    default: str | None = None  # to print, where it isn't the field's own: "from the data"
    search: Search | None = None  # where `elman tune` looks, if the setting is one that it tries

    def print_default(self, default: Any) -> str:
        """Return the field's default as help and documentation print it."""
        if self.default:
            return self.default
        if isinstance(default, tuple | list):
            return ",".join(map(str, default)) or "none"
        return str(default).lower() if default is None or self.kind is bool else str(default)


def check(settings: Any) -> None:
    """Raise UsageError for the first field whose value is out of its range. Numbers become Python's."""
    for one in fields(settings):
        row: Row | None = one.metadata.get("row")
        value = plain(getattr(settings, one.name))
        object.__setattr__(settings, one.name, value)  # of a frozen dataclass
        if row is not None and not row.holds(value):
            raise UsageError(f"{one.name} must be {row.range()}, not {value!r:.200}")


def rows(group: Any) -> dict[str, tuple[Row, Any]]:
    """Return the row and the default of every field of a dataclass of settings."""
    return {one.name: (one.metadata["row"], one.default) for one in fields(group) if "row" in one.metadata}


def plain(value: Any) -> Any:
    """Return a NumPy scalar, 0-d array or 0-d tensor as the Python number it holds, all else unchanged."""
    if type(value) in (bool, int, float, str) or getattr(value, "ndim", None) != 0:
        return value
    kind = getattr(
        getattr(value, "dtype", None), "kind", ""
    )  # a tensor's dtype has none; a date's item() may be an integer
    if kind not in "biuf":
        return value
    number = float(value) if kind == "f" else value.item()  # a long double's item() is no float
    return number if isinstance(number, bool | int | float) else value


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; an integer too large for a float is none."""
    return (is_whole(value) or isinstance(value, float)) and abs(value) <= sys.float_info.max


def whole(
    default: int | None,
    help: str,
    *,
    least: int = 1,
    most: float = math.inf,
    auto: str | None = None,
    search: Search | None = None,
) -> Any:
    """A whole number from `least` to `most`; None, for derived, is allowed where it is the default."""

    def holds(value: Any) -> bool:
        return default is None if value is None else is_whole(value) and least <= value <= most

    bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
    return custom(default, help, int, f"a whole number {bounds}", holds, auto, search)


def number(default: float, help: str, *, most: float = math.inf, search: Search | None = None) -> Any:
    """A finite number above 0, and at most `most`."""
    phrase = "a number above 0" + (f" and at most {most:g}" if most < math.inf else "")

    def holds(value: Any) -> bool:
        return is_number(value) and 0 < value <= most

    return custom(default, help, float, phrase, holds, search=search)


def amount(default: float, help: str, *, most: float = math.inf) -> Any:
    """A finite number of 0 or more, and at most `most`."""
    phrase = "a number of 0 or more" if most == math.inf else f"a number from 0 to {most:g}"
    return custom(default, help, float, phrase, lambda value: is_number(value) and 0 <= value <= most)


def share(default: float, help: str, search: Search | None = None) -> Any:
    def holds(value: Any) -> bool:
        return is_number(value) and 0 <= value < 1

    return custom(default, help, float, "a share from 0 to below 1", holds, search=search)


def flag(default: bool, help: str) -> Any:
    return custom(default, help, bool, "true or false", lambda value: isinstance(value, bool))


def choice(default: str | None, help: str, *choices: str | None, auto: str | None = None) -> Any:
    """One of a few words, which the help lists; None among them is "none" on the command line."""

    def holds(value: Any) -> bool:
        return (value is None or isinstance(value, str)) and value in choices

    listed = ", ".join(map(str, choices))
    return custom(default, f"{help}: {listed.replace('None', 'none')}", str, f"one of {listed}", holds, auto)


def argument(default: Any, help: str, kind: type = str, auto: str | None = None) -> Any:
    """An argument of `fit` beside the settings, not checked here; "none" is a word there, not None."""
    return custom(default, help, kind, "", lambda value: value is not None, auto)


def required(help: str, kind: type) -> Any:
    """An argument of `fit` without a default."""
    return custom(MISSING, help, kind, "", lambda value: True)


def custom(
    default: Any,
    help: str,
    kind: type,
    range: str | Callable[[], str],
    holds: Callable[[Any], bool],
    auto: str | None = None,
    search: Search | None = None,
) -> Any:
    """A setting with a range of its own: a phrase, or a function that returns one where that takes long."""
    row = Row(help, kind, (lambda: range) if isinstance(range, str) else range, holds, auto, search)
    return field(default=default, metadata={"row": row})
