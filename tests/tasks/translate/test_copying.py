"""Which words are copied, and texts cut at them."""

from typing import Any

import pytest

from elman.errors import ArtifactError
from elman.tasks.translate.copying import MAX_RARE_COUNT, NUM_SLOTS, Copies, cut

SOURCE = ["Anna sieht 17 Hunde", "Bert sieht 23 Hunde", "Carl ruft Rolf", "ein Haus", "das Haus"] * 3
TARGET = ["Anna sees 17 dogs", "Bert sees 23 dogs", "Carl calls Rolf", "a house", "the house"] * 3


def copies() -> Copies:
    names = ["Ada", "Bea", "Cia", "Dea", "Eva", "Fee"]
    source = SOURCE + [f"dort steht {name} im Blaubaum {10 + i}" for i, name in enumerate(names)]
    target = TARGET + [f"there stands {name} in a tree {10 + i}" for i, name in enumerate(names)]
    return Copies.fit(source, target)


def test_rare_words_are_copied_if_their_kind_was() -> None:
    learned = copies()
    assert {"number", "capital"} >= learned.kinds - {"address", "foreign"}
    assert learned.slots("dort steht Gerda 4711") == ["Gerda", "4711"]
    assert learned.slots("Anna sieht 17 Hunde") == []  # all are frequent
    assert learned.slots("dort steht blau") == []  # words of small letters were not copied
    assert learned.slots("dort steht a.b@c.org und das 東京") == ["a.b@c.org", "東京"]
    assert len(learned.slots(" ".join(map(str, range(1000, 1030))))) == NUM_SLOTS
    assert learned.slots("12 12 da 12") == ["12"]


def test_a_kind_that_is_translated_is_not_copied() -> None:
    source = [f"am {i}. Tag" for i in range(20, 60)]
    target = [f"on day {1000 + i}" for i in range(20, 60)]
    assert "number" not in Copies.fit(source, target).kinds


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("a.b@c.org", "address"),
        ("https://x.org/y", "address"),
        ("48,317", "number"),
        ("AB-C", "capitals"),
        ("McAdam", "mixed"),
        ("Gerda", "capital"),
        ("blau", "lower"),
    ],
)
def test_kinds_of_words(word: str, kind: str) -> None:
    letters = frozenset(word + "x ")
    assert Copies(frozenset(), frozenset({kind}), letters).slots(f"x {word}")[-1:] == [word]
    others = {"address", "number", "capitals", "mixed", "capital", "first", "foreign"} - {kind}
    assert Copies(frozenset({"x"}), frozenset(others), letters).slots(f"x {word}") == []


def test_frequent_words_are_not_rare() -> None:
    for count in (MAX_RARE_COUNT, MAX_RARE_COUNT + 1):
        copies = Copies.fit(["x Ada"] * count, ["y"] * count)
        assert ("Ada" in copies.frequent) == (count > MAX_RARE_COUNT)


def test_cut_at_words_with_slots() -> None:
    assert cut("a 12 b 7 12", ["12", "7"]) == [("a ", 0), (" b ", 1), (" ", 0), ("", None)]
    assert cut("a 123", ["12"]) == [("a 123", None)] == cut("a 123", [])


@pytest.mark.parametrize(
    "value", [None, {}, {"known": [], "kinds": []}, {"known": [1], "kinds": [], "letters": []}]
)
def test_damaged_json(value: Any) -> None:
    with pytest.raises(ArtifactError, match="damaged"):
        Copies.from_json(value)


def test_json_round_trip() -> None:
    copies = Copies.fit(SOURCE, TARGET)
    assert Copies.from_json(copies.to_json()) == copies
