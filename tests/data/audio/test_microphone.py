"""The microphone, with a package that plays one."""

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audio_files import noise
from elman.data.audio import microphone
from elman.data.audio.microphone import microphone_blocks
from elman.data.audio.resample import resample
from elman.errors import DataError, UsageError

INTEGERS = (noise(4800) * 32768).astype("<i2")


class PortAudioError(Exception):
    pass


def fake(monkeypatch: pytest.MonkeyPatch, blocks: int) -> list[Any]:
    """Install a sounddevice whose stream gives blocks of INTEGERS at once; return what it is asked."""
    asked: list[Any] = []

    def query_devices(device: Any, kind: str) -> dict[str, float]:
        asked.append((device, kind))
        if device == "none":
            raise ValueError("No input device matching 'none'\nmore")
        return {"default_samplerate": 48000.0}

    class RawInputStream:
        def __init__(self, *arguments: Any, callback: Any) -> None:
            asked.append(arguments)
            self.callback = callback

        def __enter__(self) -> None:
            for _ in range(blocks):
                self.callback(memoryview(INTEGERS.tobytes()), 4800, None, None)

        def __exit__(self, *_: Any) -> None:
            asked.append("closed")

    names = {
        "query_devices": query_devices,
        "RawInputStream": RawInputStream,
        "PortAudioError": PortAudioError,
    }
    monkeypatch.setitem(sys.modules, "sounddevice", SimpleNamespace(**names))  # type: ignore[arg-type]
    monkeypatch.setattr(microphone, "SILENT_SECONDS", 0.01)
    return asked


def test_blocks_are_resampled_and_the_device_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake(monkeypatch, 3)
    blocks, received = microphone_blocks(16000), list[Any]()
    with pytest.raises(DataError, match="the microphone gives no more samples"):
        for block in blocks:
            received.append(block)
    expected = resample(np.tile(INTEGERS, 3).astype(np.float32) / 32768, 48000, 16000)
    samples = np.concatenate(received)
    assert len(samples) > 4000
    assert np.array_equal(samples, expected[: len(samples)])
    assert asked == [(None, "input"), (48000, 4800, None, 1, "int16"), "closed"]


def test_a_slow_reader_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, 5)
    monkeypatch.setattr(microphone, "MAX_WAITING", 4)
    with pytest.raises(DataError, match="the microphone is 0 s ahead"):
        list(microphone_blocks(16000))


def test_no_such_device(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, 0)
    with pytest.raises(
        UsageError, match=r"the microphone 'none' cannot be opened \(No input device matching"
    ):
        next(microphone_blocks(16000, "none"))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(UsageError, match=r"sounddevice; install it with `pip install 'elman\[speech\]'`"):
        next(microphone_blocks(16000))
