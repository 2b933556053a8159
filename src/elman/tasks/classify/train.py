"""Training: the networks and the linear model, and then, on held-out texts, their blend and its scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.batches import text_hashes
from elman.data.text.tokenizers import SubwordTokenizer, Tokenizer, WordTokenizer
from elman.errors import TrainingError
from elman.lens.watching import Watcher
from elman.ranks import is_first
from elman.tasks.classify.blend import Blend, fit_blend
from elman.tasks.classify.evidence import Tables, learn_evidence, occurring, parts_of
from elman.tasks.classify.examples import (
    Corpus,
    Encoded,
    Examples,
    Fold,
    contradiction_note,
    held_out_rows,
    scoring_notes,
    start_token,
)
from elman.tasks.classify.labels import BOTH, Labels
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.linear_fit import fit_linear
from elman.tasks.classify.network import Ensemble
from elman.tasks.classify.pretrained import Start
from elman.tasks.classify.problem import LabelProblem, class_weights, held_out_log_probabilities
from elman.tasks.classify.scores import LabelEvaluation, LabelSetEvaluation, evaluation_of
from elman.tasks.classify.settings import Settings, defaults
from elman.tasks.evaluation import overlap_note, sample_rows, training_notes
from elman.tasks.settings import split_choices
from elman.tasks.task import network_phrase
from elman.training.budget import Trial, chosen_before, run_in_time, smaller
from elman.training.loop import Outcome, Run
from elman.training.plan import Plan
from elman.training.progress import watch
from elman.training.stderr import say

INTERRUPTED_TEXTS: Final = 200  # classified for the scores of an interrupted training


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of training; `run` keeps it on disk."""

    network: Ensemble
    settings: Settings
    linear: LinearModel
    blend: Blend
    tokenizer: Tokenizer
    labels: Labels
    validation: LabelEvaluation | LabelSetEvaluation
    failure: TrainingError | None
    train_hashes: Tensor
    run: Run


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is learned from: the texts of a corpus, encoded and divided.

    Attributes:
        choices: the caller's settings, from which those of each trial follow.
        settings, plan: those of the largest trial.
        learned: the texts that some network learns from.
        weights: of each answer: what a text of it counts.
        start: the language model from which the networks start, if they do.
    """

    corpus: Corpus
    choices: Mapping[str, Any]
    settings: Settings
    plan: Plan
    folds: list[Fold]
    learned: Examples
    tokenizer: Tokenizer
    encoded: Encoded
    weights: Tensor
    start: Start | None

    @classmethod
    def of(cls, corpus: Corpus, choices: Mapping[str, Any], start: Start | None) -> "TrainingData":
        settings, plan = split_choices(dict(choices), Settings, defaults(corpus.rows, dict(choices)))
        folds = corpus.folds(settings.networks, plan.seed)
        learned = corpus.examples.take(sorted(set().union(*(fold.train for fold in folds))))
        if start is not None:
            start.check(corpus)
        tokenizer = make_tokenizer(settings, learned.texts) if start is None else start.tokenizer
        balanced = settings.class_weights == "balanced"
        weights = class_weights(learned.labels, len(corpus.labels.classes), balanced)
        encoded = corpus.examples.encoded(tokenizer)
        return cls(corpus, choices, settings, plan, folds, learned, tokenizer, encoded, weights, start)

    @property
    def sizes(self) -> tuple[int, int]:
        """The numbers of token ids and of classes."""
        return start_token(self.tokenizer) + 1, len(self.corpus.labels.classes)

    @cached_property
    def parts(self) -> Tensor:
        return parts_of(self.corpus.examples.texts)

    @cached_property
    def evidence(self) -> tuple[Tensor | None, Sequence[Tables | None]]:
        """The phrases that the networks read, and the evidence of each one's texts."""
        if not self.settings.phrase:
            return None, [None] * len(self.folds)
        return learn_evidence(self.encoded, self.folds, self.parts, *self.sizes, self.settings.phrase)

    def linear(self, progress: bool) -> tuple[LinearModel, Tensor]:
        """Return the linear model, and its log-probabilities of the held-out texts."""
        if progress and is_first():
            say("linear model: choosing it by cross-validation")
        examples, refit = self.corpus.examples, self.corpus.valid is None
        return fit_linear(examples.texts, examples.labels, self.weights, self.folds, refit=refit)

    def trial(self, size: Mapping[str, Any]) -> Trial:
        """Return the training of the networks, untrained, of some size."""
        choices = dict(self.choices) | dict(size)
        settings, plan = split_choices(choices, Settings, defaults(self.corpus.rows, choices))
        torch.manual_seed(plan.seed)
        labels = self.corpus.labels
        phrases, tables = self.evidence
        network = Ensemble(settings, *self.sizes, labels.several, phrases)
        for member, fold, own in zip(network.members, self.folds, tables, strict=True):
            if self.start is not None:
                self.start.begin(member)
            texts = self.encoded.take(fold.train).texts
            member.begin_training(occurring(texts, self.sizes[0]), plan.batch_size, own)
        score = "macro_f1" if settings.class_weights == "balanced" else "accuracy"
        score = "micro_f1" if labels.several else score
        parts = self.parts if settings.phrase else None
        problem = LabelProblem(
            self.encoded, self.folds, self.weights, plan, settings.crop, score, parts=parts
        )
        return Trial(network, problem, plan, settings)


