"""Speech that is transcribed as it arrives, in constant memory."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from elman.data.audio.normalise import Normaliser, NormaliserStream
from elman.data.audio.voice import VoiceActivity
from elman.decode.ctc import Scores, Token
from elman.errors import UsageError
from elman.nn.rows import Array
from elman.settings import is_number
from elman.tasks.pool import Steps, stepwise
from elman.tasks.transcribe.confidence import Confidence
from elman.tasks.transcribe.decoder import Decoder, ended
from elman.tasks.transcribe.examples import EDGE_FRAMES
from elman.tasks.transcribe.features import Features
from elman.tasks.transcribe.recogniser import VOICE_MARGIN, as_word, has_voice
from elman.tasks.transcribe.steps import Front, FrontStream, Normal, TranscriberSteps
from elman.tasks.transcribe.text import BLANK, SPACE, Word, text_of

CHUNK_STEPS: Final = 64  # read at once; where the network begins anew, at most so many are read twice
# Without a label, after which the network begins anew. Sooner it might be in a word, whose label comes late.
EMPTY_SECONDS: Final = 5.0
MAX_PAUSE: Final = 10.0
LONGEST: Final = 120.0


@dataclass(frozen=True)
class Endpoint:
    """Where utterances end.

    Attributes:
        pause: seconds without a label after the last, that end an utterance.
        longest: seconds after which the next short gap between two words ends it.
    """

    pause: float = 0.5
    longest: float = 20.0

    def __post_init__(self) -> None:
        for name, most in (("pause", MAX_PAUSE), ("longest", LONGEST)):
            value = getattr(self, name)
            if not is_number(value) or not 0.1 <= value <= most:
                raise UsageError(f"{name} must be a number of seconds from 0.1 to {most:g}, not {value!r}")


class TranscriberStream:
    """Speech that arrives in pieces. Made by `Transcriber.stream`.

    A word that `push` has returned is never taken back. `tentative` is what may still change.
    """

    def __init__(
        self,
        network: TranscriberSteps,
        features: Features,
        normaliser: Normaliser,
        decoder: Decoder,
        confidence: Confidence,
        rate: int | None,
        endpoint: Endpoint,
        voice: VoiceActivity | None = None,
    ) -> None:
        self.network, self._of, self._normaliser = network, features, normaliser
        self._decoder, self._confidence, self._endpoint = decoder, confidence, endpoint
        self._rate, self._voice = rate, voice
        self._step_seconds = network.stride * features.seconds
        self._pause_steps = max(round(endpoint.pause / self._step_seconds), 1)
        self._empty_steps = round(EMPTY_SECONDS / self._step_seconds)
        self._most_steps = round(endpoint.longest / self._step_seconds)
        self.reset()

    def reset(self) -> None:
        """Begin another recording, and forget what was not finished."""
        self._pieces = self._of.pieces(self._rate, self._voice)
        self._last = np.zeros((1, self._of.width), np.float32)  # frame so far
        self._normal = NormaliserStream(self._normaliser)
        self._front = FrontStream(self.network.convolutions)
        self._search = self._decoder.start(live=True)
        self._unvoiced: list[Word] = []  # whose voice is not known yet
        if self._voice is not None:
            self._voice.reset()
        self._tokens: list[Token] = []  # committed ones of a word that may go on
        self._utterances, self._begun = 0, False
        self._state: Any = None
        self._silent = 0  # steps since the last label
        self._begin()

    def _begin(self) -> None:
        """Begin an utterance."""
        self._steps, self._spoken = 0, False
        self._said: list[Word] = []

    def to_bytes(self) -> bytes:
        """Raise UsageError: speech has too many states, of the resampler and the search among them."""
        raise UsageError("a stream of speech can't be saved: finish the recording and begin another")

    def from_bytes(self, content: bytes) -> None:
        """Raise UsageError as `to_bytes` does."""
        self.to_bytes()

    @property
    def tentative(self) -> str:
        """What has been said beyond the words that were returned; it may change."""
        alphabet = self._decoder.alphabet
        return alphabet.decode([token.token for token in [*self._tokens, *self._search.tentative()]])

    def result(self) -> str:
        """Return what has been said since the last pause, `tentative` with it."""
        return SPACE.join(filter(None, [text_of(self._said), self.tentative]))

    @property
    def words(self) -> tuple[Word, ...]:
        """The words since the last pause that are certain."""
        return tuple(self._said)

    @property
    def utterances(self) -> int:
        """How many utterances have ended."""
        return self._utterances

    @stepwise
    def push(self, samples: Any) -> Steps[list[Word]]:
        """Read samples as in `to_samples`, or frames as in `to_frames`; return the words that are certain
        now, with their seconds from the start. Raises UsageError and DataError as these do; the stream stays
        as it was."""
        return (yield from self.pushing(samples))

    def pushing(self, samples: Any) -> Steps[list[Word]]:
        """Do what `push` does, as requests to the network."""
        words = yield from self._read((yield from self._pieces.push(samples)), end=False)
        return words if self._voice is None else self._voiced(words, self._voice.seconds)

    @stepwise
    def finish(self) -> Steps[list[Word]]:
        """End the recording: return its last words. Afterwards, another may be pushed."""
        return (yield from self.finishing())

    def finishing(self) -> Steps[list[Word]]:
        """Do what `finish` does, as requests to the network."""
        return (yield from self._ended((yield from self._pieces.finish())))

    @stepwise
    def read_features(self, features: Tensor) -> Steps[list[Word]]:
        """Return the words of the rest of a recording, or of a whole one, given its features (frames,
        features)."""
        return (yield from self._ended(features.numpy()))

    def _ended(self, features: Array) -> Steps[list[Word]]:
        words = yield from self._read(features, end=True)
        words += self._end_utterance()
        if self._voice is not None:
            self._voice.finish()
            words = self._voiced(words, math.inf)
        self.reset()
        return words

    def _voiced(self, words: list[Word], known: float) -> list[Word]:
        """Return the words so far that a voice has said; those whose voice isn't known yet have to wait."""
        assert self._voice is not None
        waiting = [*self._unvoiced, *words]
        ready = [word for word in waiting if word.end + VOICE_MARGIN <= known]
        self._unvoiced = waiting[len(ready) :]
        heard = [has_voice(word, self._voice) for word in ready]
        self._said = [word for word in self._said if word not in ready or heard[ready.index(word)]]
        return list(itertools.compress(ready, heard))

    def _read(self, features: Array, end: bool) -> Steps[list[Word]]:
        if not len(features) and not (end and self._begun):
            return []
        if len(features):
            self._last = features[-1:].copy()
        if end or not self._begun:
            before = [] if self._begun else [self._edge(features[:1])]
            features = np.concatenate([*before, features, *([self._edge(self._last)] if end else [])])
        self._begun, words = True, list[Word]()
        x = yield from self._front.push((yield Normal(self._normal, features)), end)
        while len(x):
            scores, state = yield Front(x[:CHUNK_STEPS], self._state)
            empty = self._until_empty(scores.labels)
            used = len(scores.labels) if empty is None else empty
            words += self._heard(scores.part(slice(used)))
            self._state, x = (state if empty is None else None), x[used:]
        return words

    def _edge(self, frame: Array) -> Array:
        edge: Array = self._of.edge(torch.from_numpy(frame)).numpy()
        return edge

    def _until_empty(self, labels: Sequence[int]) -> int | None:
        """Return after how many steps the network begins anew, None if not among these."""
        silent = self._silent
        for k, label in enumerate(labels, 1):
            silent = silent + 1 if label == BLANK else 0
            if silent and silent % self._empty_steps == 0:
                return k
        return None

    def _heard(self, scores: Scores) -> list[Word]:
        """Return the words that steps make certain; an utterance may end among them."""
        words, start = list[Word](), 0
        for k, label in enumerate(scores.labels, 1):
            self._steps += 1
            self._silent = self._silent + 1 if label == BLANK else 0
            self._spoken = self._spoken or label != BLANK
            too_long = self._steps > self._most_steps
            limit = 1 + self._pause_steps // 5 if too_long else self._pause_steps
            if self._spoken and self._silent >= limit:
                words += self._words(self._search.push(scores.part(slice(start, k)))) + self._end_utterance()
                start = k
        return words + self._words(self._search.push(scores.part(slice(start, None))))

    def _end_utterance(self) -> list[Word]:
        words = self._words(ended(self._search), complete=True)
        self._utterances += self._spoken
        self._begin()
        return words

    def _words(self, tokens: list[Token], complete: bool = False) -> list[Word]:
        words, rest = self._decoder.alphabet.split([*self._tokens, *tokens])
        self._tokens = [] if complete else rest
        if complete and rest:
            words = [*words, rest]
        step, start = self._step_seconds, -EDGE_FRAMES * self._of.seconds
        said = [as_word(tokens, self._decoder, self._confidence, step, start) for tokens in words]
        self._said += said
        return said
