"""Text → speech by eSpeak NG, if the package `espeakng-loader` or the system has it. It is under the GPL, so
elman neither needs nor contains it."""

import importlib
import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Sequence
from ctypes.util import find_library
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple, Protocol, TypedDict, cast

import numpy as np

from elman.data.audio.samples import Samples
from elman.errors import DataError, UsageError, suggestion
from elman.typed import typed

PROGRAM: Final = Path(__file__).with_name("espeak.py")
MAX_REPLY_SECONDS: Final = 60.0  # after which the program is given up
MAX_SAMPLES: Final = 20_000_000  # of a reply
MAX_HEAD_BYTES: Final = 1_000_000
NORMAL_SPEED, NORMAL_PITCH = 175, 50
INSTALL: Final = (
    "speech is synthesised with eSpeak NG, which is missing; install it with "
    "`pip install 'elman[synthesis]'`, or your system's package espeak-ng"
)
# Variants that no person sounds like; and an alphabet of English that few write.
NOT_HUMAN: Final = ("robo", "robot", "demonic", "whisper", "croak", "tweaky", "announcer")
NOT_SPOKEN: Final = ("en-shaw",)


class Voice(NamedTuple):
    """Who speaks: the voice of a language, and a variant of it, "" for none."""

    language: str
    variant: str = ""

    @property
    def name(self) -> str:
        return f"{self.language}+{self.variant}" if self.variant else self.language


class Speaker(Protocol):
    """What speaks. `EspeakNG`, or something else in tests."""

    rate: int  # of the samples, per second

    def voices(self, language: str) -> list[Voice]:
        """Return the voices of a language. Raises UsageError if it has none."""

    def say(
        self, text: str, voice: Voice, speed: int = NORMAL_SPEED, pitch: int = NORMAL_PITCH, range: int = 50
    ) -> Samples:
        """Return a text as samples (samples,).

        Args:
            text: read as it stands, markup and all.
            voice: one of `voices`.
            speed: words a minute, 80 to 450.
            pitch: 0 to 99.
            range: of the pitch, 0 (monotone) to 99.
        """


class Facts(TypedDict):
    rate: int
    voices: dict[str, str]  # codes of languages → files
    variants: list[str]


class EspeakNG:
    """eSpeak NG in a process of its own: see `espeak`, the program that runs there."""

    def __init__(self) -> None:
        library, data = located()
        command = [sys.executable, "-I", str(PROGRAM), library, *([] if data is None else [data])]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        try:
            facts = self._start()
        except BaseException:
            self.close()
            raise
        self.rate, self._facts = facts["rate"], facts

    def _start(self) -> Facts:
        try:
            return cast(Facts, typed(Facts, json.loads(self._reply(MAX_HEAD_BYTES, end=b"\n")), "facts"))
        except (OSError, ValueError):
            raise UsageError("eSpeak NG is installed but does not start; reinstall it") from None

    def _reply(self, count: int, end: bytes | None = None) -> bytes:
        """Return so many bytes of the program's output, or those up to `end`; fewer if the program has ended
        or hangs."""
        assert self._process.stdout is not None
        output, until, reply = self._process.stdout.fileno(), monotonic() + MAX_REPLY_SECONDS, bytearray()
        while len(reply) < count and not (end and reply.endswith(end)):
            if not select.select([output], [], [], max(until - monotonic(), 0.0))[0]:
                break
            part = os.read(output, count - len(reply))
            if not part:
                break
            reply += part
        return bytes(reply)

    def voices(self, language: str) -> list[Voice]:
        spoken = [code for code in self._facts["voices"] if code not in NOT_SPOKEN]
        codes = [code for code in spoken if code == language or code.startswith(f"{language}-")]
        if not codes:
            hint = suggestion(language, spoken) or f"; it has {', '.join(spoken)}"
            raise UsageError(f"eSpeak NG has no voice for the language {language[:40]!r}{hint}")
        names = sorted(self._facts["variants"])
        human = [name for name in names if not any(part in name.lower() for part in NOT_HUMAN)]
        files = [self._facts["voices"][code].rpartition("/")[2] for code in codes]
        return [Voice(file, variant) for file in files for variant in human or [""]]

    def say(
        self, text: str, voice: Voice, speed: int = NORMAL_SPEED, pitch: int = NORMAL_PITCH, range: int = 50
    ) -> Samples:
        line = {"text": text, "voice": voice.name, "speed": speed, "pitch": pitch, "range": range}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            count = struct.unpack("<i", self._reply(4))[0]
            samples = self._reply(2 * min(max(count, 0), MAX_SAMPLES))
        except (OSError, struct.error):
            count, samples = 1, b""
        if count < 0:
            raise UsageError(f"eSpeak NG has no voice {voice.name!r}")
        if len(samples) < 2 * count:
            raise DataError(f"eSpeak NG crashed or hung while saying {text[:80]!r}; leave that out.")
        return cast(Samples, np.frombuffer(samples, np.int16).astype(np.float32) / 2**15)

    def close(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> "EspeakNG":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def located() -> tuple[str, str | None]:
    """Return the path of eSpeak NG's library, and the folder of its data if it can't know that itself.

    Raises UsageError if there is none.
    """
    try:
        package = importlib.import_module("espeakng_loader")
        return str(package.get_library_path()), str(Path(package.get_data_path()).parent)
    except ImportError:
        library = find_library("espeak-ng")
    except (OSError, RuntimeError):
        library = None
    if library is None:
        raise UsageError(INSTALL)
    return library, None


def divided_voices(voices: Sequence[Voice], share: float) -> tuple[list[Voice], list[Voice]]:
    """Return voices of the training, and about a `share` of them to check on: of other variants, where there
    are some."""
    variants = sorted({voice.variant for voice in voices})
    others = set(variants[:: max(round(1 / share), 2)]) if len(variants) > 1 else set()
    kept = [voice for voice in voices if voice.variant not in others]
    return kept, [voice for voice in voices if voice.variant in others] or kept
