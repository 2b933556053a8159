"""Training a translator, and its scores on held-out pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.batches import text_hashes
from elman.data.text.pairs import Pairs
from elman.errors import TrainingError, counted
from elman.lens.watching import Watcher
from elman.tasks.evaluation import few_note, overlap_note, sample_rows, training_notes
from elman.tasks.settings import split_choices
from elman.tasks.task import network_phrase
from elman.tasks.translate.baseline import WordDictionary
from elman.tasks.translate.codec import Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.problem import (
    MAX_HELD_OUT_PAIRS,
    MAX_SCORED_TOKENS,
    MAX_TRAIN_TOKENS,
    EncodedPair,
    TranslationProblem,
    at_most,
    encode_pairs,
    evenly_spaced,
    split_pairs,
    trainable,
    without_long_texts,
)
from elman.tasks.translate.scores import TranslationEvaluation, corpus_scores, evaluate
from elman.tasks.translate.search import translate
from elman.tasks.translate.settings import Settings, defaults
from elman.training.budget import Trial, run_in_time, smaller
from elman.training.loop import Outcome, Run
from elman.training.plan import Plan
from elman.training.progress import watch

VALIDATION_PAIRS: Final = 500  # translated after each epoch
INTERRUPTED_PAIRS: Final = 20  # translated for the scores of an interrupted training


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of training; `run` keeps it on disk."""

    network: EncoderDecoder
    settings: Settings
    validation: TranslationEvaluation
    failure: TrainingError | None
    baseline: WordDictionary
    codec: Codec
    train_hashes: Tensor
    run: Run


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is learned from: pairs of sentences, divided and encoded.

    Attributes:
        pairs: to train on, of which `short` leaves out the longest texts.
        held_out: at most MAX_HELD_OUT_PAIRS.
        encoded, encoded_held_out: those that the network can take.
    """

    choices: Mapping[str, Any]  # of the caller
    pairs: Pairs
    short: Pairs
    held_out: Pairs
    codec: Codec
    encoded: list[EncodedPair]
    encoded_held_out: list[EncodedPair]

    @classmethod
    def of(cls, whole: Pairs, valid: Pairs | None, choices: Mapping[str, Any]) -> "TrainingData":
        settings, plan = split_choices(dict(choices), Settings)
        pairs, held_out = (whole, valid) if valid is not None else split_pairs(whole, plan.seed)
        short = without_long_texts(pairs)
        codec = Codec.fit(short.source, short.target, settings.vocabulary, settings.shared_vocabulary)
        encoded = trainable(encode_pairs(codec, short), whole.name)
        held_out = evenly_spaced(held_out, MAX_HELD_OUT_PAIRS)
        encoded_held_out = at_most(encode_pairs(codec, held_out), MAX_SCORED_TOKENS)
        return cls(choices, pairs, short, held_out, codec, encoded, encoded_held_out)

    def trial(self, size: Mapping[str, Any]) -> Trial:
        """Return the training of a network, untrained, of some size."""
        choices = dict(self.choices) | dict(size)
        settings, plan = split_choices(choices, Settings, defaults(len(self.short), choices))
        smoothing, chrf = settings.label_smoothing, self._chrf_scorer()
        problem = TranslationProblem(self.encoded, self.encoded_held_out, smoothing, plan, chrf)
        torch.manual_seed(plan.seed)
        return Trial(EncoderDecoder(settings, *self.codec.sizes), problem, plan, settings)

    def _chrf_scorer(self) -> Any:
        translated = evenly_spaced(self.held_out, VALIDATION_PAIRS)

        def chrf(network: EncoderDecoder) -> float:
            # greedy, which is faster than the beam and chooses the same model
            best = translate(network, self.codec, translated.source, beam_width=1)
            return corpus_scores([first.text for first, *_ in best], translated.target)[0]["chrf"]

        return chrf


def train(
    whole: Pairs,
    valid: Pairs | None,
    choices: Mapping[str, Any],
    started: float,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on pairs; `choices` are fields of `Settings` and `Plan`, whose minutes count since `started`, in
    seconds of `time.monotonic`."""
    asked, plan = split_choices(dict(choices), Settings)
    data = TrainingData.of(whole, valid, choices)
    # made before the baseline: it refuses a checkpoint that doesn't fit
    run, (network, _, plan, settings) = run_in_time(
        data.trial,
        plan.minutes,
        started,
        smaller({"hidden": asked.hidden, "embedding": asked.embedding}, choices),
        {"data": whole.fingerprint, "valid": None if valid is None else valid.fingerprint},
        folder=folder,
        resume=resume,
        progress=progress,
        inspector=Watcher("tokens"),
    )
    baseline = WordDictionary.fit(data.short.source, data.short.target)
    outcome = watch(run, progress, "network", network_phrase(settings))
    run.require_model()
    network.eval()
    train_hashes = torch.tensor(sorted(set(text_hashes(data.short.source))))
    scores = _scored(data, network, baseline, settings, outcome, plan, train_hashes)
    # on the CPU single sentences are fastest
    return Trained(network.cpu(), settings, scores, outcome.error, baseline, data.codec, train_hashes, run)


def _scored(
    data: TrainingData,
    network: EncoderDecoder,
    baseline: WordDictionary,
    settings: Settings,
    outcome: Outcome,
    plan: Plan,
    train_hashes: Tensor,
) -> TranslationEvaluation:
    """Return the scores on held-out pairs, of which an interrupted training translates a few."""
    held_out, notes = data.held_out, training_notes(outcome, plan, data.choices)
    if left := len(data.pairs) - len(data.encoded):
        number, verb = counted(left, "pair"), "was" if left == 1 else "were"
        notes += (f"{number} of more than {MAX_TRAIN_TOKENS} tokens {verb} not trained on",)
    hashes = text_hashes(held_out.source)
    notes += overlap_note(hashes, train_hashes, "sentence") + few_note(len(set(hashes)), "sentence")
    if outcome.signal is not None:
        rows, note = sample_rows(len(held_out), INTERRUPTED_PAIRS, "pair")
        held_out, notes = held_out.take(rows), notes + note
    return evaluate(network, data.codec, baseline, settings, held_out, notes)
