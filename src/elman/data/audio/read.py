"""A recording in any form → samples: a file, its bytes, standard input, raw PCM, an array or a tensor."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from elman.data.audio.files import HEAD_BYTES, encoded_blocks, file_blocks, is_encoded
from elman.data.audio.pcm import Form, pcm_samples, pipe_blocks
from elman.data.audio.resample import EMPTY, resample
from elman.data.audio.samples import Samples, require_rate, to_samples
from elman.data.table.formats import STDIN
from elman.errors import DataError, UsageError

MAX_SECONDS: Final = 4 * 3600  # of a recording that is read whole


def audio_blocks(source: Any, rate: int, source_rate: int | None = None, name: str = "") -> Iterator[Samples]:
    """Yield a recording's samples block by block, mono, float32 and at `rate`, in memory of constant size.

    Args:
        source: a path; "-" for standard input, which holds raw PCM (16-bit integers, little-endian, mono) or
            WAV; bytes of a file or of raw PCM; or samples as in `to_samples`.
        rate: wanted, in samples per second.
        source_rate: that of raw PCM and of samples.
        name: in messages; by default the path, "standard input" or the type.

    Raises:
        DataError: the recording is missing, damaged, too large, or has samples that are not finite.
        UsageError: `source` cannot be a recording, `source_rate` is missing, or a package is.
    """
    if isinstance(source, str) and source == "-":
        yield from pipe_blocks(sys.stdin.buffer, name or STDIN, rate, source_rate)
    elif isinstance(source, (str, Path)):
        yield from file_blocks(Path(source), rate)
    elif isinstance(source, (bytes, bytearray, memoryview)):
        data, name = bytes(source), name or "bytes"
        if source_rate is None or is_encoded(data[:HEAD_BYTES]):
            yield from encoded_blocks(data, name, rate)
        else:
            form = Form(require_rate(source_rate, name))
            yield resample(pcm_samples(data, form, name), form.rate, rate)
    elif hasattr(source, "__array__") or isinstance(source, (list, tuple)):
        name = name or f"the {type(source).__name__} of samples"
        if source_rate is None:
            raise UsageError(f"{name} does not give its sampling rate; give it, in samples per second.")
        own_rate = require_rate(source_rate, name)
        yield resample(to_samples(source, name, own_rate), own_rate, rate)
    else:
        kind = type(source).__name__
        raise UsageError(f"an object of type {kind} is not a recording; give a path, bytes or samples.")


def read_audio(
    source: Any,
    rate: int,
    source_rate: int | None = None,
    name: str = "",
    max_seconds: float = MAX_SECONDS,
) -> Samples:
    """Return all samples (samples,) of a recording, as `audio_blocks` does.

    Raises:
        DataError: also if it lasts longer than `max_seconds`.
    """
    blocks, count = [EMPTY], 0
    for block in audio_blocks(source, rate, source_rate, name):
        count += len(block)
        if count > max_seconds * rate:
            what = name or (source if isinstance(source, (str, Path)) and str(source) != "-" else STDIN)
            limit = f"{max_seconds / 3600:g} hours" if max_seconds >= 3600 else f"{max_seconds:g} s"
            raise DataError(f"{what} lasts longer than {limit}; cut it into parts.")
        blocks.append(block)
    return np.concatenate(blocks)
