"""Every error raised on purpose, each with a one-sentence message that the command line prints."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

# Beyond these no name is compared, as the time is the product of the lengths.
MAX_NAMES: Final = 1000
MAX_NAME_CHARACTERS: Final = 100


class ElmanError(Exception):
    """Base of every error raised on purpose. `exit_code` 1: the work failed; 2: the call was wrong."""

    exit_code = 1


class UsageError(ElmanError, ValueError):
    """An invalid argument, option or combination of options."""

    exit_code = 2


class DataError(ElmanError, ValueError):
    """Unusable data; the message names the file, row and column and says how to correct them."""

    exit_code = 2


class ArtifactError(ElmanError):
    """A model folder that is missing, foreign, damaged or of another version."""


class NoModelError(ArtifactError, ValueError):
    """A folder that holds something else than a model, so that the call names the wrong one."""

    exit_code = 2


class TrainingError(ElmanError):
    """Training that had to stop: the loss became NaN or infinite, or a checkpoint does not fit."""


class NotFinite(ElmanError):
    """A stream whose state became NaN; the stream has begun anew."""

    def __init__(self) -> None:
        super().__init__("the network's state became NaN, so the stream begins anew: check the model")


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 text", "2 texts"; `plural` is for a noun that takes no s."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the choice closest to `word`, or "" if none is close."""
    if len(word) > MAX_NAME_CHARACTERS:
        return ""
    names = islice((choice for choice in choices if len(choice) <= MAX_NAME_CHARACTERS), MAX_NAMES)
    lowered = {choice.lower(): choice for choice in names}
    matches = get_close_matches(word.lower(), lowered, n=1)
    return f"; did you mean {lowered[matches[0]]!r}?" if matches else ""
