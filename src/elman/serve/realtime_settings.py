"""What a client of OpenAI's realtime protocol chooses, in today's form and in that of the beta."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from elman.errors import suggestion
from elman.serve.answers import ApiError
from elman.serve.options import NUMBER, OBJECT, TEXT, TEXTS, Kind, whole
from elman.serve.pcm import G711, Samples, pcm16

RATE: Final = 24_000  # of audio/pcm unless said otherwise
TELEPHONY_RATE: Final = 8_000
PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE: Final = 10.0  # where the client says when an utterance ends
BETA_FORMATS: Final = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
FORMATS: Final = tuple(BETA_FORMATS.values())
RATES: Final = whole(1000, 768_000)
PAUSES: Final = Kind(
    f"a number of milliseconds from 100 to {LONGEST_PAUSE * 1000:g}",
    lambda value: NUMBER.holds(value) and 100 <= value <= LONGEST_PAUSE * 1000,
)
# Fields of each object. None: is read, and changes nothing.
SESSION: Final = {
    "type": TEXT,
    "audio": OBJECT,
    "include": None,
    "object": None,
    "id": None,
    "expires_at": None,
}
BETA: Final = {
    "input_audio_format": TEXT,
    "input_audio_transcription": OBJECT,
    "turn_detection": OBJECT,
    "input_audio_noise_reduction": None,
}
AUDIO: Final = {"input": OBJECT}
INPUT: Final = {"format": OBJECT, "transcription": OBJECT, "turn_detection": OBJECT, "noise_reduction": None}
FORMAT: Final = {"type": TEXT, "rate": RATES}
TRANSCRIPTION: Final = {
    "model": TEXT,
    "keywords": TEXTS,
    **dict.fromkeys(("language", "languages", "prompt", "delay")),
}
DETECTION: Final = {
    "type": TEXT,
    "silence_duration_ms": PAUSES,
    **dict.fromkeys(
        ("threshold", "prefix_padding_ms", "create_response", "interrupt_response", "idle_timeout_ms")
    ),
}


@dataclass(frozen=True)
class Listening:
    """How a session listens.

    Attributes:
        model: its name; None: the only one of speech.
        form, rate: of the samples.
        pause: seconds that end an utterance; None: the client says when it ends.
    """

    model: str | None = None
    form: str = "audio/pcm"
    rate: int = RATE
    pause: float | None = PAUSE_SECONDS
    keywords: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return the options of the model's `stream`."""
        pause = LONGEST_PAUSE if self.pause is None else self.pause
        return {"rate": self.rate, "pause": pause} | (
            {"hot_words": [*self.keywords]} if self.keywords else {}
        )

    def samples(self, content: bytes) -> Samples:
        """Return the samples in an append. Raises ApiError for an odd number of bytes of PCM."""
        table = G711.get(self.form.removeprefix("audio/"))
        return pcm16(content) if table is None else table[np.frombuffer(content, np.uint8)]

    def to_dict(self, name: str) -> dict[str, Any]:
        """Return the session of this name as the protocol has it."""
        detection = None
        if self.pause is not None:
            detection = {"type": "server_vad", "silence_duration_ms": round(self.pause * 1000)}
        form = {"type": self.form} | ({"rate": self.rate} if self.form == "audio/pcm" else {})
        transcription = {"model": self.model} | ({"keywords": self.keywords} if self.keywords else {})
        listening = {"format": form, "transcription": transcription, "turn_detection": detection}
        return {
            "id": name,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {"input": listening},
        }


def updated(listening: Listening, session: Any) -> Listening:
    """Return what a session is after an update. Raises ApiError for what is wrong in it."""
    chosen = _fields(session, "session", SESSION | BETA)
    if chosen.get("type", "transcription") != "transcription":
        raise ApiError(
            422, "this server transcribes: the session's type must be transcription", "session.type"
        )
    audio = _fields(chosen.get("audio") or {}, "session.audio", AUDIO)
    fields = _fields(audio.get("input") or {}, "session.audio.input", INPUT)
    if form := chosen.get("input_audio_format"):
        if form not in BETA_FORMATS:
            raise ApiError(
                422, f"input_audio_format must be one of {', '.join(BETA_FORMATS)}, not {form!r:.60}"
            )
        fields["format"] = {"type": BETA_FORMATS[form]}
    if "input_audio_transcription" in chosen:
        fields["transcription"] = chosen["input_audio_transcription"]
    if "turn_detection" in chosen:
        fields["turn_detection"] = chosen["turn_detection"]
    if fields.get("format") is not None:
        listening = _with_format(listening, _fields(fields["format"], "format", FORMAT))
    if fields.get("transcription") is not None:
        named = _fields(fields["transcription"], "transcription", TRANSCRIPTION)
        model, keywords = named.get("model") or listening.model, named.get("keywords") or ()
        listening = replace(listening, model=model, keywords=tuple(keywords))
    if "turn_detection" in fields:
        listening = _with_detection(listening, fields["turn_detection"])
    return listening


def _with_format(listening: Listening, chosen: dict[str, Any]) -> Listening:
    form = chosen.get("type") or FORMATS[0]
    if form not in FORMATS:
        raise ApiError(
            422, f"format.type must be one of {', '.join(FORMATS)}, not {form!r:.60}", "format.type"
        )
    rate = chosen.get("rate") or RATE if form == FORMATS[0] else TELEPHONY_RATE
    return replace(listening, form=form, rate=rate)


def _with_detection(listening: Listening, detection: Any) -> Listening:
    if detection is None:
        return replace(listening, pause=None)
    chosen = _fields(detection, "turn_detection", DETECTION)
    if (kind := chosen.get("type", "server_vad")) != "server_vad":
        raise ApiError(422, f"turn_detection must be server_vad or null, not {kind!r:.60}", "turn_detection")
    return replace(listening, pause=(chosen.get("silence_duration_ms") or PAUSE_SECONDS * 1000) / 1000)


def _fields(value: Any, name: str, kinds: Mapping[str, Kind | None]) -> dict[str, Any]:
    """Return the fields of an object. Raises ApiError for an unknown one, or a value of another kind."""
    if not isinstance(value, dict):
        raise ApiError(422, f"{name} must be an object, not {type(value).__name__}", name)
    for field, one in value.items():
        if field not in kinds:
            hint = suggestion(field, kinds) or f": there are {', '.join(kinds)}"
            raise ApiError(422, f"{name} has no field {field!r:.60}{hint}", name)
        kind = kinds[field]
        if kind is not None and one is not None and not kind.holds(one):
            raise ApiError(422, f"{name}.{field} must be {kind.phrase}, not {one!r:.60}", f"{name}.{field}")
    return {field: one for field, one in value.items() if kinds[field] is not None}
