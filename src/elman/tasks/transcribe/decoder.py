"""Log-probabilities → words: the network's likeliest labels, or a search with a language model of the
training texts, a closed list of phrases, or words that are expected."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman.decode.ctc import GreedyStream, Token
from elman.decode.ctc_beam import BeamStream
from elman.decode.ctc_odds import OddsStream
from elman.decode.hot_words import HotWords
from elman.decode.lexicon import Phrases, Words
from elman.decode.scorers import History, Scorer, Weighted
from elman.errors import UsageError
from elman.settings import is_number
from elman.tasks.generate.baseline import NGram
from elman.tasks.transcribe.confidence import CLOSED_EDGE, EDGE
from elman.tasks.transcribe.fusion import LanguageWords
from elman.tasks.transcribe.text import BLANK, SPACE, Alphabet, spoken
from elman.typed import typed

ORDER: Final = 3  # of the n-gram
END: Final = 0  # of a text, in the n-gram; word k of the lexicon is k + 1 there
MAX_WEIGHT: Final = 100.0
CERTAINTY: Final = 0.98  # share of the search's probability with which words are committed, live
DELAY_STEPS: Final = 40  # after which a label is committed at the latest, live
KEPT_STEPS: Final = 64  # live, to judge labels that are committed


Search = GreedyStream | BeamStream | OddsStream


@dataclass(frozen=True)
class Weights:
    """How much the language model counts, chosen on held-out recordings."""

    weight: float
    bonus: float  # of each word


class DecoderFile(TypedDict):
    weights: dict[str, float] | None
    fused_weights: NotRequired[dict[str, float] | None]  # since 0.2


FUSED: Final = Weights(0.4, 1.5)  # of a caller's language model, where none were chosen


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The words of the training texts, and the texts as their numbers."""

    words: tuple[str, ...]
    ids: NDArray[np.int64]  # (N,) the texts one after another, END before each and after the last

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Lexicon":
        words = tuple(sorted({word for text in texts for word in text.split()}))
        numbers = {word: k for k, word in enumerate(words, 1)}
        ids = [n for text in texts for n in (END, *(numbers[word] for word in text.split()))]
        return cls(words, np.array([*ids, END], np.int64))

    @classmethod
    def restore(cls, words: Any, ids: Tensor) -> "Lexicon":
        """Raises ValueError for words and numbers that don't fit each other."""
        listed = typed(tuple[str, ...], words, "words")
        valid = len(ids) > 0 and len(set(listed)) == len(listed)
        valid = valid and all(word and SPACE not in word and spoken(word) == word for word in listed)
        valid = valid and int(ids[0]) == int(ids[-1]) == END
        if not valid or not 0 <= int(ids.min()) <= int(ids.max()) <= len(listed):
            raise ValueError("the words of the training texts don't fit their numbers")
        return cls(listed, ids.numpy())

    @property
    def says_sentences(self) -> bool:
        """Whether texts have several words, so that a model of word order can help."""
        texts = int((self.ids == END).sum()) - 1
        return len(self.ids) - 1 - texts > 1.5 * texts

    def model(self, weights: Weights) -> Scorer:
        """Return a scorer of the words."""
        return Weighted(self._history, weights.weight, weights.bonus, range(1, len(self.words) + 1))

    @cached_property
    def _history(self) -> History:
        ngram = NGram.fit(self.ids, len(self.words) + 1, ORDER)
        return History(ngram.distribution, ORDER - 1, first=(END,), end=END)


