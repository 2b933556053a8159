"""The program around eSpeak NG's library."""

import json
import struct
import subprocess
import sys
import time

import pytest

from elman.data.audio.synthesis import PROGRAM, located
from elman.errors import UsageError


def library() -> list[str]:
    try:
        return [part for part in located() if part is not None]
    except UsageError as reason:
        pytest.skip(str(reason))


def answers(lines: list[bytes]) -> bytes:
    command = [sys.executable, "-I", str(PROGRAM), *library()]
    return subprocess.run(command, input=b"".join(lines), capture_output=True, timeout=60, check=False).stdout


def line(text: str, voice: str = "en", **more: int) -> bytes:
    return (
        json.dumps({"text": text, "voice": voice, "speed": 175, "pitch": 50, "range": 50, **more}).encode()
        + b"\n"
    )


def test_it_tells_what_it_can_and_speaks() -> None:
    head, _, rest = answers([line("seven"), line("seven", "no-such-voice")]).partition(b"\n")
    facts = json.loads(head)
    assert facts["rate"] > 8_000 and {"en-us", "de"} <= facts["voices"].keys() and "m3" in facts["variants"]
    (count,) = struct.unpack("<i", rest[:4])
    assert len(rest) == 4 + 2 * count + 4 and struct.unpack("<i", rest[-4:]) == (-1,)


def test_the_same_lines_give_the_same_samples() -> None:
    lines = [line(text, voice) for text in ("one", "two") for voice in ("en+m3", "en+klatt3", "de+f2")]
    before = answers(lines)
    time.sleep(1.1)  # the library's own random numbers begin with the second
    assert answers(lines) == before


def test_no_speech_is_longer_than_a_minute() -> None:
    head, _, rest = answers([line("a" * 5_000)]).partition(b"\n")
    assert struct.unpack("<i", rest[:4])[0] < 65 * json.loads(head)["rate"]
