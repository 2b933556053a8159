"""Patterns of file names."""

import pytest

from elman.data.audio.names import NamePattern
from elman.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{label}_{speaker}_{n}.wav", "7_jackson_32.wav", ("7", "jackson")),
        ("{label}_{speaker}_{n}.wav", "a/b/7_jackson_32.wav", ("7", "jackson")),
        ("{label}_{speaker}_{n}.wav", "turn_on_bob_3.wav", ("turn_on", "bob")),
        ("{speaker}-{label}.flac", "bob-turn-on.flac", ("turn-on", "bob")),
        ("{label}/{speaker}_nohash_{n}.wav", "data/yes/0a7c_nohash_0.wav", ("yes", "0a7c")),
        ("{label}/*.wav", "x/no/1.2.wav", ("no", None)),
        ("{label}*", "no.wav", ("no.wav", None)),
        ("{label}_{speaker}_{n}.wav", "7_jackson.wav", None),
        ("{label}.wav", "7xwav", None),
        ("{label}/*.wav", "1.wav", None),
        ("{label}_{n}.wav", "_1.wav", None),
    ],
)
def test_fields_are_read(pattern: str, path: str, fields: tuple[str, str | None] | None) -> None:
    match = NamePattern.of(pattern).match(path)
    assert (match and (match["label"], match.get("speaker"))) == fields


@pytest.mark.parametrize(
    "pattern", ["", "a.wav", "{speaker}.wav", "{label}{label}", "{label}{}", "{label}{1}"]
)
def test_a_pattern_needs_one_label(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"is not a pattern of file names; name the field \{label\}"):
        NamePattern.of(pattern)


def test_a_pattern_has_few_fields() -> None:
    with pytest.raises(UsageError, match="has more than 6 fields"):
        NamePattern.of("{label}" + "*" * 6)
