"""`POST /v1/audio/transcriptions`: a recording as an upload, as OpenAI's clients send it."""

import asyncio
import math
import zlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import IO, Any, Final, NamedTuple

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from elman.errors import suggestion
from elman.serve.answers import ApiError, answer
from elman.serve.bodies import close_form, read_form
from elman.serve.events import EventStream
from elman.serve.live_speech import require_sound, speech_model
from elman.serve.loaded import Loaded
from elman.serve.waiting import require_client

FORMATS: Final = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES: Final = ("segment", "word")
PIECE_SECONDS: Final = 2.0  # read at once: other sessions wait for it
PAUSE_SECONDS: Final = 0.5  # between two segments
MAX_NAME: Final = 100
FLAGS: Final = ("true", "false")
UNKNOWN: Final = "und"  # a language that nobody named, in ISO 639-2
REFUSED: Final = {
    "include": "gives no log-probabilities of tokens",
    "known_speaker_names": "does not tell speakers apart",
    "known_speaker_references": "does not tell speakers apart",
}
# What a client may say, which changes no answer: a model knows one language, and has no randomness.
IGNORED: Final = ("language", "languages", "prompt", "temperature", "chunking_strategy")
FIELDS: Final = ("file", "model", "response_format", "stream", "timestamp_granularities", "keywords")


class Upload(NamedTuple):
    """The fields of a request.

    Attributes:
        file, name: the recording, and what to call it in messages.
        language: as the client named it, which the answer repeats.
        keywords: words that are expected.
    """

    file: IO[bytes]
    name: str
    model: str | None
    form: str
    stream: bool
    granularities: Sequence[str]
    language: str
    keywords: list[str]


class Transcription:
    """The words of a recording, as they become certain.

    Attributes:
        seconds: of the recording, so far.
    """

    def __init__(self, loaded: Loaded, upload: Upload) -> None:
        """Raises ApiError for a model that reads precomputed frames."""
        facts = loaded.model.facts()
        require_sound(facts)
        self._loaded, self._asked, self._rate = loaded, upload, facts["rate"]
        self._is_live: bool = facts["stream"]
        self._options = {"hot_words": upload.keywords} if upload.keywords else {}
        self.seconds = 0.0

    async def parts(self) -> AsyncGenerator[list[Any], None]:
        """Yield the words that each piece of the recording makes certain, and close its file at last. Raises
        DataError for a recording that can't be read."""
        try:
            if not self._is_live:
                yield await self._loaded.run(self._whole)
                return
            async with aclosing(self._live()) as pieces:
                async for words in pieces:
                    yield words
        finally:
            self._asked.file.close()

    async def _live(self) -> AsyncGenerator[list[Any], None]:
        """Yield the words that each piece makes certain in the pool."""
        ticker = self._loaded.ticker
        stream = await ticker.open(**self._options)
        try:
            pieces = self._pieces()
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield await ticker.call(stream, "push", piece)
            yield await ticker.call(stream, "finish")
        finally:
            ticker.close(stream)

    def _pieces(self) -> Iterator[Any]:
        from elman.data.audio.files import encoded_blocks

        size = int(PIECE_SECONDS * self._rate)
        for block in encoded_blocks(self._asked.file, self._asked.name, self._rate):
            self.seconds += len(block) / self._rate
            for start in range(0, len(block), size):
                yield block[start : start + size]

    def _whole(self) -> list[Any]:
        import numpy as np

        from elman.data.audio.read import MAX_SECONDS

        pieces = list[Any]()
        for piece in self._pieces():
            pieces.append(piece)
            if self.seconds > MAX_SECONDS:
                raise ApiError(422, f"{self._asked.name} lasts longer than {MAX_SECONDS / 3600:g} hours")
        samples = np.concatenate([np.zeros(0, np.float32), *pieces])
        return list(self._loaded.model.predict(samples, rate=self._rate, words=True, **self._options))


async def transcriptions(request: Request) -> Response:
    """Transcribe a recording."""
    limits = request.app.state.limits
    form = await read_form(request, limits.upload_bytes)
    try:
        upload = _checked(form)
        entry = speech_model(request.app.state.shelf, upload.model)
        transcription = Transcription(await entry.loaded(), upload)
        parts = transcription.parts()
        if upload.stream:
            async with asyncio.timeout(limits.deadline):
                first = await anext(parts)  # a recording that can't be read gets a status, not a stream
            return EventStream(_events(parts, first, limits.deadline), parts)
        words = await _all(request, parts, limits.deadline)
        response = await asyncio.to_thread(_response, upload, words, transcription.seconds)
    except BaseException:
        close_form(form)
        raise
    close_form(form)
    return response


async def _all(request: Request, parts: AsyncGenerator[list[Any], None], deadline: float) -> list[Any]:
    words = list[Any]()
    try:
        async with asyncio.timeout(deadline):
            async for part in parts:
                words += part
                await require_client(request)
    finally:
        await parts.aclose()
    return words


