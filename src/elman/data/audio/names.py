"""Labels in the names of files, such as 7_jackson_32.wav, by a pattern such as {label}_{speaker}_{n}.wav."""

import re
from dataclasses import dataclass
from typing import Final

from elman.errors import UsageError

LABEL, SPEAKER = "label", "speaker"
MAX_FIELDS: Final = 6


@dataclass(frozen=True)
class NamePattern:
    """A pattern of names, with or without folders before them."""

    text: str
    regex: re.Pattern[str]

    @classmethod
    def of(cls, text: str) -> "NamePattern":
        """Read a pattern.

        Args:
            text: a name with fields in braces, of which "label" is what is said; "speaker" is kept, and
                others, such as "n", are not. A field holds one character or more, none of them a slash;
                where several readings are possible, the label takes the most. "*" stands for anything but a
                slash. If the pattern has slashes, it describes the last folders of the path as well.

        Raises:
            UsageError: there is no field "label", or two fields of a name.
        """
        parts = re.split(r"\{(\w*)\}|(\*)", text)
        fields = [part for part in parts[1::3] if part is not None]
        if LABEL not in fields or len(set(fields)) < len(fields) or not all(f.isidentifier() for f in fields):
            advice = "name the field {label} and any others once, as in {label}_{speaker}_{n}.wav"
            raise UsageError(f"{text[:80]!r} is not a pattern of file names; {advice}.")
        if len(fields) + text.count("*") > MAX_FIELDS:
            raise UsageError(
                f"{text[:80]!r} has more than {MAX_FIELDS} fields; join those that are not used."
            )
        regex = "".join(
            re.escape(literal) + (_field(field) if field else r"[^/]*" if star else "")
            for literal, field, star in zip(
                parts[::3], [*parts[1::3], None], [*parts[2::3], None], strict=True
            )
        )
        return cls(text, re.compile(regex))

    def match(self, path: str) -> dict[str, str] | None:
        """Return the fields of a path with forward slashes, or None if the pattern does not describe it."""
        name = "/".join(path.split("/")[-1 - self.text.count("/") :])
        match = self.regex.fullmatch(name)
        return match.groupdict() if match else None


def _field(name: str) -> str:
    return f"(?P<{name}>[^/]+)" if name == LABEL else f"(?P<{name}>[^/]+?)"
