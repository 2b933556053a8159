"""Live speech in a model's pool: words as they become certain, and where utterances end."""

from typing import Any, Final, NamedTuple

from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.shelf import Entry, Shelf
from elman.serve.ticker import Ticker
from elman.serve.time_limit import TimeLimit

TASK: Final = "transcribe"


class Update(NamedTuple):
    """What a push of speech has changed.

    Attributes:
        words: that are certain now, each an `elman` `Word`.
        ended: the words of the utterances that have ended in it; None if none has.
        pending: the utterance that goes on, with what may still change.
    """

    words: list[Any]
    ended: list[Any] | None
    pending: str


class LiveSpeech:
    """Live speech. It takes a row of the pool with the first piece."""

    def __init__(self, entry: Entry, limits: Limits, **options: Any) -> None:
        """`options` are those of the model's `stream`."""
        self._entry, self._limits, self._options = entry, limits, options
        self._ticker: Ticker | None = None
        self._stream: Any = None
        self._words: list[Any] = []  # of the utterance that goes on
        self._utterances = 0

    @property
    def is_open(self) -> bool:
        """Whether anything was pushed."""
        return self._stream is not None

    async def push(self, samples: Any) -> Update:
        """Read a piece. Raises ApiError and the errors of the stream's `push`."""
        with TimeLimit(self._limits.deadline):
            if self._stream is None:
                await self._open()
            assert self._ticker is not None
            words = await self._ticker.call(self._stream, "push", samples)
        self._words += words
        stream, ended = self._stream, None
        if stream.utterances > self._utterances:
            self._utterances = stream.utterances
            left = list(stream.words)
            ended, self._words = self._words[: len(self._words) - len(left)], left
        return Update(words, ended, stream.result())

    async def finish(self) -> Update:
        """End the recording, and with it an utterance; another may follow."""
        if self._stream is None:
            return Update([], [], "")
        assert self._ticker is not None
        with TimeLimit(self._limits.deadline):
            words = await self._ticker.call(self._stream, "finish")
        ended = self._words + words
        self._words, self._utterances = [], 0
        return Update(words, ended, "")

    async def reset(self) -> None:
        """Forget what was not finished."""
        if self._stream is not None:
            assert self._ticker is not None
            with TimeLimit(self._limits.deadline):
                await self._ticker.run(self._stream.reset, self._stream)
        self._words, self._utterances = [], 0

    def close(self) -> None:
        """Free the row."""
        if self._ticker is not None and self._stream is not None:
            self._ticker.close(self._stream)
        self._stream = None

    async def _open(self) -> None:
        loaded = await self._entry.loaded()
        require_sound(loaded.model.facts())
        self._ticker = loaded.ticker
        self._stream = await self._ticker.open(**self._options)


def require_sound(facts: dict[str, Any]) -> None:
    """Raise ApiError for a model that reads precomputed frames."""
    if facts["input"] != "audio":
        raise ApiError(422, "this model reads precomputed frames, so it can't hear sound", "model")


def speech_model(shelf: Shelf, name: str | None) -> Entry:
    """Return the speech model of a name, by default the only one. Raises ApiError if there is none."""
    if name:
        entry = shelf[name]
        if entry.task != TASK:
            raise ApiError(422, f"{entry.name!r} is a {entry.task!r} model and can't hear", "model")
        return entry
    entries = [entry for entry in shelf if entry.task == TASK]
    if not entries:
        raise ApiError(404, "this server has no model of speech", "model", "model_not_found")
    if len(entries) > 1:
        names = ", ".join(entry.name for entry in entries)
        raise ApiError(422, f"there are several models of speech, so name one: {names}", "model")
    return entries[0]
