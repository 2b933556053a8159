"""Samples without a file around them: raw PCM and streamed WAV, as they arrive from a pipe."""

import struct
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple

import numpy as np

from elman.data.audio.files import is_encoded
from elman.data.audio.resample import Resampler
from elman.data.audio.samples import Samples, mono, require_channels, require_rate
from elman.data.table.formats import reading
from elman.errors import DataError, UsageError

BLOCK_BYTES: Final = 1 << 16  # read at a time, if as many have arrived
MAX_CHUNK_BYTES: Final = 1 << 16  # of a WAV header's parts
WAV_PCM, WAV_EXTENSIBLE = 1, 0xFFFE
ADVICE: Final = "convert it with `ffmpeg -i … -f s16le -ac 1 -ar 16000 -` and give the rate 16000"


class Form(NamedTuple):
    """Raw PCM: signed 16-bit integers, little-endian, channels interleaved."""

    rate: int  # samples a second
    channels: int = 1


def pcm_samples(data: bytes, form: Form, name: str) -> Samples:
    """Return raw PCM as mono samples at its own rate; an incomplete one at the end is left out."""
    require_channels(form.channels, name)
    whole = len(data) - len(data) % (2 * form.channels)
    integers = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, form.channels)
    return mono(integers.astype(np.float32) / np.float32(2**15))


def pipe_blocks(pipe: IO[bytes], name: str, rate: int, source_rate: int | None = None) -> Iterator[Samples]:
    """Yield samples at `rate` as they arrive, without an end if the pipe has none.

    Args:
        pipe: raw PCM or a WAV file of signed 16-bit integers, whose header may state a wrong length, as one
            written to a pipe does.
        name: of the pipe, in messages.
        rate: wanted, in samples per second.
        source_rate: that of raw PCM.

    Raises:
        DataError: nothing arrives, the header is damaged, or the format is another.
        UsageError: the pipe holds raw PCM, and `source_rate` is None.
    """
    with reading(name):
        head = _exactly(pipe, 12)
        if not head:
            raise DataError(f"{name} is empty; it should hold a recording.")
        if head.startswith(b"RIFF") and head.endswith(b"WAVE"):
            form, rest = _wav_form(pipe, name), b""
        elif is_encoded(head):
            raise DataError(f"{name} is a compressed file, not WAV or raw PCM; {ADVICE}.")
        elif source_rate is None:
            raise UsageError(
                f"{name} has no WAV header; if it is raw 16-bit PCM, give its rate, or {ADVICE}."
            )
        else:
            form, rest = Form(require_rate(source_rate, name)), head
        resampler, width = Resampler(form.rate, rate), 2 * form.channels
        for block in _arriving(pipe, rest):
            rest += block
            whole = len(rest) - len(rest) % width
            yield resampler.push(pcm_samples(rest[:whole], form, name))
            rest = rest[whole:]
        yield resampler.finish()


def _arriving(pipe: IO[bytes], start: bytes) -> Iterator[bytes]:
    """Yield nothing for what was read before, then bytes as soon as some are there."""
    if start:
        yield b""
    read: Any = getattr(pipe, "read1", pipe.read)
    yield from iter(lambda: read(BLOCK_BYTES), b"")


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    """Return the next `count` bytes, or fewer at the end."""
    data = b""
    while len(data) < count and (more := pipe.read(count - len(data))):
        data += more
    return data


def _wav_form(pipe: IO[bytes], name: str) -> Form:
    """Read the rest of a WAV header up to the samples."""
    form = None
    while len(head := _exactly(pipe, 8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind == b"data" and form:
            return form
        size += size % 2
        if size > MAX_CHUNK_BYTES or len(chunk := _exactly(pipe, size)) < size:
            break
        if kind == b"fmt " and size >= 16:
            code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunk[:16])
            if code == WAV_EXTENSIBLE and size >= 26:
                code = struct.unpack("<H", chunk[24:26])[0]
            if (code, bits) != (WAV_PCM, 16):
                raise DataError(f"{name} is WAV, but not of 16-bit integers; {ADVICE}.")
            require_channels(channels, name)
            form = Form(require_rate(rate, name), channels)
    raise DataError(f"{name} has a damaged WAV header; {ADVICE}.")
