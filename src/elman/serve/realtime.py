"""Websocket `/v1/realtime`: OpenAI's realtime protocol, for transcription.

Words are sent as deltas when they are certain, so that no delta is ever taken back. An utterance, which ends
with a pause or a commit, is an item.
"""

import binascii
import math
import uuid
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, cast

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from elman.serve.answers import ApiError, answer_error
from elman.serve.bodies import parsed_object
from elman.serve.conversation import Conversation, Reply
from elman.serve.guard import chosen_protocol
from elman.serve.limits import Limits
from elman.serve.live_speech import LiveSpeech, speech_model
from elman.serve.realtime_settings import Listening, updated
from elman.serve.shelf import Shelf

TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
UPDATES: Final = {
    "session.update": "session.updated",
    "transcription_session.update": "transcription_session.updated",
}
BUFFER: Final = ("input_audio_buffer.append", "input_audio_buffer.commit", "input_audio_buffer.clear")
MAX_ID: Final = 512  # characters of a client's event_id


async def realtime(websocket: WebSocket) -> None:
    """Transcribe what a client sends until it leaves."""
    state, name = websocket.app.state, websocket.query_params.get("model")
    try:
        if name:
            speech_model(state.shelf, name)
        talk = RealtimeTalk(state.shelf, state.limits, name or None)
    except Exception as error:
        await websocket.send_denial_response(answer_error(error))
        return
    await websocket.accept(chosen_protocol(websocket))
    await Conversation(websocket, talk).run()


class RealtimeTalk:
    """Live speech in the events of the protocol."""

    is_over = False

    def __init__(self, shelf: Shelf, limits: Limits, model: str | None) -> None:
        """`model` is that of the address; a session update may name another."""
        self._shelf, self._limits = shelf, limits
        self._listening = Listening(model)
        self._name = _made("sess")
        self._speech: LiveSpeech | None = None
        self._item, self._before = _made("item"), cast(str | None, None)
        self._words: list[Any] = []  # words of the item
        self._appended = False
        self._samples = 0  # of the item
        self._event_id: str | None = None  # the client's id of the last event

    def greeting(self) -> Reply:
        """Return the session."""
        return _event("session.created", session=self._listening.to_dict(self._name))

    def ending(self, seconds: float) -> None:
        """Say nothing, for which the protocol has no event."""

    def interrupts(self, content: str | bytes) -> bool:
        """Return False: no message interrupts another."""
        return False

    def refusal(self, error: ApiError) -> Reply:
        """Return an error event."""
        return _event("error", error=error.body() | {"event_id": self._event_id})

    def close(self) -> None:
        """Free the row."""
        if self._speech is not None:
            self._speech.close()
            self._speech = None

    async def replies(self, content: str | bytes) -> AsyncIterator[Reply]:
        """Do what an event asks."""
        self._event_id = None
        message = parsed_object(content)
        event_id, kind = message.get("event_id"), message.get("type")
        self._event_id = event_id[:MAX_ID] if isinstance(event_id, str) else None
        if kind in UPDATES:
            yield self._update(kind, message)
        elif kind == BUFFER[0]:
            for reply in await self._append(message):
                yield reply
        elif kind == BUFFER[1]:
            for reply in await self._commit():
                yield reply
        elif kind == BUFFER[2]:
            await self._clear()
            yield _event("input_audio_buffer.cleared")
        else:
            names = ", ".join([*UPDATES, *BUFFER])
            raise ApiError(422, f"type must be one of {names}, not {kind!r:.60}", "type")

    def _update(self, kind: str, message: Reply) -> Reply:
        listening = updated(self._listening, message.get("session"))
        if listening.model is not None:
            speech_model(self._shelf, listening.model)
        if listening != self._listening:
            if self._appended:
                raise ApiError(
                    422, "commit or clear the input audio buffer before another session", "session"
                )
            self.close()
        self._listening = listening
        return _event(UPDATES[kind], session=listening.to_dict(self._name))

    async def _append(self, message: Reply) -> list[Reply]:
        audio = message.get("audio")
        if not isinstance(audio, str):
            raise ApiError(422, "audio must be a text, the samples in base64", "audio")
        try:
            content = b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            raise ApiError(422, "audio is not valid base64", "audio") from None
        samples = self._listening.samples(content)
        if self._speech is None:
            entry = speech_model(self._shelf, self._listening.model)
            self._speech = LiveSpeech(entry, self._limits, **self._listening.options())
        update = await self._speech.push(samples)
        self._appended = self._appended or len(samples) > 0
        self._samples += len(samples)
        if update.ended is None or self._listening.pause is None:
            return [*self._deltas(update.words)]
        left = update.ended[len(self._words) :]
        ended = [*self._deltas(left), *self._ended(update.ended)]
        return [*ended, *self._deltas(update.words[len(left) :])]

    async def _commit(self) -> list[Reply]:
        if not self._appended or self._speech is None:
            raise ApiError(422, "the input audio buffer is empty", code="input_audio_buffer_commit_empty")
        update = await self._speech.finish()
        self._appended = False
        return [*self._deltas(update.words), *self._ended(self._words, is_commit=True)]

    async def _clear(self) -> None:
        if self._speech is not None:
            await self._speech.reset()
        self._appended, self._words, self._samples = False, [], 0

    def _deltas(self, words: Sequence[Any]) -> Iterator[Reply]:
        """Yield a delta for each word of the item."""
        for word in words:
            if not self._words and self._listening.pause is not None:
                start = round(word.start * 1000)
                yield _event("input_audio_buffer.speech_started", audio_start_ms=start, item_id=self._item)
            delta = f" {word.text}" if self._words else word.text
            self._words.append(word)
            yield _event(f"{TRANSCRIPTION}.delta", item_id=self._item, content_index=0, delta=delta)

    def _ended(self, words: Sequence[Any], is_commit: bool = False) -> Iterator[Reply]:
        """Yield the events at the end of an item. Without words there is none, unless the client commits."""
        if words or is_commit:
            if not is_commit:
                end = round(words[-1].end * 1000)
                yield _event("input_audio_buffer.speech_stopped", audio_end_ms=end, item_id=self._item)
            yield _event("input_audio_buffer.committed", item_id=self._item, previous_item_id=self._before)
            seconds = math.ceil(self._samples / self._listening.rate)
            yield _event(
                f"{TRANSCRIPTION}.completed",
                item_id=self._item,
                content_index=0,
                transcript=" ".join(word.text for word in words),
                usage={"type": "duration", "seconds": seconds},
            )
            self._before, self._item = self._item, _made("item")
        self._words, self._samples = [], 0


def _event(kind: str, **fields: Any) -> Reply:
    return {"type": kind, "event_id": _made("event"), **fields}


def _made(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex}"


ROUTES: list[BaseRoute] = [WebSocketRoute("/v1/realtime", realtime)]