@dataclass(frozen=True, eq=False)
class Decoder:
    """Makes words of log-probabilities.

    Attributes:
        lexicon: of the training texts.
        weights: of its language model; None: any text may come out, and no language model counts.
    """

    alphabet: Alphabet
    lexicon: Lexicon
    weights: Weights | None = None
    beam_width: int = 8
    scorers: tuple[Scorer, ...] = ()  # of the caller: phrases and expected words
    closed: bool = False  # whether phrases are all that can be said
    fused: LanguageWords | None = None  # the caller's language model, in place of the training texts'
    fused_weights: Weights | None = None  # of such a model, where one was given to the training

    @classmethod
    def restore(cls, alphabet: Alphabet, lexicon: Lexicon, file: Any, beam_width: int) -> "Decoder":
        """Return a saved decoder. Raises ValueError for weights or words that it could not search with."""
        saved = typed(DecoderFile, file, "decoder")
        chosen = typed(Weights | None, saved["weights"], "weights")
        fused = typed(Weights | None, saved.get("fused_weights"), "fused_weights")
        valid = chosen is None or (lexicon.words and all(map(alphabet.encode, lexicon.words)))
        for one in filter(None, (chosen, fused)):
            valid = valid and 0 <= one.weight <= MAX_WEIGHT and abs(one.bonus) <= MAX_WEIGHT
        if not valid:
            raise ValueError("the language model's weights or words are out of range")
        return cls(alphabet, lexicon, chosen, beam_width, fused_weights=fused)

    def to_json(self) -> dict[str, Any]:
        file: dict[str, Any] = {"weights": None if self.weights is None else asdict(self.weights)}
        return file if self.fused_weights is None else file | {"fused_weights": asdict(self.fused_weights)}

    @property
    def edge(self) -> float:
        """How near to 0 and 1 the confidences of its labels count."""
        return CLOSED_EDGE if self.closed else EDGE

    @property
    def searches(self) -> bool:
        return bool(self.scorers) or (self.weights is not None and not self.closed)

    def with_options(
        self,
        phrases: Any = None,
        hot_words: Any = None,
        language_model: Any = None,
        language_weight: float | None = None,
        boost: float = 1.5,
    ) -> "Decoder":
        """Return the decoder of a closed list of phrases, or with words and phrases that are expected; or
        with a language model of words in place of that of the training texts.

        Raises UsageError for one that holds nothing, or a character or word that the network can't write; and
        as `LanguageWords.of` does.
        """
        if language_model is not None:
            return self._fused(language_model, language_weight).with_options(phrases, hot_words, boost=boost)
        if language_weight is not None:
            raise UsageError("language_weight needs a language_model: give both")
        if phrases is hot_words is None:
            return self
        labels, separator = len(self.alphabet), self.alphabet.separator
        scorers = list[Scorer]()
        if phrases is not None:
            sequences = self.labels(phrases, "phrases")
            scorers.append(Phrases(sequences, labels, repeat=True, separator=separator))
        if hot_words is not None:
            sequences = self.labels(hot_words, "hot_words")
            scorers.append(HotWords(sequences, labels, boost=boost, separator=separator))
        return replace(self, scorers=tuple(scorers), closed=phrases is not None)

    def of_phrases(self, phrases: Sequence[str]) -> "Decoder":
        """Return the decoder of the phrases that a model was trained for. If each is one label, all that the
        network can write is phrases, and no search is needed."""
        single = all(len(self.alphabet.encode(phrase) or ()) == 1 for phrase in phrases)
        return replace(self, closed=True) if single else self.with_options(phrases)

    def _fused(self, model: Any, weight: float | None) -> "Decoder":
        weights = self.fused_weights or self.weights or FUSED
        if weight is not None:
            if not is_number(weight) or not 0 <= weight <= MAX_WEIGHT:
                raise UsageError(f"language_weight must be a number from 0 to {MAX_WEIGHT:g}, not {weight!r}")
            weights = Weights(weight, weights.bonus)
        fused = LanguageWords.of(model, self.alphabet)
        return replace(self, fused=fused, weights=weights, scorers=(), closed=False)

    def start(self, live: bool) -> Search:
        """Start a stream of log-probabilities; live, labels are committed before the end. Where phrases are
        all that can be said, labels are as sure as that they were said at all."""
        search = self._search(live)
        return OddsStream(search, KEPT_STEPS if live else None) if self.closed else search

    def _search(self, live: bool) -> GreedyStream | BeamStream:
        if not self.searches:
            return GreedyStream(blank=BLANK)
        scorers = list(self.scorers)
        if self.weights is not None and not self.closed:
            scorers.append(self._language_model)
        certainty, delay = (CERTAINTY, DELAY_STEPS) if live else (1.0, None)
        return BeamStream(
            blank=BLANK, beam_width=self.beam_width, scorers=scorers, certainty=certainty, delay=delay
        )

    def tokens(self, log_probs: Tensor) -> list[Token]:
        """Return the labels of a whole recording's log-probabilities (steps, labels)."""
        stream = self.start(live=False)
        return [*stream.push(log_probs), *ended(stream)]

    @cached_property
    def _language_model(self) -> Scorer:
        assert self.weights is not None
        alphabet, w = self.alphabet, self.weights
        if self.fused is None:
            words, model = self.lexicon.words, self.lexicon.model(w)
        else:
            words, model = self.fused.words, Weighted(self.fused, w.weight, w.bonus)
        if alphabet.unit == "word":
            numbers = {word: k for k, word in enumerate(words)}
            return Weighted(model, 1.0, ids=[-1, *(numbers.get(word, -1) for word in alphabet.labels)])
        spellings = [alphabet.known(word) for word in words]
        return Words(spellings, len(alphabet), model, separator=alphabet.separator)

    def labels(self, phrases: Any, name: str) -> list[list[int]]:
        """Return the labels of each phrase of the argument `name`. Raises UsageError for what is no list of
        phrases, and for one that the network can't write."""
        listed = [phrases] if isinstance(phrases, str) else list(phrases)
        if not listed or not all(isinstance(one, str) and spoken(one) for one in listed):
            raise UsageError(f"{name} must be a list of phrases, each with a word at least")
        sequences = list[list[int]]()
        for phrase in dict.fromkeys(map(spoken, listed)):
            ids = self.alphabet.encode(phrase)
            if ids is None:
                parts = phrase.split() if self.alphabet.unit == "word" else phrase
                strange = next(part for part in parts if self.alphabet.encode(part) is None)
                what = f"the {self.alphabet.symbol} {strange!r}"
                raise UsageError(f"{name}: {phrase!r} has {what}, which this model has never heard")
            sequences.append(ids)
        return sequences


def ended(stream: Search) -> list[Token]:
    """End an utterance and return the rest of its tokens."""
    return stream.finish()[0].tokens if isinstance(stream, BeamStream) else stream.finish()
