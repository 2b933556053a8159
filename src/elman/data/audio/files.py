"""Recordings in files, read in blocks: WAV, FLAC, OGG, MP3 and what else libsndfile reads safely."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from elman.data.audio.packages import speech_package
from elman.data.audio.resample import Resampler
from elman.data.audio.samples import Samples, mono, require_channels, require_finite, require_rate
from elman.data.table.formats import open_file, read_pipe, reading, shorten
from elman.data.table.limits import require_within, unpacked_limit
from elman.data.table.table import check_path
from elman.errors import DataError

ENDINGS: Final = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph")
BLOCK_FRAMES: Final = 1 << 16  # read at a time
HEAD_BYTES: Final = 16  # by which a format is known
UNKNOWN_LENGTH: Final = 1 << 62  # libsndfile's number of samples where the header has none: almost 2**63
# First bytes of formats that libsndfile does not read → what they are.
FOREIGN: Final = {
    b"\x1aE\xdf\xa3": "WebM or Matroska",
    b"\x30\x26\xb2\x75": "WMA",
    b"#!AMR": "AMR",
    b"caff": "CAF",
    b"\x1f\x8b": "a file compressed with gzip",
    b"PK\x03\x04": "a zip archive",
    b"version https://": "a pointer of Git LFS, not the recording itself",
}


def file_blocks(path: Path, rate: int) -> Iterator[Samples]:
    """Yield the samples of a file, mono and at `rate`, block by block.

    Raises:
        DataError: the file is missing, a folder, a device, damaged, cut off, in no known format or larger
            than `elman.data.table.limits` allows; the rate is none of speech; or a sample is not finite.
        UsageError: the package soundfile or soxr is missing, or `path` is a web address.
    """
    check_path(path)
    with open_file(path) as file, reading(str(path)):
        source: IO[bytes] = file if path.is_file() else io.BytesIO(read_pipe(file, str(path)))
        yield from _blocks(source, str(path), rate)


def encoded_blocks(data: bytes | IO[bytes], name: str, rate: int) -> Iterator[Samples]:
    """Yield the samples of a file's content, or of an open file, as `file_blocks` does."""
    yield from _blocks(io.BytesIO(data) if isinstance(data, bytes) else data, name, rate)


def native_rate(recording: Path | bytes, name: str) -> int:
    """Return the samples per second of a file, or of its content. Raises as `file_blocks` does."""
    if isinstance(recording, bytes):
        with _opened(io.BytesIO(recording), name) as sound:
            return int(sound.samplerate)
    check_path(recording)
    with open_file(recording) as file, reading(str(recording)), _opened(file, name) as sound:
        return int(sound.samplerate)


def is_encoded(head: bytes) -> bool:
    """Return whether the first HEAD_BYTES are those of a format that `file_blocks` reads."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return head[8:12] == b"WAVE"
    if head[:4] == b"FORM":
        return head[8:11] == b"AIF"
    is_mp3 = head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 == 0x02
    return is_mp3 or head.startswith((b"fLaC", b"OggS", b"ID3", b".snd", b"NIST_1A"))


def _blocks(file: IO[bytes], name: str, rate: int) -> Iterator[Samples]:
    size = file.seek(0, io.SEEK_END)
    with _opened(file, name) as sound:
        resampler = Resampler(sound.samplerate, rate)
        for block in _decoded(sound, name, unpacked_limit(size)):
            yield resampler.push(block)
        yield resampler.finish()


@contextlib.contextmanager
def _opened(file: IO[bytes], name: str) -> Iterator[Any]:
    """Open a recording of a usual rate and number of channels."""
    file.seek(0)
    _require_known(file.read(HEAD_BYTES), name)
    file.seek(0)
    package = speech_package("soundfile")
    try:
        with package.SoundFile(_Seekable(file)) as sound:
            require_rate(sound.samplerate, name)
            require_channels(sound.channels, name)
            yield sound
    except package.SoundFileError as problem:
        raise _damaged(name, problem) from None


class _Seekable:
    """A file that stays where it is when a damaged header sends libsndfile to an impossible place: an error
    could not pass through its C code, and would be printed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.tell, self._seek = file.read, file.tell, file.seek

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with contextlib.suppress(OSError, ValueError, OverflowError):
            self._seek(offset, whence)
        return self.tell()


def _decoded(sound: Any, name: str, limit: int) -> Iterator[Samples]:
    """Yield mono blocks of an open file at its own rate."""
    sound.seekable = lambda: False  # else each read ends with a seek, after which MP3 differs
    count, block = 0, np.empty((BLOCK_FRAMES, sound.channels), dtype=np.float32)
    while len(read := sound.read(out=block)):
        samples = mono(read).copy()
        require_finite(samples, name, count / sound.samplerate, sound.samplerate)
        count += len(read)
        require_within(4 * count * sound.channels, name, limit)
        yield samples
    if count < sound.frames < UNKNOWN_LENGTH:
        seconds, promised = count / sound.samplerate, sound.frames / sound.samplerate
        raise DataError(f"{name} is cut off after {seconds:.2f} of {promised:.2f} s; copy it again.")


def _require_known(head: bytes, name: str) -> None:
    if not head:
        raise DataError(f"{name} is empty; it should hold a recording.")
    if is_encoded(head):
        return
    kind = next((kind for magic, kind in FOREIGN.items() if head.startswith(magic)), None)
    kind = "MP4 or M4A" if head[4:8] == b"ftyp" else kind
    what = f"is {kind}" if kind else "is in no audio format that is known"
    raise DataError(
        f"{name} {what}; give WAV, FLAC, OGG or MP3, as `ffmpeg -i {Path(name).name} a.wav` makes."
    )


def _damaged(name: str, problem: Exception) -> DataError:
    reason = getattr(problem, "error_string", str(problem)).splitlines() or ["damaged"]
    return DataError(
        f"{name} cannot be decoded ({shorten(reason[0], 120)[1:-1].rstrip('.')}); copy or convert it again."
    )
