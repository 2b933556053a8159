"""A program that speaks with eSpeak NG's library, run by `synthesis`: in a process of its own, as the library
keeps global state, and a crash of it is then no crash of ours. It imports nothing but the standard library.

    python espeak.py LIBRARY [DATA]

It writes a line of JSON on what it can do, and for each line of JSON that it reads, the number of samples
(4 bytes, little-endian; -1 if there is no such voice) and the samples (16-bit integers, in the machine's
order).
"""

import ctypes
import json
import os
import struct
import sys
from typing import Any, Final

# Of speak_lib.h.
SYNCHRONOUS, DONT_EXIT, UTF8, CHARACTERS = 2, 0x8000, 1, 1
RATE, PITCH, RANGE = 1, 3, 4
MAX_SECONDS: Final = 60  # of speech for one text


class Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_char)),  # a byte for the priority, then a name that ends in 0
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


CALLBACK: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Library:
    """eSpeak NG, once a process."""

    def __init__(self, path: str, data: str | None) -> None:
        self._library = library = ctypes.CDLL(path)
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_SetParameter.argtypes = [ctypes.c_int] * 3
        library.espeak_ListVoices.argtypes = [ctypes.POINTER(Voice)]
        library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
        library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
        where = None
        if data is not None:
            os.chdir(data)  # the library cuts a path of more than 160 characters
            where = b"."
        self.rate = int(library.espeak_Initialize(SYNCHRONOUS, 0, where, DONT_EXIT))
        if self.rate <= 0:
            raise OSError("it can't be started; is its folder espeak-ng-data there?")
        if hasattr(library, "espeak_ng_SetRandSeed"):  # newer ones begin with the time
            library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
            library.espeak_ng_SetRandSeed(1)
        self._samples = bytearray()
        self._callback = CALLBACK(self._receive)  # the library keeps a pointer to it
        library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, _: Any) -> int:
        """Keep samples; a 1 returned ends the synthesis."""
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        return int(len(self._samples) > 2 * self.rate * MAX_SECONDS)

    def voices(self, kind: bytes = b"") -> list[tuple[str, str]]:
        """Return the language and the file of each voice, or of each variant."""
        language = ctypes.create_string_buffer(kind)
        wanted = Voice(languages=ctypes.cast(language, ctypes.POINTER(ctypes.c_char)))
        listed, names = self._library.espeak_ListVoices(wanted if kind else None), list[tuple[str, str]]()
        while listed[len(names)]:
            voice = listed[len(names)].contents
            code = ctypes.string_at(ctypes.addressof(voice.languages.contents) + 1)
            names.append((code.decode(errors="replace"), (voice.identifier or b"").decode(errors="replace")))
        return names

    def say(self, text: str, voice: str, speed: int, pitch: int, range: int) -> bytes | None:
        """Return the samples of a text, or None if there is no such voice."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            return None
        for name, value in ((RATE, speed), (PITCH, pitch), (RANGE, range)):
            self._library.espeak_SetParameter(name, value, 0)
        self._samples.clear()
        encoded = text.encode() + b"\0"
        # neither SSML nor phonemes in brackets: all of it is text
        self._library.espeak_Synth(encoded, len(encoded), 0, CHARACTERS, 0, UTF8, None, None)
        return bytes(self._samples)


def main() -> None:
    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what the library prints is no reply
        library = Library(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
        variants = [os.path.basename(path) for _, path in library.voices(b"variant")]  # noqa: PTH119
        facts = {"rate": library.rate, "voices": dict(library.voices()), "variants": variants}
        replies.write(json.dumps(facts).encode() + b"\n")
        replies.flush()
        for line in sys.stdin.buffer:
            samples = library.say(**json.loads(line))
            replies.write(struct.pack("<i", -1 if samples is None else len(samples) // 2))
            replies.write(samples or b"")
            replies.flush()


if __name__ == "__main__":
    main()