async def _events(
    parts: AsyncGenerator[list[Any], None], first: list[Any], deadline: float
) -> AsyncGenerator[dict[str, Any] | str, None]:
    """Yield the words as they become certain, and at last the whole text."""
    words, part = list[Any](), first
    try:
        while True:
            for word in part:
                delta = f" {word.text}" if words else word.text
                words.append(word)
                yield {"type": "transcript.text.delta", "delta": delta}
            async with asyncio.timeout(deadline):
                following = await anext(parts, None)
            if following is None:
                break
            part = following
        yield {"type": "transcript.text.done", "text": _text(words)}
    finally:
        await parts.aclose()


def _response(upload: Upload, words: Sequence[Any], seconds: float) -> Response:
    """Return the response in the requested format."""
    from elman.tasks.transcribe.subtitles import srt, vtt

    match upload.form:
        case "text":
            return PlainTextResponse(f"{_text(words)}\n")
        case "srt" | "vtt":
            lines = (srt if upload.form == "srt" else vtt)(words, PAUSE_SECONDS)
            return PlainTextResponse("".join(f"{line}\n" for line in lines))
        case "json":
            return answer({"text": _text(words), "usage": _usage(seconds)})
    verbose = {
        "task": "transcribe",
        "language": upload.language or UNKNOWN,
        "duration": round(seconds, 3),
        "text": _text(words),
        "usage": _usage(seconds),
    }
    if "segment" in upload.granularities:
        verbose["segments"] = _segments(words)
    if "word" in upload.granularities:
        verbose["words"] = [{"word": one.text, "start": one.start, "end": one.end} for one in words]
    return answer(verbose)


def _segments(words: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the subtitles, with what OpenAI says of each and is known here."""
    from elman.tasks.transcribe.subtitles import cues

    segments = []
    for number, cue in enumerate(cues(words, PAUSE_SECONDS)):
        text = _text(cue)
        likelihoods = [math.log(max(word.confidence, 1e-9)) for word in cue]
        content = text.encode()
        segments.append(
            {
                "id": number,
                "seek": 0,
                "start": cue[0].start,
                "end": cue[-1].end,
                "text": text,
                "tokens": [],
                "temperature": 0.0,
                "avg_logprob": sum(likelihoods) / len(likelihoods),
                "compression_ratio": len(content) / len(zlib.compress(content)),
                "no_speech_prob": 0.0,
            }
        )
    return segments


def _text(words: Sequence[Any]) -> str:
    return " ".join(word.text for word in words)


def _usage(seconds: float) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(seconds)}


def _checked(form: FormData) -> Upload:
    """Return the validated fields of a form. Raises ApiError for an invalid one."""
    values: dict[str, list[Any]] = {}
    for name, value in form.multi_items():
        values.setdefault(name.removesuffix("[]"), []).append(value)
    for name in values:
        if name in REFUSED:
            raise ApiError(422, f"{name} is not supported: elman {REFUSED[name]}, leave it out", name)
        if name not in FIELDS and name not in IGNORED:
            hint = suggestion(name, FIELDS) or f": there are {', '.join(FIELDS)}"
            raise ApiError(422, f"there is no field {name!r:.60}{hint}", name[:60])
    file = values.pop("file", [None])[0]
    if not isinstance(file, UploadFile):
        raise ApiError(422, "file is missing: it must be a recording, with a file name", "file")
    texts: Mapping[str, list[str]] = values
    form_name = _one_of("response_format", texts, FORMATS, "json")
    granularities = [
        _one_of("timestamp_granularities", {"timestamp_granularities": [one]}, GRANULARITIES, "")
        for one in texts.get("timestamp_granularities", ["segment"])
    ]
    if "timestamp_granularities" in texts and form_name != "verbose_json":
        raise ApiError(422, "timestamp_granularities needs response_format verbose_json", "response_format")
    return Upload(
        file.file,
        _name(file.filename),
        _first(texts, "model"),
        form_name,
        _one_of("stream", texts, FLAGS, "false") == "true",
        granularities,
        _first(texts, "language") or "",
        texts.get("keywords", []),
    )


def _first(texts: Mapping[str, list[str]], name: str) -> str | None:
    value = texts.get(name, [""])[0]
    if not isinstance(value, str):
        raise ApiError(422, f"{name} must be a text, not a file", name)
    return value or None


def _one_of(name: str, texts: Mapping[str, list[str]], allowed: Sequence[str], default: str) -> str:
    value = (_first(texts, name) or default).strip()
    if value not in allowed:
        raise ApiError(422, f"{name} must be one of {', '.join(allowed)}, not {value!r:.60}", name)
    return value


def _name(name: str | None) -> str:
    """Return what to call a recording: the last part of the name that the client gave."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(filter(str.isprintable, last))[:MAX_NAME] or "the recording"


ROUTES: list[BaseRoute] = [Route("/v1/audio/transcriptions", transcriptions, methods=["POST"])]
