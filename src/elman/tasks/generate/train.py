"""Training a language model, and its scores and its cache on the held-out text."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from elman.data.text.corpus import Corpus
from elman.errors import TrainingError
from elman.lens.watching import Watcher
from elman.tasks.evaluation import sample_rows, training_notes
from elman.tasks.generate.baseline import ngram_of
from elman.tasks.generate.cache import Blend, tuned
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.problem import NextToken
from elman.tasks.generate.scores import LanguageEvaluation, evaluate
from elman.tasks.generate.settings import Settings, defaults
from elman.tasks.settings import split_choices
from elman.tasks.task import network_phrase
from elman.training.budget import Trial, run_in_time, smaller
from elman.training.loop import Outcome, Run
from elman.training.progress import watch

INTERRUPTED_TOKENS: Final = 1000  # scored after an interrupted training
# Tokens at the end of the training text from which the n-gram is made.
MAX_NGRAM_TOKENS: Final = 2_000_000


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of training; `run` keeps it on disk."""

    network: LanguageNet
    settings: Settings
    validation: LanguageEvaluation
    failure: TrainingError | None
    ngram_tokens: Tensor
    blend: Blend
    run: Run


def train(
    corpus: Corpus,
    choices: Mapping[str, Any],
    started: float,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on a corpus; `choices` are fields of `Settings` and `Plan`, whose minutes count since `started`,
    in seconds of `time.monotonic`."""

    def trial(size: Mapping[str, Any]) -> Trial:
        chosen = dict(choices) | dict(size)
        settings, plan = split_choices(chosen, Settings, defaults(len(corpus.train), chosen))
        torch.manual_seed(plan.seed)
        network = LanguageNet(settings, len(corpus.vocabulary))
        return Trial(network, NextToken(corpus.train, corpus.held_out, settings, plan), plan, settings)

    asked, asked_plan = split_choices(dict(choices), Settings)
    run, (network, _, plan, settings) = run_in_time(
        trial,
        asked_plan.minutes,
        started,
        smaller({"hidden": asked.hidden, "embedding": asked.embedding}, choices),
        {"data": corpus.source["fingerprint"], "valid": corpus.source.get("valid")},
        folder=folder,
        resume=resume,
        progress=progress,
        inspector=Watcher("characters" if corpus.vocabulary.kind == "character" else "tokens"),
    )
    outcome = watch(run, progress, "network", network_phrase(settings))
    run.require_model()
    network.eval()
    tokens = np.asarray(corpus.train[-MAX_NGRAM_TOKENS:]).astype(np.int32)
    notes = training_notes(outcome, plan, choices)
    scores, blend = _scored(corpus, network, tokens, outcome, notes)
    kept = torch.from_numpy(tokens if settings.keep_baseline else tokens[:0])
    # on the CPU single steps are fastest
    return Trained(network.cpu(), settings, scores, outcome.error, kept, blend, run)


def _scored(
    corpus: Corpus, network: LanguageNet, ngram_tokens: Any, outcome: Outcome, notes: tuple[str, ...]
) -> tuple[LanguageEvaluation, Blend]:
    """Return the scores on the held-out text, with notes on the training among theirs, and how the cache is
    mixed in. An interrupted training scores a part of the text, without the n-gram."""
    if corpus.source.get("valid") == corpus.source["fingerprint"]:
        notes += ("the held-out text is the training text, which flatters both scores",)
    held_out, characters = corpus.held_out, corpus.characters_held_out
    baseline = None
    if outcome.signal is None:
        baseline = ngram_of(ngram_tokens, corpus.vocabulary)
    elif len(held_out) > INTERRUPTED_TOKENS:
        characters = characters * INTERRUPTED_TOKENS // len(held_out)
        notes += sample_rows(len(held_out), INTERRUPTED_TOKENS, "token")[1]
        held_out = held_out[:INTERRUPTED_TOKENS]
    scores = evaluate(network, baseline, held_out, characters, corpus.vocabulary, notes)
    return scores, tuned(network, held_out)
