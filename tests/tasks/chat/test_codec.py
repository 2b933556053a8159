"""Conversations as token ids and back."""

import pytest

from elman.data.text.conversations import Turn
from elman.errors import ArtifactError
from elman.tasks.chat.codec import END, Codec

CONVERSATION = [Turn("user", "hi"), Turn("assistant", "hello there")]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.learned([CONVERSATION], 300)


def test_round_trip(codec: Codec) -> None:
    ids = codec.running([CONVERSATION])
    assert ids[0] == ids[-1] == END and codec.text(ids.tolist()) == "hi hello there"
    assert len(Codec.from_json(codec.to_json())) == len(codec)


def test_a_turn_begins_with_its_speaker(codec: Codec) -> None:
    user, assistant = codec.speaker("user"), codec.speaker("assistant")
    assert {user, assistant} == {len(codec) - 2, len(codec) - 1}
    assert codec.turn(CONVERSATION[1]) == [assistant, *codec.words("hello  there")]


def test_control_characters_have_ids_of_their_own(codec: Codec) -> None:
    ids = codec.control_ids()
    assert codec.tokenizer.encode("\n")[0] in ids
    assert not set(ids) & set(codec.words("hello there"))


def test_words_are_no_codec() -> None:
    with pytest.raises(ArtifactError):
        Codec.from_json({"kind": "word", "lower": True, "words": []})