def train(
    corpus: Corpus,
    choices: Mapping[str, Any],
    started: float,
    *,
    start: Start | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on a corpus; `choices` are fields of `Settings` and `Plan`, whose minutes count since `started`,
    in seconds of `time.monotonic`."""
    data = TrainingData.of(corpus, choices, start)
    minutes = data.plan.minutes
    chosen_before(minutes, folder, resume)  # refuses what can't be, before the linear model takes time
    # in minutes, the network gets the time that is left
    linear_first = None if minutes is None else data.linear(progress)
    sizes = smaller({"hidden": data.settings.hidden}, dict(choices))
    identity = {name: corpus.source[name] for name in ("fingerprint", "valid")}
    identity |= {"separator": corpus.labels.separator}
    identity |= {} if start is None else {"pretrained": start.fingerprint}
    # made before the linear model, where there is time: it refuses a checkpoint that doesn't fit
    run, (network, _, plan, settings) = run_in_time(
        data.trial,
        minutes,
        started,
        sizes,
        identity,
        least=1,  # the linear model answers, too
        folder=folder,
        resume=resume,
        progress=progress,
        inspector=Watcher("words"),
    )
    linear, plain = linear_first or data.linear(progress)
    outcome = watch(run, progress, "network", network_phrase(settings))
    run.require_model()
    for member in network.members:
        member.end_training()
    network.eval().cpu()
    seen = corpus.examples if corpus.valid is None else data.learned  # by the linear model, at least
    train_hashes = torch.tensor(sorted(set(text_hashes(seen.texts))))
    notes = training_notes(outcome, plan, choices)
    blend, labels, scores = _scored(data, network, plain, outcome, notes, train_hashes)
    tokenizer, failure = data.tokenizer, outcome.error
    return Trained(network, settings, linear, blend, tokenizer, labels, scores, failure, train_hashes, run)


def _scored(
    data: TrainingData,
    network: Ensemble,
    plain: Tensor,
    outcome: Outcome,
    notes: tuple[str, ...],
    train_hashes: Tensor,
) -> tuple[Blend, Labels, LabelEvaluation | LabelSetEvaluation]:
    """Return the blend with `plain`, the linear model's log-probabilities of the held-out texts; the labels
    with their thresholds; and the scores, with notes on the training among theirs."""
    corpus, rows = data.corpus, held_out_rows(data.folds)
    if outcome.signal is not None:
        some, note = sample_rows(len(rows), INTERRUPTED_TEXTS, "text")
        rows, plain, notes = [rows[i] for i in some], plain[some], notes + note
    held_out = corpus.examples.take(rows)
    notes = scoring_notes(held_out, corpus.labels) + contradiction_note(data.learned) + notes
    if corpus.valid is not None:
        notes = overlap_note(text_hashes(held_out.texts), train_hashes, "text") + notes
    ours = held_out_log_probabilities(network, data.encoded.texts, data.folds, rows)
    blend = fit_blend(ours, plain, held_out.labels, data.weights[held_out.labels])
    answer, parts = blend.probabilities(ours, plain)
    labels = corpus.labels.with_thresholds({BOTH: answer, **parts}, held_out.labels)
    return blend, labels, evaluation_of(answer, parts, held_out.labels, labels, notes)


def make_tokenizer(settings: Settings, texts: list[str]) -> Tokenizer:
    """Build the vocabulary of `texts`. Raises DataError if no word occurs twice."""
    if settings.tokenizer == "subword":
        return SubwordTokenizer.train(texts, settings.vocabulary)
    return WordTokenizer.build(texts, settings.vocabulary)
