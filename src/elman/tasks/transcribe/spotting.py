"""Keyword spotting: the phrases of a model in any speech, with few false alarms.

A threshold of the confidence follows from the false alarms in speech that holds none of the phrases.
"""

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TypedDict

from elman.errors import UsageError
from elman.settings import is_number
from elman.tasks.pool import Steps, stepwise
from elman.tasks.transcribe.stream import TranscriberStream
from elman.tasks.transcribe.text import SPACE, Word, text_of
from elman.typed import typed

MAX_ALARMS: Final = 1_000  # kept, the most confident ones
MAX_PHRASES: Final = 1_000
MAX_HOURS: Final = 1_000.0
USUAL_RATE: Final = 1.0  # false alarms an hour, for the scores
EDGE: Final = 1e-15  # confidences lie between this and 1 less this


class SpottingFile(TypedDict):
    phrases: list[str]
    hours: float
    alarms: list[float]


@dataclass(frozen=True)
class Spotting:
    """The phrases of a model, and how often it hears them where they are not.

    Attributes:
        phrases: as they are answered.
        hours: of other speech that it has listened to.
        alarms: confidences of the phrases that it heard there, falling.
    """

    phrases: tuple[str, ...]
    hours: float = 0.0
    alarms: tuple[float, ...] = ()

    @classmethod
    def measure(cls, phrases: Sequence[str], answers: Sequence[Sequence[Word]], hours: float) -> "Spotting":
        """Count false alarms in the words heard in recordings of other speech, which last so many hours."""
        spotter = Spotter(phrases)
        heard = [word.confidence for words in answers for word in spotter.push(words, complete=True)]
        return cls(tuple(phrases), hours, tuple(sorted(heard, reverse=True)[:MAX_ALARMS]))

    def threshold(self, false_alarms: Any) -> float:
        """Return the confidence above which there were so many false alarms an hour, or fewer. Raises
        UsageError for what is no number above 0."""
        if not is_number(false_alarms) or not 0 < false_alarms <= 1e6:
            raise UsageError(f"false_alarms must be a number per hour above 0, not {false_alarms!r:.100}")
        allowed = int(false_alarms * self.hours)
        if allowed < len(self.alarms):
            return self.alarms[allowed]
        # of more alarms than are kept, the least sure one kept is the lowest threshold that is known
        return self.alarms[-1] if len(self.alarms) == MAX_ALARMS else 0.0

    def missed(self, answers: Sequence[Sequence[Word]], truths: Sequence[str], threshold: float) -> float:
        """Return the share of recordings of one phrase in which it is not heard above a threshold."""
        spotter, missed = Spotter(self.phrases, threshold), 0
        for words, truth in zip(answers, truths, strict=True):
            missed += truth not in [word.text for word in spotter.push(words, complete=True)]
        return missed / max(len(truths), 1)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> "Spotting":
        """Return what `to_json` gave. Raises ValueError for anything else."""
        saved = typed(SpottingFile, value, "spotting")
        phrases, alarms, hours = saved["phrases"], saved["alarms"], saved["hours"]
        valid = 0 < len(phrases) <= MAX_PHRASES and len(set(phrases)) == len(phrases)
        valid = valid and len(alarms) <= MAX_ALARMS and alarms == sorted(alarms, reverse=True)
        if not valid or not 0 <= hours <= MAX_HOURS or not all(0 <= alarm <= 1 for alarm in alarms):
            raise ValueError("the phrases to spot or their false alarms are out of range")
        return cls(tuple(phrases), hours, tuple(alarms))


