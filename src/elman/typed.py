"""Values read from JSON, checked once against the types that annotations declare."""

import re
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, NewType, Union, get_args, get_origin, get_type_hints, is_typeddict

from elman.settings import is_number, is_whole

SURROGATE: Final = re.compile("[\ud800-\udfff]")
MAX_WHOLE: Final = 2**63 - 1  # NumPy and PyTorch hold no larger one

# A text that may hold half a character, which neither a table nor UTF-8 has: the name of a file that is not
# UTF-8, or a reply in JSON that was cut.
RawText = NewType("RawText", str)

# Type → what a value must be, in words, and whether it is that.
SCALARS: Final[dict[Any, tuple[str, Callable[[Any], bool]]]] = {
    RawText: ("a text", lambda value: isinstance(value, str)),
    str: ("a text of whole characters", lambda value: isinstance(value, str) and not SURROGATE.search(value)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    int: ("a whole number of 64 bits", lambda value: is_whole(value) and abs(value) <= MAX_WHOLE),
    float: ("a finite number", is_number),
    NoneType: ("null", lambda value: value is None),
}


def typed(kind: Any, value: Any, name: str) -> Any:
    """Return a JSON value as `kind` declares it, with a list as a tuple and an object as a dataclass where it
    says so.

    Args:
        kind: a scalar, Literal of texts, union, list, tuple, dict of texts, TypedDict or dataclass.
        value: what `json.loads` returned.
        name: of the value, in messages.

    Raises ValueError, which names the entry and says what it must be.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in SCALARS:
        phrase, holds = SCALARS[kind]
        _require(holds(value), name, phrase, value)
        return value
    if origin is Literal:
        choices = ", ".join(map(repr, arguments))
        _require(isinstance(value, str) and value in arguments, name, f"one of {choices}", value)
        return value
    if origin in (Union, UnionType):
        return _union(arguments, value, name)
    if origin in (list, tuple):
        return origin(_entries(origin, arguments, value, name))
    _require(isinstance(value, dict), name, "an object", value)
    if origin is dict:
        return dict(zip(value, _alike(arguments[1], value.items(), name), strict=True))
    hints = get_type_hints(kind)
    if is_typeddict(kind):
        return _record(value, name, hints, kind.__required_keys__)
    assert is_dataclass(kind) and isinstance(kind, type)
    hints = {one.name: hints[one.name] for one in fields(kind)}
    return kind(**_record(value, name, hints, {o.name for o in fields(kind) if o.default is MISSING}))


def _union(kinds: tuple[Any, ...], value: Any, name: str) -> Any:
    """Return the value as the first of the kinds that it fits."""
    if all(kind in SCALARS for kind in kinds):
        phrases = " or ".join(SCALARS[kind][0] for kind in kinds)
        _require(any(SCALARS[kind][1](value) for kind in kinds), name, phrases, value)
        return value
    kinds = tuple(kind for kind in kinds if kind is not NoneType or value is None)
    for kind in kinds[:-1]:
        try:
            return typed(kind, value, name)
        except ValueError:
            continue
    return typed(kinds[-1], value, name)


def _entries(origin: Any, arguments: tuple[Any, ...], value: Any, name: str) -> Iterable[Any]:
    _require(isinstance(value, list | tuple), name, "a list", value)
    if origin is list or arguments[1:] == (...,):
        return _alike(arguments[0], enumerate(value), name)
    _require(len(value) == len(arguments), name, f"a list of {len(arguments)}", value)
    return (
        typed(kind, entry, f"{name}[{i}]")
        for i, (kind, entry) in enumerate(zip(arguments, value, strict=True))
    )


def _alike(kind: Any, entries: Iterable[tuple[Any, Any]], name: str) -> Iterator[Any]:
    """Yield entries, each with its index or key, as one kind; fast for scalars, which are many."""
    _, holds = SCALARS.get(kind, ("", None))
    for key, entry in entries:
        fits = holds is not None and holds(entry)
        yield entry if fits else typed(kind, entry, f"{name}[{key!r:.60}]")


def _record(value: Mapping[str, Any], name: str, hints: Mapping[str, Any], required: Any) -> dict[str, Any]:
    if differing := sorted((value.keys() - hints.keys()) | (required - value.keys())):
        raise ValueError(f"{name} has unknown or missing entries {reprlib.repr(differing)}")
    return {key: typed(hints[key], entry, f"{name}.{key}") for key, entry in value.items()}


def _require(valid: bool, name: str, phrase: str, value: Any) -> None:
    if not valid:
        raise ValueError(f"{name} must be {phrase}, not {reprlib.repr(value)}")
