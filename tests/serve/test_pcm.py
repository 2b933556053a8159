"""Samples of clients."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from elman.serve.answers import ApiError
from elman.serve.pcm import G711, pcm16, samples_of


@given(st.lists(st.integers(-32768, 32767)))
def test_16_bit_samples(values: list[int]) -> None:
    content = b"".join(value.to_bytes(2, "little", signed=True) for value in values)
    assert pcm16(content).tolist() == samples_of(content).tolist() == values
    with pytest.raises(ApiError, match="even number of bytes"):
        pcm16(content + b"x")


def test_lists_of_numbers() -> None:
    assert samples_of([0, 0.5, -1]).tolist() == [0, 0.5, -1]
    for wrong in ("text", [0, None], None, {"a": 1}, [True]):
        with pytest.raises(ApiError, match="takes a list of numbers"):
            samples_of(wrong)


@pytest.mark.parametrize(("name", "kind"), [("pcmu", "ULAW"), ("pcma", "ALAW")])
def test_telephony_is_decoded_as_libsndfile_decodes_it(name: str, kind: str) -> None:

    file = io.BytesIO(bytes(range(256)))
    options = {"format": "RAW", "subtype": kind, "samplerate": 8000, "channels": 1}
    expected, _ = soundfile.read(file, dtype="int16", **options)
    assert np.array_equal(G711[name], expected)
