"""What the bench of speech counts."""

from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize(
    ("shown", "count"),
    [
        ("", 0),
        ("one|one two|one two three", 0),
        ("on|one|one t|one two", 0),
        ("one|on", 1),
        ("one two|one", 1),
        ("one two|won two", 1),
        ("one tw|won two", 1),
        ("one two|three", 2),
        ("one|  |one", 1),
        ("a|b|a|a b", 2),
    ],
)
def test_words_that_were_taken_back(monkeypatch: pytest.MonkeyPatch, shown: str, count: int) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    import quality_speech

    assert quality_speech.retracted([one.split() for one in shown.split("|")]) == count
