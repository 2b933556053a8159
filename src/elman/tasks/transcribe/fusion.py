"""A recurrent language model beside the network in the search: shallow fusion (Gulcehre et al., "On using
monolingual corpora in neural machine translation", arXiv:1503.03535), word by word."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from elman import artifact
from elman.data.text.tokenizers import UNKNOWN
from elman.data.text.vocabulary import END
from elman.decode.loop import Model
from elman.decode.scorers import Scorer, Stepped
from elman.errors import UsageError
from elman.nn.states import join_rows, select_rows
from elman.tasks.generate.language_model import LanguageModel
from elman.tasks.generate.network import IncrementalDecoder
from elman.tasks.transcribe.text import Alphabet, spoken

KINDS: Final = ("word", "space")  # of tokens that are words
LINE_END: Final = "\n"


class Reached(NamedTuple):
    state: Any  # of the language model
    begun: bool  # whether a word has been read


@dataclass(frozen=True, eq=False)
class LanguageWords:
    """A `Scorer` of the words of a language model that a transcriber can write.

    Attributes:
        words: as they are said.
        ids: (words,) the token of each in the language model.
        first_ids: (words,) likewise, where it begins a line.
        scorer: of the language model's tokens.
    """

    words: tuple[str, ...]
    ids: NDArray[np.int64]
    first_ids: NDArray[np.int64]
    scorer: Scorer

    @classmethod
    def of(cls, model: Any, alphabet: Alphabet) -> "LanguageWords":
        """Take a `LanguageModel`, or the folder of one. Raises UsageError for anything else, for one whose
        tokens are no words, and for one that shares no word with the transcriber; ArtifactError for a folder
        that can't be loaded."""
        model = language_model_of(model)
        vocabulary = model.vocabulary
        if vocabulary.kind not in KINDS:
            advice = "train one with tokenizer='word' or 'space'"
            raise UsageError(f"the language model's tokens are {vocabulary.kind}s, not words: {advice}")
        inside, first = dict[str, int](), dict[str, int]()
        for number in range(len(vocabulary)):
            token = vocabulary.decode([number])
            word = spoken(token)
            if word and word == token.strip().lower():
                (inside if token.startswith(" ") else first).setdefault(word, number)
        words = tuple(word for word in first | inside if alphabet.encode(word))
        if not words:
            raise UsageError("the language model has no word that this transcriber can write")
        end = int(vocabulary.encode(LINE_END)[0])
        end = END if end == UNKNOWN else end
        ids = np.array([(first | inside)[word] for word in words])
        first_ids = np.array([(inside | first)[word] for word in words])
        return cls(words, ids, first_ids, _stepped(model, end))

    def start(self) -> tuple[NDArray[np.float64], Reached]:
        scores, state = self.scorer.start()
        return scores[self.first_ids], Reached(state, False)

    def step(
        self, states: Sequence[Reached], tokens: Sequence[int]
    ) -> tuple[NDArray[np.float64], list[Reached]]:
        pairs = zip(states, tokens, strict=True)
        own = [int((self.ids if state.begun else self.first_ids)[token]) for state, token in pairs]
        scores, after = self.scorer.step([state.state for state in states], own)
        return scores[:, self.ids], [Reached(state, True) for state in after]

    def end(self, state: Reached) -> float:
        return self.scorer.end(state.state)


def language_model_of(model: Any) -> LanguageModel:
    """Return a language model, or that in a folder. Raises as `LanguageWords.of` does."""
    if isinstance(model, str | os.PathLike):
        saved = artifact.load(Path(model))
        if saved.task != LanguageModel.task:
            raise UsageError(f"{model} is a model for {saved.task!r:.60}, not a language model")
        model = LanguageModel.from_artifact(saved)
    if not isinstance(model, LanguageModel):
        raise UsageError(f"language_model must be one or the folder of one, not {type(model).__name__}")
    return model


def _stepped(model: LanguageModel, end: int) -> Scorer:
    """Return a scorer of a language model's tokens, in lines of text."""
    decoder = IncrementalDecoder(model.network)

    def step(tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        features, after = decoder.step(tokens, state)
        return decoder.logits(features), after

    return Stepped(Model(step, select_rows), end, None, join_rows, end=end)
