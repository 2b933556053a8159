"""The microphone as blocks of samples."""

import queue
from collections.abc import Iterator
from typing import Any, Final

from elman.data.audio.packages import speech_package
from elman.data.audio.pcm import Form, pcm_samples
from elman.data.audio.resample import Resampler
from elman.data.audio.samples import Samples
from elman.errors import DataError, UsageError

BLOCK_SECONDS: Final = 0.1
MAX_WAITING: Final = 600  # blocks that wait for a slow reader: a minute
SILENT_SECONDS: Final = 5.0  # after which a device that gives nothing is taken for lost


def microphone_blocks(rate: int, device: str | int | None = None) -> Iterator[Samples]:
    """Yield mono samples at `rate` as they are spoken, without an end.

    Args:
        rate: wanted, in samples per second.
        device: number or name of the microphone; by default the system's.

    Raises:
        UsageError: sounddevice or PortAudio is missing, or there is no such device.
        DataError: the device gives no more samples, or is too far ahead of the reader.
    """
    package = speech_package("sounddevice")
    waiting = queue.Queue[bytes](MAX_WAITING)
    lost = False

    def arrived(data: Any, *_: Any) -> None:
        nonlocal lost
        try:
            waiting.put_nowait(bytes(data))
        except queue.Full:
            lost = True

    try:
        own_rate = int(package.query_devices(device, "input")["default_samplerate"])
        block = int(own_rate * BLOCK_SECONDS)
        stream = package.RawInputStream(own_rate, block, device, 1, "int16", callback=arrived)
    except (package.PortAudioError, ValueError) as problem:
        what = "the microphone" if device is None else f"the microphone {device!r}"
        reason = (str(problem).splitlines() or ["none"])[0].rstrip(".")
        raise UsageError(
            f"{what} cannot be opened ({reason}); connect one, or name another device."
        ) from None
    resampler, form = Resampler(own_rate, rate), Form(own_rate)
    with stream:
        while not lost:
            try:
                data = waiting.get(timeout=SILENT_SECONDS)
            except queue.Empty:
                raise DataError("the microphone gives no more samples; connect it again.") from None
            yield resampler.push(pcm_samples(data, form, "the microphone"))
    raise DataError(
        f"the microphone is {MAX_WAITING * BLOCK_SECONDS:.0f} s ahead; use a faster model or computer."
    )
