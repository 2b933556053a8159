"""Websockets `/vosk` and `/vosk/{model}`: live speech in the protocol of vosk-server, whose clients send a
configuration, 16-bit samples and an end, and get partial and final results. `/` is the same as `/vosk`, since
some clients ask for it.
"""

import math
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from elman.serve.answers import ApiError, answer_error
from elman.serve.bodies import parsed_object
from elman.serve.conversation import Conversation, Reply
from elman.serve.guard import chosen_protocol
from elman.serve.limits import Limits
from elman.serve.live_speech import LiveSpeech, speech_model
from elman.serve.options import FLAG, NUMBER, TEXT, TEXTS, Kind, checked_fields, whole
from elman.serve.pcm import pcm16
from elman.serve.shelf import Shelf

MAX_ALTERNATIVES: Final = 100
ANYTHING_ELSE: Final = "[unk]"  # a phrase of vosk's: what is not in the list
CONFIG: Final[dict[str, Kind]] = {
    "sample_rate": NUMBER,
    "phrase_list": TEXTS,
    "words": FLAG,
    "max_alternatives": whole(0, MAX_ALTERNATIVES),
    "model": TEXT,
}
COMMANDS: Final = ("config", "eof", "reset")


async def listen(websocket: WebSocket) -> None:
    """Transcribe what a client sends until it leaves."""
    state, name = websocket.app.state, websocket.path_params.get("model")
    try:
        if name is not None:
            speech_model(state.shelf, name)
        talk = VoskTalk(state.shelf, state.limits, name)
    except Exception as error:
        await websocket.send_denial_response(answer_error(error))
        return
    await websocket.accept(chosen_protocol(websocket))
    await Conversation(websocket, talk).run()


class VoskTalk:
    """Live speech in vosk-server's protocol: samples get one answer a message, a configuration none."""

    def __init__(self, shelf: Shelf, limits: Limits, model: str | None) -> None:
        """`model` is that of the path; the configuration may name another."""
        self._shelf, self._limits, self._model = shelf, limits, model
        self._options: dict[str, Any] = {}
        self._with_words, self._alternatives = True, 0
        self._speech: LiveSpeech | None = None
        self.is_over = False

    def greeting(self) -> None:
        """Return None: the client speaks first."""

    def ending(self, seconds: float) -> None:
        """Return None: the protocol has no such message."""

    def interrupts(self, content: str | bytes) -> bool:
        """Return False: no message interrupts another."""
        return False

    def refusal(self, error: ApiError) -> Reply:
        """Return an error object, which the protocol does not have; clients look for other keys first."""
        return {"error": error.body()}

    async def replies(self, content: str | bytes) -> AsyncIterator[Reply]:
        """Handle a message."""
        if isinstance(content, bytes):
            update = await self._opened().push(pcm16(content))
            yield {"partial": update.pending} if update.ended is None else self._result(update.ended)
            return
        message = parsed_object(content)
        if len(message) != 1 or (command := next(iter(message))) not in COMMANDS:
            raise ApiError(
                422, f"a message is 16-bit samples, or an object with one of {', '.join(COMMANDS)}"
            )
        if command == "config":
            self._configure(message["config"])
            return
        ended = (await self._speech.finish()).ended if self._speech else []
        self.is_over = command == "eof"
        yield self._result(ended or [])

    def _configure(self, config: Any) -> None:
        if not isinstance(config, dict):
            raise ApiError(422, f"config must be an object, not {type(config).__name__}", "config")
        chosen = checked_fields(config, CONFIG)
        if self._speech is not None and self._speech.is_open:
            raise ApiError(422, "a configuration comes before the first samples", "config")
        if "model" in chosen:
            self._model = speech_model(self._shelf, chosen["model"]).name
        if "sample_rate" in chosen:  # which clients send as 16000.0
            rate = chosen["sample_rate"]
            if rate != int(rate):
                raise ApiError(422, f"sample_rate must be a whole number, not {rate!r:.60}", "sample_rate")
            self._options["rate"] = int(rate)
        if phrases := [phrase for phrase in chosen.get("phrase_list", ()) if phrase != ANYTHING_ELSE]:
            self._options["phrases"] = phrases
        self._with_words = chosen.get("words", self._with_words)
        self._alternatives = chosen.get("max_alternatives", self._alternatives)

    def _opened(self) -> LiveSpeech:
        if self._speech is None or not self._speech.is_open:
            entry = speech_model(self._shelf, self._model)
            self._speech = LiveSpeech(entry, self._limits, **self._options)
        return self._speech

    def _result(self, words: list[Any]) -> Reply:
        """Return the final result of an utterance."""
        timed = [
            {"conf": round(word.confidence, 6), "start": word.start, "end": word.end, "word": word.text}
            for word in words
        ]
        text = " ".join(word.text for word in words)
        result = {"result": timed} if timed and self._with_words else {}
        if not self._alternatives:
            return {**result, "text": text}
        sure = math.prod(word.confidence for word in words)
        return {"alternatives": [{"confidence": sure, **result, "text": text}]}

    def close(self) -> None:
        """Free the row."""
        if self._speech is not None:
            self._speech.close()


# the last one names them all in the log
ROUTES: list[BaseRoute] = [WebSocketRoute(path, listen) for path in ("/", "/vosk/{model}", "/vosk")]
