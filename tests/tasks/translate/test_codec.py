"""What is copied, and sentences as ids and back."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ArtifactError
from elman.tasks.translate.codec import END, Codec, sentences
from elman.tasks.translate.copying import RARE, SLOTS, Copies, cut

SOURCE = ["Anna sieht 17 Hunde", "Bert sieht 23 Hunde", "Carl ruft Rolf", "ein Haus", "das Haus"] * 3
TARGET = ["Anna sees 17 dogs", "Bert sees 23 dogs", "Carl calls Rolf", "a house", "the house"] * 3


def written(codec: Codec, ids: Iterable[int], slots: list[str]) -> str:
    return "".join(codec.pieces(ids, slots)).strip()


def copies() -> Copies:
    names = ["Ada", "Bea", "Cia", "Dea", "Eva", "Fee"]
    source = SOURCE + [f"dort steht {name} im Blaubaum {10 + i}" for i, name in enumerate(names)]
    target = TARGET + [f"there stands {name} in a tree {10 + i}" for i, name in enumerate(names)]
    return Copies.learned(source, target)


def test_rare_words_are_copied_if_their_kind_was() -> None:
    learned = copies()
    assert {"number", "capital"} >= learned.kinds - {"address", "foreign"}
    assert learned.slots("dort steht Gerda 4711") == ["Gerda", "4711"]
    assert learned.slots("Anna sieht 17 Hunde") == []  # all are known
    assert learned.slots("dort steht blau") == []  # words of small letters were not copied
    assert learned.slots("dort steht a.b@c.org und das 東京") == ["a.b@c.org", "東京"]
    assert len(learned.slots(" ".join(map(str, range(1000, 1030))))) == SLOTS
    assert learned.slots("12 12 da 12") == ["12"]


def test_a_kind_that_is_translated_is_not_copied() -> None:
    source = [f"am {i}. Tag" for i in range(20, 60)]
    target = [f"on day {1000 + i}" for i in range(20, 60)]
    assert "number" not in Copies.learned(source, target).kinds
    assert RARE >= 1


def test_codec_reads_and_writes_slots() -> None:
    codec = Codec.learned(SOURCE, TARGET, 320, joint=False)
    codec = Codec(codec.source, codec.target, copies(), codec.single)
    read = codec.read("Anna sieht 48,317 Hunde")
    assert read.slots == ["48,317"] and len(codec.source) in read.ids and read.ids[-1] == END
    wanted = codec.wanted("Anna sees 48,317 dogs", read.slots)
    assert len(codec.target) in wanted
    assert written(codec, wanted[:-1], ["99"]) == "Anna sees 99 dogs"
    assert "".join(codec.source_pieces("Anna sieht 48,317 Hunde", read.slots)).strip() == (
        "Anna sieht 48,317 Hunde"
    )
    assert len(codec.source_pieces("Anna sieht 48,317 Hunde", read.slots)) == len(read.ids)


CODECS = [Codec.learned(SOURCE, TARGET, 300, joint) for joint in (False, True)]


@given(st.text(max_size=40), st.integers(0, 1))
def test_any_text_comes_back(text: str, which: int) -> None:
    codec = CODECS[which]
    whole = " ".join(text.split())
    slots = codec.copies.slots(whole)
    try:
        whole.encode()
    except UnicodeEncodeError:  # half characters
        return
    ids = codec.wanted(whole, slots)
    assert written(codec, ids[:-1], slots) == whole
    assert len(codec.pieces(ids[:-1], slots)) == len(ids) - 1
    assert len(codec.source_pieces(whole, slots)) == len(codec.read(whole).ids)
    slotted = cut(whole, slots)
    assert len(slotted.parts) == len(slotted.numbers) + 1


def test_json_round_trip_and_damage() -> None:
    for codec in CODECS:
        again = Codec.from_json(codec.to_json())
        assert again.read("Anna sieht 99 Hunde") == codec.read("Anna sieht 99 Hunde")
        assert (again.source is again.target) == (codec.source is codec.target)
    good = CODECS[0].to_json()
    for bad in (
        {},
        [],
        good | {"copies": 3},
        good | {"source": {"kind": "word", "lower": True, "words": []}},
    ):
        with pytest.raises(ArtifactError):
            Codec.from_json(bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zwei Hunde spielen.  Eine Frau liest.", ["Zwei Hunde spielen.", "Eine Frau liest."]),
        ("Er sah Dr. Braun um 3.15 Uhr.", ["Er sah Dr. Braun um 3.15 Uhr."]),
        ('"Geh!" sagte sie. "Warum?"', ['"Geh!" sagte sie.', '"Warum?"']),
        ("Eins\nzwei\n\n", ["Eins", "zwei"]),
        ("这是一。这是二。", ["这是一。", "这是二。"]),
        ("「这是一。」这是二。", ["「这是一。」", "这是二。"]),
        ('Er sagt: "Da rennt sie." Sie (dort!) lacht.', ['Er sagt: "Da rennt sie."', "Sie (dort!) lacht."]),
        (" \n ", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(max_size=60))
def test_sentences_lose_nothing(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_single_sentences_are_noticed() -> None:
    assert all(codec.single for codec in CODECS)
    assert not Codec.learned(["Er liest. Sie singt."] * 9, ["He reads. She sings."] * 9, 300, False).single
