"""Numbers that the lens is called with."""

from typing import Any

from elman.errors import UsageError
from elman.settings import is_whole


def check_least(name: str, value: Any, least: int = 1) -> None:
    """Raise UsageError, which names the argument, unless a value is a whole number of at least so much."""
    if not is_whole(value) or value < least:
        raise UsageError(f"{name} must be {least} or more, not {value!r:.60}")


def check_number(name: str, value: Any, count: int) -> None:
    """Raise UsageError, which names the argument, unless a value is the number of one of so many, from 0."""
    if not is_whole(value) or not 0 <= value < count:
        raise UsageError(f"{name} must be a number from 0 to {count - 1}, not {value!r:.60}")
