"""The options that clients may give, by task and verb. None of them reads or writes a file of the server."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from elman.errors import suggestion
from elman.serve.answers import ApiError
from elman.settings import is_number, is_whole

MAX_COUNT: Final = 100  # of answers to one input
MAX_CHARACTERS: Final = 100_000  # that are written
MAX_PHRASES: Final = 10_000
MAX_SEED: Final = 2**63 - 1


class Kind(NamedTuple):
    """What an option may be: a phrase, and the check of a value."""

    phrase: str
    holds: Callable[[Any], bool]


def whole(least: int, most: int = sys.maxsize) -> Kind:
    """Return the kind of a whole number in a range."""
    bounds = f"of at least {least}" if most == sys.maxsize else f"from {least} to {most}"
    return Kind(f"a whole number {bounds}", lambda value: is_whole(value) and least <= value <= most)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_PHRASES and all(isinstance(v, str) for v in value)


def _is_columns(value: Any) -> bool:
    """Return whether a value is a table as JSON: a list of rows, or lists by column."""
    if isinstance(value, dict):
        lines = list(value.values())
        return bool(lines) and all(isinstance(line, list) and all(map(_is_cell, line)) for line in lines)
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(row, dict) and all(map(_is_cell, row.values())) for row in value)


def _is_cell(value: Any) -> bool:
    """Return whether a value is null, a text, a flag or a number; one that no column holds is none."""
    return value is None or isinstance(value, str | bool) or is_number(value)


NUMBER: Final = Kind("a number", is_number)
TEMPERATURE: Final = Kind("a number from 0 to 100", lambda value: is_number(value) and 0 <= value <= 100)
OBJECT: Final = Kind("an object", lambda value: isinstance(value, dict))
FLAG: Final = Kind("true or false", lambda value: isinstance(value, bool))
TEXT: Final = Kind("a text", lambda value: isinstance(value, str) and value != "")
TEXTS: Final = Kind(f"a list of at most {MAX_PHRASES} texts", _is_texts)
STOPS: Final = Kind("a text, or a list of 1 to 4 texts", lambda value: is_stop(value))
TABLE: Final = Kind("a list of rows, each an object, or an object of columns, each a list", _is_columns)
COUNT: Final = whole(1, MAX_COUNT)
SEED: Final = whole(0, MAX_SEED)

Options = Mapping[str, Mapping[str, Kind]]  # by task and name
SPEECH: Final = {
    "rate": whole(1000, 768_000),
    "phrases": TEXTS,
    "hot_words": TEXTS,
    "vad": FLAG,
    "false_alarms": NUMBER,
}
PREDICT: Final[Options] = {
    "classify": {"at_least": NUMBER},
    "forecast": {"horizon": whole(1), "future": TABLE, "against": TABLE, "components": FLAG},
    "generate": {"count": COUNT},
    "translate": {"count": COUNT},
    "chat": {"count": COUNT},
    "transcribe": SPEECH | {"one_of": TEXTS},
}
OPEN: Final[Options] = {
    "classify": {},
    "forecast": {"series": TEXT, "start": TEXT},
    "generate": {"adapt": FLAG},
    "translate": {},
    "chat": {"fallback": NUMBER, "seed": SEED},
    "transcribe": SPEECH | {"pause": NUMBER, "longest": NUMBER},
}
RESULT: Final[Options] = {
    "classify": {"probabilities": FLAG, "at_least": NUMBER},
    "forecast": {"horizon": whole(1), "future": TABLE},
    "generate": {"count": COUNT},
    "translate": {},
    "chat": {},
    "transcribe": {},
}
WRITE: Final[Options] = {
    "generate": {
        "length": whole(0, MAX_CHARACTERS),
        "temperature": TEMPERATURE,
        "top_k": whole(0),
        "top_p": NUMBER,
        "seed": SEED,
        "stop": STOPS,
    },
    "translate": {},
}


def is_stop(value: Any) -> bool:
    """Return whether a value says before which texts writing ends: one, or up to four."""
    values = value if isinstance(value, list) else [value]
    return 1 <= len(values) <= 4 and all(isinstance(one, str) and one for one in values)


def checked(options: Any, task: str, table: Options) -> dict[str, Any]:
    """Return the options that are not null. Raises ApiError for an option that the task does not have, or a
    value of the wrong type; the model itself checks the ranges."""
    if not isinstance(options, dict):
        raise ApiError(422, f"options must be an object, not {type(options).__name__}", "options")
    kinds = table.get(task, {})
    if unknown := [name for name, value in options.items() if value is not None and name not in kinds]:
        hint = suggestion(unknown[0], kinds) or f"; there are: {', '.join(kinds) or 'none'}"
        sentence = f"a {task!r} model takes no option {unknown[0]!r:.60} here{hint}"
        raise ApiError(422, sentence, unknown[0][:60])
    return checked_fields(options, kinds)


def checked_fields(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the fields that are not null. Raises ApiError for an unknown field or a value of the wrong
    type."""
    chosen = {name: value for name, value in fields.items() if value is not None}
    for name, value in chosen.items():
        if name not in kinds:
            hint = suggestion(name, kinds) or f": there are {', '.join(kinds)}"
            raise ApiError(422, f"there is no field {name!r:.60}{hint}", name[:60])
        if not kinds[name].holds(value):
            raise ApiError(422, f"{name} must be {kinds[name].phrase}, not {value!r:.100}", name)
    return chosen