class Spotter:
    """Makes phrases of words that arrive."""

    def __init__(self, phrases: Sequence[str], threshold: float = -1.0) -> None:
        """`threshold`: a confidence that a phrase must exceed."""
        self._phrases = sorted(tuple(phrase.split()) for phrase in phrases)
        self._threshold = threshold
        self._words: list[Word] = []

    @property
    def pending(self) -> str:
        """Words that may begin a phrase."""
        return text_of(self._words)

    def push(self, words: Sequence[Word], complete: bool = False) -> list[Word]:
        """Return the phrases that are complete, each as one `Word`; the longest where there are several.
        Words that make no phrase are dropped. `complete`: no word follows."""
        self._words += words
        heard = list[Word]()
        while self._words:
            count, waits = self._longest()
            if waits and not complete:
                break
            phrase, self._words = self._words[:count], self._words[max(count, 1) :]
            if phrase and (one := joined(phrase)).confidence > self._threshold:
                heard.append(one)
        return heard

    def _longest(self) -> tuple[int, bool]:
        """Return how many words the longest phrase at the start has, and whether a longer one may follow."""
        said = tuple(word.text for word in self._words)
        longest, waits = 0, False
        for phrase in self._phrases[bisect.bisect_left(self._phrases, said[:1]) :]:
            if phrase[0] != said[0]:
                break
            if said[: len(phrase)] == phrase:
                longest = max(longest, len(phrase))
            waits = waits or (len(phrase) > len(said) and phrase[: len(said)] == said)
        return longest, waits


def joined(phrase: Sequence[Word]) -> Word:
    """Return the words of a phrase as one, as sure as these are on average: the mean of their log odds, so
    that long phrases are no less sure than short ones."""
    sure = [min(max(word.confidence, EDGE), 1 - EDGE) for word in phrase]
    odds = math.exp(statistics.fmean(math.log(p / (1 - p)) for p in sure))
    return Word(SPACE.join(word.text for word in phrase), phrase[0].start, phrase[-1].end, odds / (1 + odds))


class SpottingStream:
    """Live speech of which only phrases are answered. Made by `Transcriber.stream`."""

    def __init__(self, stream: TranscriberStream, spotter: Spotter) -> None:
        self.network, self._stream, self._spotter = stream.network, stream, spotter
        self._heard: list[Word] = []  # in this utterance

    def reset(self) -> None:
        """Begin another recording, and forget what was not finished."""
        self._stream.reset()
        self._spotter.push([], complete=True)
        self._heard = []

    @property
    def tentative(self) -> str:
        """What has been said beyond the phrases that were returned; it may change, or be none of them."""
        return SPACE.join(filter(None, [self._spotter.pending, self._stream.tentative]))

    def result(self) -> str:
        """Return the phrases since the last pause."""
        return text_of(self._heard)

    @property
    def utterances(self) -> int:
        """How many utterances have ended."""
        return self._stream.utterances

    def to_bytes(self) -> bytes:
        """Raise UsageError: speech has too many states, of the resampler and the search among them."""
        raise UsageError("a stream of speech can't be saved: finish the recording and begin another")

    def from_bytes(self, content: bytes) -> None:
        """Raise UsageError as `to_bytes` does."""
        self.to_bytes()

    @stepwise
    def push(self, samples: Any) -> Steps[list[Word]]:
        """Read samples as `TranscriberStream.push` does; return the phrases that are certain now, each as one
        word with its seconds from the start."""
        before = self.utterances
        words = yield from self._stream.pushing(samples)
        if self.utterances == before:
            return self._phrases(words)
        # the next utterance may have begun, whose last words may go on
        begun = [word for word in words if word in self._stream.words]
        return [*self._last_phrases(words[: len(words) - len(begun)]), *self._phrases(begun)]

    @stepwise
    def finish(self) -> Steps[list[Word]]:
        """End the recording: return its last phrases."""
        return self._last_phrases((yield from self._stream.finishing()))

    def _phrases(self, words: Sequence[Word]) -> list[Word]:
        heard = self._spotter.push(words)
        self._heard += heard
        return heard

    def _last_phrases(self, words: Sequence[Word]) -> list[Word]:
        """Return the phrases at the end of an utterance."""
        self._heard = []
        return self._spotter.push(words, complete=True)
