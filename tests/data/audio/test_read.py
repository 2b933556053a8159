"""One function for a recording in any form."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audio_files import encoded, noise, save
from elman.data.audio import read as module
from elman.data.audio.read import audio_blocks, read_audio
from elman.data.audio.resample import resample
from elman.errors import DataError, UsageError

INTEGERS = (noise(3000) * 32768).astype("<i2")
SAMPLES = INTEGERS.astype(np.float32) / 32768


def test_every_form_gives_the_same_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "a.wav", SAMPLES)
    wav = path.read_bytes()
    forms: list[tuple[Any, int | None]] = [
        (path, None),
        (str(path), None),
        (wav, None),
        (wav, 16000),  # a header says more
        (memoryview(INTEGERS.tobytes()), 8000),
        (INTEGERS, 8000),
        (SAMPLES, 8000),
        (torch.from_numpy(SAMPLES), 8000),
        (SAMPLES.tolist(), 8000),
        ("-", 8000),
    ]
    expected = resample(SAMPLES, 8000, 16000)
    for source, source_rate in forms:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(INTEGERS.tobytes())))
        assert np.array_equal(read_audio(source, 16000, source_rate), expected)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(wav)))
        assert np.array_equal(np.concatenate(list(audio_blocks(source, 16000, source_rate))), expected)


@pytest.mark.parametrize(
    ("source", "source_rate", "error", "message"),
    [
        (SAMPLES, None, UsageError, "the ndarray of samples does not give its sampling rate"),
        ([0.0], 5, DataError, "the list of samples has a rate of 5"),
        (b"abc", None, DataError, "bytes is in no audio format"),
        (b"", None, DataError, "bytes is empty"),
        (5, None, UsageError, "an object of type int is not a recording"),
        (None, None, UsageError, "an object of type NoneType is not a recording"),
    ],
)
def test_what_is_no_recording(source: Any, source_rate: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_audio(source, 8000, source_rate)


def test_long_recordings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "a.wav")
    with pytest.raises(DataError, match=r"a.wav lasts longer than 0.05 s; cut it into parts"):
        read_audio(path, 8000, max_seconds=0.05)
    with pytest.raises(DataError, match=r"my talk lasts longer than 0.05 s"):
        read_audio(encoded(noise(800)), 8000, name="my talk", max_seconds=0.05)
    with monkeypatch.context() as patch, pytest.raises(DataError, match="lasts longer than 2 hours"):
        patch.setattr(module, "audio_blocks", lambda *_: iter([np.zeros(7201 * 10, dtype=np.float32)]))
        read_audio(path, 10, max_seconds=7200)
    assert len(read_audio(b"", 8000, 8000)) == 0
