"""Sentences as ids and back, and where a text is cut into sentences."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.errors import ArtifactError
from elman.tasks.translate.codec import END, Codec, sentences
from elman.tasks.translate.copying import Copies, cut

SOURCE = ["Anna sieht 17 Hunde", "Bert sieht 23 Hunde", "Carl ruft Rolf", "ein Haus", "das Haus"] * 3
TARGET = ["Anna sees 17 dogs", "Bert sees 23 dogs", "Carl calls Rolf", "a house", "the house"] * 3


def written(codec: Codec, ids: Iterable[int], slots: list[str]) -> str:
    return "".join(codec.pieces(ids, slots)).strip()


def test_codec_reads_and_writes_slots() -> None:
    learned = Codec.fit(SOURCE, TARGET, 320, shared=False)
    numbers = Copies(frozenset(), frozenset({"number"}), frozenset("".join(SOURCE) + "48,317"))
    codec = Codec(learned.source, learned.target, numbers, learned.single)
    text = "Anna sieht 48,317 Hunde"
    source = codec.encode_source(text)
    assert source.slots == ["48,317"] and len(codec.source) in source.ids and source.ids[-1] == END
    target = codec.encode_target("Anna sees 48,317 dogs", source.slots)
    assert len(codec.target) in target
    assert written(codec, target[:-1], ["99"]) == "Anna sees 99 dogs"
    pieces = codec.source_pieces(text, source.slots)
    assert "".join(pieces).strip() == text
    assert len(pieces) == len(source.ids)
    assert max(source.ids) < codec.sizes[0] and max(target) < codec.sizes[1]


CODECS = [Codec.fit(SOURCE, TARGET, 300, shared) for shared in (False, True)]


@given(st.text(max_size=40), st.integers(0, 1))
def test_any_text_comes_back(text: str, which: int) -> None:
    codec = CODECS[which]
    whole = " ".join(text.split())
    slots = codec.copies.slots(whole)
    try:
        whole.encode()
    except UnicodeEncodeError:  # half characters
        return
    ids = codec.encode_target(whole, slots)
    assert written(codec, ids[:-1], slots) == whole
    assert len(codec.pieces(ids[:-1], slots)) == len(ids) - 1
    assert len(codec.source_pieces(whole, slots)) == len(codec.encode_source(whole).ids)
    *slotted, last = cut(whole, slots)
    assert all(number is not None for _, number in slotted) and last[1] is None


def test_json_round_trip_and_damage() -> None:
    for codec in CODECS:
        again = Codec.from_json(codec.to_json())
        assert again.encode_source("Anna sieht 99 Hunde") == codec.encode_source("Anna sieht 99 Hunde")
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
    assert not Codec.fit(["Er liest. Sie singt."] * 9, ["He reads. She sings."] * 9, 300, False).single
