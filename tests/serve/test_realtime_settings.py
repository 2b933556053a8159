"""What a realtime session may be told."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.serve.answers import ApiError
from elman.serve.realtime_settings import Listening, updated

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NAMES = st.sampled_from(
    ["type", "audio", "input", "format", "rate", "transcription", "model", "keywords", "turn_detection", "x"]
)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40)
@given(ANYTHING)
def test_a_session_is_updated_or_refused_in_a_sentence(session: Any) -> None:
    try:
        listening = updated(Listening(), session)
    except ApiError as error:
        assert error.status == 422
    else:
        assert listening.options()["rate"] >= 1000 and listening.to_dict("s")["id"] == "s"


def test_both_forms_say_the_same() -> None:
    today = {"audio": {"input": {"format": {"type": "audio/pcma"}, "turn_detection": None}}}
    beta = {"input_audio_format": "g711_alaw", "turn_detection": None}
    expected = Listening(form="audio/pcma", rate=8000, pause=None)
    assert updated(Listening(), today) == updated(Listening(), beta) == expected
    keywords = {"audio": {"input": {"transcription": {"model": "m", "keywords": ["one"]}}}}
    again = updated(expected, keywords)
    assert again.options() == {"rate": 8000, "pause": 10.0, "hot_words": ["one"]}
    assert again.model == "m" and again.form == "audio/pcma"


def test_samples() -> None:
    assert Listening().samples(b"\1\0\2\0").tolist() == [1, 2]
    decoded = Listening(form="audio/pcmu", rate=8000).samples(b"\xff\x00")
    assert decoded.tolist() == [0, -32124] and decoded.dtype == np.int16
    with pytest.raises(ApiError, match="even number"):
        Listening().samples(b"\1")
