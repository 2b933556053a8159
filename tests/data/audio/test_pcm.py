"""Raw PCM and WAV from pipes, in blocks of any size."""

import io
import os
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_files import encoded, name_of, noise
from elman.data.audio import pcm
from elman.data.audio.pcm import Form, pcm_samples, pipe_blocks
from elman.data.audio.resample import resample
from elman.errors import DataError, UsageError

INTEGERS = (noise(3000) * 32768).astype("<i2")
SAMPLES = INTEGERS.astype(np.float32) / 32768


def read(data: bytes, rate: int = 8000, source_rate: int | None = None) -> Any:
    return np.concatenate(list(pipe_blocks(io.BytesIO(data), "pipe", rate, source_rate)))


def test_raw_pcm_is_samples() -> None:
    assert np.array_equal(pcm_samples(INTEGERS.tobytes(), Form(8000), "x"), SAMPLES)
    assert np.array_equal(pcm_samples(INTEGERS.tobytes()[:-1], Form(8000), "x"), SAMPLES[:-1])
    stereo = pcm_samples(INTEGERS.tobytes(), Form(8000, 2), "x")
    np.testing.assert_allclose(stereo, SAMPLES.reshape(-1, 2).mean(1), rtol=1e-6)
    with pytest.raises(DataError, match="x has 99 channels"):
        pcm_samples(b"", Form(8000, 99), "x")


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3000), st.sampled_from([8000, 16000, 22050]), st.integers(0, 6000), st.booleans())
def test_blocks_of_any_size_give_the_same(block: int, rate: int, count: int, header: bool) -> None:
    data = encoded(SAMPLES[: count // 2], rate) if header else INTEGERS.tobytes()[:count]
    if not data:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pcm, "BLOCK_BYTES", block)
        samples = read(data, 8000, None if header else rate)
    assert np.array_equal(samples, resample(SAMPLES[: count // 2], rate, 8000))


def test_a_wav_header_of_a_pipe_may_state_any_length() -> None:
    wav = bytearray(encoded(SAMPLES))
    wav[40:44] = b"\xff\xff\xff\xff"
    assert np.array_equal(read(bytes(wav)), SAMPLES)
    wav[40:44] = bytes(4)
    assert np.array_equal(read(bytes(wav)), SAMPLES)


def test_wav_of_several_channels_and_more_chunks() -> None:
    wav = encoded(np.stack([SAMPLES, SAMPLES], 1))
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    np.testing.assert_allclose(read(wav[:12] + extra + wav[12:]), SAMPLES, atol=1e-6)
    extensible = encoded(SAMPLES, 8000, "WAVEX", "PCM_16")
    assert np.array_equal(read(extensible), SAMPLES)


@pytest.mark.parametrize(
    ("data", "source_rate", "error", "message"),
    [
        (b"", 8000, DataError, "pipe is empty"),
        (b"\0" * 100, None, UsageError, "pipe has no WAV header; if it is raw 16-bit PCM, give its rate"),
        (b"\0" * 100, 50, DataError, "pipe has a rate of 50"),
        (encoded(SAMPLES, kind="FLAC"), 8000, DataError, "pipe is a compressed file, not WAV or raw PCM"),
        (encoded(SAMPLES, code="PCM_24"), None, DataError, "pipe is WAV, but not of 16-bit integers"),
        (encoded(SAMPLES, code="FLOAT"), None, DataError, "pipe is WAV, but not of 16-bit integers"),
        (encoded(SAMPLES)[:30], None, DataError, "pipe has a damaged WAV header"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", None, DataError, "pipe has a damaged WAV header"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + b"a" * 99, None, DataError, "damaged WAV header"),
    ],
    ids=name_of,
)
def test_other_content_is_named(data: bytes, source_rate: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data, 8000, source_rate)


def test_samples_come_as_they_arrive() -> None:
    out, into = os.pipe()
    with os.fdopen(out, "rb") as pipe:
        blocks = pipe_blocks(pipe, "pipe", 8000, 8000)
        os.write(into, INTEGERS[:50].tobytes())
        received = [next(blocks), next(blocks)]
        assert np.array_equal(np.concatenate(received), SAMPLES[:50])
        os.write(into, INTEGERS[50:80].tobytes() + b"\1")
        assert np.array_equal(next(blocks), SAMPLES[50:80])
        os.close(into)
        assert sum(map(len, blocks)) == 0
