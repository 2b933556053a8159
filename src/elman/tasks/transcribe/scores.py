"""Scores of a transcriber beside those of its baseline."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from elman.lazy import Lazy
from elman.tasks.evaluation import Evaluation, Metric, Scores, binned_error, few_note, spaced
from elman.tasks.transcribe.text import Word, text_of

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")


def edits(answer: Sequence[Hashable], truth: Sequence[Hashable]) -> int:
    """Return the fewest insertions, deletions and substitutions that turn one sequence into the other."""
    numbers: dict[Hashable, int] = {}
    a, b = ([numbers.setdefault(one, len(numbers)) for one in side] for side in (answer, truth))
    places, labels = np.arange(len(b) + 1), np.asarray(b, np.int64)
    row = places
    for k, label in enumerate(a, 1):
        changed = np.concatenate(([k], np.minimum(row[1:] + 1, row[:-1] + (labels != label))))
        row = np.minimum.accumulate(changed - places) + places
    return int(row[-1])


def error_scores(answers: Sequence[str], truths: Sequence[str]) -> Scores:
    """Return the word error rate, the character error rate and the share of recordings that are right to the
    letter. Rates are edits over the true number, so they may exceed 1."""
    pairs = list(zip(answers, truths, strict=True))
    words = sum(edits(a.split(), b.split()) for a, b in pairs)
    characters = sum(edits(a, b) for a, b in pairs)
    return {
        "wer": words / max(sum(len(b.split()) for b in truths), 1),
        "cer": characters / max(sum(map(len, truths)), 1),
        "exact": sum(a == b for a, b in pairs) / max(len(pairs), 1),
    }


def right_words(words: Sequence[Word], truth: str) -> list[bool]:
    """Return for each word whether it is right, by the longest common blocks with what was said."""
    matcher = SequenceMatcher(None, [word.text for word in words], truth.split(), autojunk=False)
    right = [False] * len(words)
    for block in matcher.get_matching_blocks():
        right[block.a : block.a + block.size] = [True] * block.size
    return right


def all_right(answers: Sequence[Sequence[Word]], truths: Sequence[str]) -> list[bool]:
    """Return the same for the words of all recordings, one after another."""
    return [one for words, truth in zip(answers, truths, strict=True) for one in right_words(words, truth)]


def calibration_error(confidences: Sequence[float], right: Sequence[bool]) -> float | None:
    """Return the expected calibration error of words, None if there is none."""
    if not right:
        return None
    return binned_error(torch.tensor(confidences, dtype=torch.float64), torch.tensor(right))


def table_of(
    names: Sequence[str], truths: Sequence[str], answers: Sequence[Sequence[Word]]
) -> "pl.DataFrame":
    """Return a row for each recording: its `file`; `reference`, what was said; `text`, what the model heard;
    `words`, the number that was said; `errors`, the words to insert, delete or replace; and `confidence`, the
    least of a word that the model heard, null if there is none."""
    kept = spaced(len(names), "recordings")
    texts = [text_of(answers[k]) for k in kept]
    said = [truths[k].split() for k in kept]
    columns = {
        "file": [names[k] for k in kept],
        "reference": [truths[k] for k in kept],
        "text": texts,
        "words": [len(words) for words in said],
        "errors": [edits(text.split(), words) for text, words in zip(texts, said, strict=True)],
        "confidence": [min((word.confidence for word in answers[k]), default=None) for k in kept],
    }
    return pl.DataFrame(columns, schema_overrides={"confidence": pl.Float64})


@dataclass(frozen=True, kw_only=True, repr=False)
class SpeechEvaluation(Evaluation):
    """Word and character error rate, the share of recordings that are right to the letter, the calibration
    error of the words' confidences, and the seconds that network and search take for a second of speech."""

    recordings: int
    words: int
    seconds: float

    METRICS: ClassVar = {
        "wer": Metric("word error rate", ".2%"),
        "cer": Metric("character error rate", ".2%"),
        "exact": Metric("recordings all right", ".2%"),
        "calibration_error": Metric("calibration error", ".4f"),
        "real_time_factor": Metric("real-time factor", ".4f"),
        # of a model that was trained for phrases
        "false_alarms": Metric("false alarms an hour", ".1f"),
        "missed": Metric("missed at 1 false alarm", ".2%"),
    }

    def metrics(self) -> dict[str, Metric]:
        return dict(self.METRICS)

    def facts(self) -> list[str]:
        minutes = self.seconds / 60
        return [f"{self.recordings:,} recordings, {self.words:,} words, {minutes:.1f} minutes"]

    def worst(self) -> "pl.DataFrame":
        return self.frame().sort("errors", "words", descending=[True, False], maintain_order=True)

    @classmethod
    def of(
        cls,
        answers: Sequence[Sequence[Word]],
        truths: Sequence[str],
        baselines: dict[str, Sequence[str]],
        seconds: float,
        computing: float,
        notes: tuple[str, ...] = (),
    ) -> "SpeechEvaluation":
        """Score the words of recordings against what was said. `seconds` is how long they last in all, and
        `computing` how long the answers took."""
        texts = [text_of(words) for words in answers]
        scores = error_scores(texts, truths)
        confidences = [word.confidence for words in answers for word in words]
        scores["calibration_error"] = calibration_error(confidences, all_right(answers, truths))
        scores["real_time_factor"] = computing / seconds if seconds else None
        return cls(
            scores=scores,
            baselines={name: error_scores(texts, truths) for name, texts in baselines.items()},
            notes=(*notes, *few_note(len(truths), "recording")),
            recordings=len(truths),
            words=sum(len(truth.split()) for truth in truths),
            seconds=seconds,
        )
