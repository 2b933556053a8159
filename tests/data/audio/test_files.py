"""Files in every format against the samples that were written, and files that are broken."""

import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_files import encoded, name_of, noise, save
from elman.data.audio import files
from elman.data.audio.files import encoded_blocks, file_blocks, is_encoded
from elman.data.audio.resample import resample
from elman.errors import DataError, ElmanError, UsageError

LOSSLESS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("FLAC", "PCM_16")]
LOSSLESS += [("AIFF", "PCM_16"), ("AU", "PCM_16"), ("NIST", "PCM_16")]
LOSSY = [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "ULAW"), ("WAV", "MS_ADPCM")]


def read(data: bytes, rate: int = 8000) -> Any:
    return np.concatenate(list(encoded_blocks(data, "a.wav", rate)))


@pytest.mark.parametrize(("kind", "code"), LOSSLESS)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats_give_the_samples(kind: str, code: str, channels: int) -> None:
    samples = np.stack([noise(3000, seed) for seed in range(channels)], 1)
    np.testing.assert_allclose(read(encoded(samples, 8000, kind, code)), samples.mean(1), atol=1e-4)


@pytest.mark.parametrize(("kind", "code"), LOSSY)
def test_lossy_formats_give_the_tone(kind: str, code: str) -> None:
    tone = (0.3 * np.sin(np.arange(24000) * 0.1)).astype(np.float32)
    decoded = read(encoded(tone, 24000, kind, code), 24000)
    assert abs(len(decoded) - len(tone)) < 2400
    spectrum = np.abs(np.fft.rfft(decoded[:24000]))
    assert spectrum.argmax() == pytest.approx(0.1 * 24000 / (2 * np.pi), abs=2)
    assert decoded.std() == pytest.approx(tone.std(), rel=0.1)


@pytest.mark.parametrize(("kind", "code"), [*LOSSLESS, *LOSSY])
def test_blocks_are_parts_of_the_whole(monkeypatch: pytest.MonkeyPatch, kind: str, code: str) -> None:
    data = encoded(noise(9000), 8000, kind, code)
    whole = read(data)
    monkeypatch.setattr(files, "BLOCK_FRAMES", 700)
    assert np.array_equal(read(data), whole)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_file_is_resampled(tmp_path: Path, rate: int) -> None:
    path = save(tmp_path, "a.flac", noise(5000), rate)
    written, _ = soundfile.read(path, dtype="float32")
    blocks = list(file_blocks(path, 16000))
    assert np.array_equal(np.concatenate(blocks), resample(written, rate, 16000))


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe, data = tmp_path / "a.wav", encoded(noise(500))
    os.mkfifo(pipe)
    if not (child := os.fork()):
        pipe.write_bytes(data)
        os._exit(0)
    assert np.array_equal(np.concatenate(list(file_blocks(pipe, 8000))), read(data))
    os.waitpid(child, 0)


WAV = encoded(noise(500))


def with_rate(rate: int) -> bytes:
    return WAV[:24] + struct.pack("<I", rate) + WAV[28:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.wav is empty; it should hold a recording"),
        (b"some text", "a.wav is in no audio format that is known; give WAV, FLAC, OGG or MP3"),
        (b"\0\0\0\x20ftypM4A ", r"a.wav is MP4 or M4A; .* as `ffmpeg -i a.wav a.wav` makes"),
        (b"\x1aE\xdf\xa3" * 9, "is WebM"),
        (b"\x1f\x8b" * 9, "compressed with gzip"),
        (b"version https://git-lfs", "is a pointer of Git LFS"),
        (WAV[:20], "a.wav cannot be decoded"),
        (WAV[:12], "a.wav cannot be decoded"),
        (b"fLaC" + b"\xff" * 50, "a.wav cannot be decoded"),
        (b"OggS" + bytes(50), "a.wav cannot be decoded"),
        (with_rate(0), "a.wav (cannot be decoded|has a rate of 0)"),
        (with_rate(100), "a.wav has a rate of 100; speech has 4,000"),
        (encoded(np.zeros((50, 40), dtype=np.float32)), "a.wav has 40 channels; it may have 1 to 32"),
        (encoded(np.array([0, np.nan], "f"), code="FLOAT"), r"a.wav has a sample that is NaN .* at 0.000 s"),
        (encoded(noise(4000), kind="FLAC")[:3000], "a.wav (cannot be decoded|is cut off after)"),
    ],
    ids=name_of,
)
def test_broken_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        list(file_blocks(path, 8000))
    assert "\n" not in str(caught.value)


def test_a_wav_file_that_was_cut_off_is_read_to_its_end() -> None:
    assert np.array_equal(read(WAV[:500]), read(WAV)[: (500 - 44) // 2])


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    save(tmp_path, "hello.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    for name, message in (
        ("", "is a folder"),
        ("hallo.wav", "does not exist; did you mean 'hello.wav'"),
        ("zero.wav", "is a device"),
        ("no/a.wav", "there is no folder"),
    ):
        with pytest.raises(DataError, match=message):
            list(file_blocks(tmp_path / name, 8000))
    with pytest.raises(UsageError, match="is a web address"):
        list(file_blocks("https://a.org/a.wav", 8000))  # type: ignore[arg-type]


def test_a_small_file_may_not_hold_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(np.zeros(400_000, dtype=np.float32), kind="FLAC")
    assert len(data) < 4000
    monkeypatch.setenv("ELMAN_MAX_BYTES", "1MB")
    with pytest.raises(DataError, match="holds more than 1 MB; if that is right, raise the limit"):
        read(data)
    monkeypatch.setenv("ELMAN_MAX_BYTES", "2MB")
    assert len(read(data)) == 400_000


def test_without_soundfile_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(UsageError, match=r"pip install 'elman\[speech\]'"):
        read(WAV)


def test_heads_of_formats() -> None:
    for kind, code in [*LOSSLESS, *LOSSY]:
        assert is_encoded(encoded(noise(500), 8000, kind, code)[:16])
    assert not any(map(is_encoded, (b"", b"R", b"\xff", b"\xff\xf1\x50\x80", b"RIFF\0\0\0\0AVI ", bytes(16))))


def test_mutants_end_in_samples_or_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    """Headers with bytes changed, 20 of each format; `bench/fuzz_data.py` makes ten thousand."""
    draw, errors = random.Random(0), 0
    kinds = [("WAV", "PCM_16"), ("FLAC", "PCM_16"), *LOSSY[:3], *LOSSLESS[1:4], LOSSY[4], ("NIST", "PCM_16")]
    for kind, code in kinds:
        original = encoded(noise(800), 8000, kind, code)
        for _ in range(20):
            data = bytearray(original)
            for _ in range(draw.randint(1, 4)):
                data[draw.randrange(64)] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
            try:
                read(bytes(data[: draw.choice((20, 60, len(data), len(data)))]))
            except ElmanError as problem:
                errors += 1
                assert str(problem).startswith("a.wav") and "\n" not in str(problem)
    assert 20 < errors < 200
    assert "Traceback" not in capfd.readouterr().err
