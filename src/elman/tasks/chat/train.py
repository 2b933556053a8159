"""Training a chatbot: its ranker, its language model, and then, on held-out conversations, the ranker's
weights and the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.batches import HELD_OUT_SHARE, normalize, split_groups, text_hashes
from elman.data.text.conversations import Conversation, Conversations
from elman.errors import DataError, TrainingError, counted
from elman.lens.watching import Watcher
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.judge import evaluate, ranking_evidence, reply_positions
from elman.tasks.chat.network import DualEncoder
from elman.tasks.chat.problem import matching, ranker_in_time
from elman.tasks.chat.ranker import NUMBERS, Ranker, fitted_weights
from elman.tasks.chat.scores import ChatEvaluation
from elman.tasks.chat.settings import BYTES_OF_A_TOKEN, RANKER_DROPOUT, Settings, defaults
from elman.tasks.chat.speaker import Speaker
from elman.tasks.evaluation import few_note, overlap_note, sample_rows, training_notes
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.problem import Ids, NextToken
from elman.tasks.settings import split_choices
from elman.tasks.task import network_phrase
from elman.training.budget import Trial, run_in_time, smaller
from elman.training.loop import Outcome, Run
from elman.training.plan import Plan
from elman.training.progress import watch
from elman.training.stderr import say

MIN_CONVERSATIONS: Final = 2  # one to learn from and one to score
OPENING_TURNS: Final = 2  # conversations that begin with the same turns are on one side of the split
VALIDATION: Final = {"replies": 200, "talks": 2}  # scored at the end of a training
SCORING_SHARE: Final = 0.55  # of the minutes, at most
SCORING_SECONDS: Final = 33.0  # of the minutes of a training, for the scores at its end
INTERRUPTED: Final = {"replies": 10, "talks": 0}  # the same, of an interrupted one
NO_REPLY: Final = "holds no turn of the assistant after one of the user."


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of training; `run` keeps it on disk."""

    network: LanguageNet
    settings: Settings
    validation: ChatEvaluation
    failure: TrainingError | None
    codec: Codec
    pairs: tuple[list[str], list[str]]
    encoder: DualEncoder | None
    rank_weights: Tensor | None
    run: Run


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What is learned from: conversations, divided and encoded.

    Attributes:
        tokens: about how many there are to train on.
        ids, held_out_ids: of all turns, as one running text each.
        settings, plan: those of the first trial.
    """

    choices: Mapping[str, Any]  # of the caller
    train: list[Conversation]
    held_out: list[Conversation]
    tokens: int
    codec: Codec
    ids: Ids
    held_out_ids: Ids
    settings: Settings
    plan: Plan

    @classmethod
    def of(
        cls, whole: Conversations, valid: Conversations | None, choices: Mapping[str, Any]
    ) -> "TrainingData":
        _, asked = split_choices(dict(choices), Settings)
        if valid is None:
            train, held_out = _split(whole.all, whole.name, asked.seed)
            held_out_name = f"the tenth of {whole.name} that is held out"
        else:
            train, held_out, held_out_name = whole.all, valid.all, valid.name
        require_replies(train, whole.name)
        require_replies(held_out, held_out_name)
        size = sum(len(turn.text.encode(errors="replace")) for turns in train for turn in turns)
        tokens = size // BYTES_OF_A_TOKEN
        settings, plan = split_choices(dict(choices), Settings, defaults(tokens, dict(choices)))
        codec = Codec.learned(train, settings.vocabulary)
        ids, held_out_ids = codec.running(train), codec.running(held_out)
        return cls(choices, train, held_out, tokens, codec, ids, held_out_ids, settings, plan)

    def trial(self, size: Mapping[str, Any]) -> Trial:
        """Return the training of a language model, untrained, of some size."""
        choices = dict(self.choices) | dict(size)
        settings, plan = split_choices(choices, Settings, defaults(self.tokens, choices))
        torch.manual_seed(plan.seed)
        network = LanguageNet(settings.language, len(self.codec))
        problem = NextToken(self.ids, self.held_out_ids, settings.language, plan)
        return Trial(network, problem, plan, settings)

    def ranker_trial(self, settings: Settings) -> Trial:
        """Return the training of a ranker, untrained, with these settings."""
        torch.manual_seed(self.plan.seed)
        encoder = DualEncoder(settings.ranker_units, len(self.codec), RANKER_DROPOUT)
        return matching(encoder, self.train, self.held_out, self.codec, settings, self.plan)


def train(
    whole: Conversations,
    valid: Conversations | None,
    choices: Mapping[str, Any],
    started: float,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Trained:
    """Train on conversations; `choices` are fields of `Settings` and `Plan`, whose minutes count since
    `started`, in seconds of `time.monotonic`."""
    data = TrainingData.of(whole, valid, choices)
    settings, minutes = data.settings, data.plan.minutes
    if minutes is not None:
        started -= min(SCORING_SECONDS, SCORING_SHARE * 60 * minutes)
    ranker_sizes, share = ranker_in_time(data.ranker_trial, settings, minutes, started, choices, resume)
    sizes = smaller({"hidden": settings.hidden, "embedding": settings.embedding}, choices)
    # made before the ranker: it refuses a checkpoint that doesn't fit
    run, (network, _, plan, settings) = run_in_time(
        data.trial,
        minutes,
        started,
        [size | ranker_sizes for size in sizes],
        {"data": whole.fingerprint, "valid": None if valid is None else valid.fingerprint},
        share=share,
        folder=folder,
        resume=resume,
        progress=progress,
        inspector=Watcher("tokens"),
    )
    encoder = _trained_encoder(data, settings, run, progress)
    outcome = watch(run, progress, "network", network_phrase(settings))
    run.require_model()
    network.eval().cpu()  # where single steps are fastest
    if progress and run.rank == 0:
        say("scoring replies to held-out texts")
    retrieval = Retrieval.fit(*_pairs(data.train))
    speaker = Speaker(network, data.codec, settings)
    scores = _scored(data, speaker, encoder, retrieval, outcome, plan)
    pairs = (retrieval.contexts, retrieval.replies) if settings.keep_baseline else ([], [])
    weights = None if speaker.ranker is None else speaker.ranker.weights
    return Trained(network, settings, scores, outcome.error, data.codec, pairs, encoder, weights, run)


def _trained_encoder(data: TrainingData, settings: Settings, run: Run, progress: bool) -> DualEncoder | None:
    """Return the ranker's network, which a run that is resumed trains again, to the same weights."""
    if not settings.ranker_units:
        return None
    encoder, problem, plan, _ = data.ranker_trial(settings)
    outcome = watch(Run(encoder, problem, plan, inspector=Watcher("words")), progress, "ranker")
    if outcome.signal is not None:
        run.stop(outcome.signal)
    encoder.eval().cpu()
    assert isinstance(encoder, DualEncoder)
    return encoder


def _scored(
    data: TrainingData,
    speaker: Speaker,
    encoder: DualEncoder | None,
    retrieval: Retrieval,
    outcome: Outcome,
    plan: Plan,
) -> ChatEvaluation:
    """Give the speaker a ranker, weighted by held-out replies, if it has an encoder; return the scores."""
    held_out, notes, scope = data.held_out, training_notes(outcome, plan, data.choices), VALIDATION
    hashes = conversation_hashes(held_out)
    notes += overlap_note(hashes, torch.tensor(conversation_hashes(data.train)), "conversation")
    notes += few_note(len(set(hashes)), "conversation")
    if outcome.signal is not None:
        answered = sorted({n for n, _ in reply_positions(held_out)})
        rows, note = sample_rows(len(answered), INTERRUPTED["replies"], "conversation")
        held_out, notes, scope = [held_out[answered[row]] for row in rows], notes + note, INTERRUPTED
    evidence = None
    if encoder is not None:
        kept = retrieval if speaker.settings.keep_baseline else None
        speaker.ranker = Ranker(encoder, data.codec, kept, torch.ones(NUMBERS))
        evidence = ranking_evidence(speaker, held_out, scope["replies"])
        speaker.ranker.weights = fitted_weights(evidence)
    return evaluate(speaker, retrieval, held_out, notes, **scope, evidence=evidence)


def require_replies(conversations: Sequence[Conversation], name: str) -> None:
    """Raise DataError if there is no reply to learn or to score."""
    if not reply_positions(conversations):
        raise DataError(f"{name} {NO_REPLY}")


def conversation_hashes(conversations: Sequence[Conversation]) -> list[int]:
    return text_hashes([" ".join(turn.text for turn in turns) for turns in conversations])


def _split(
    conversations: list[Conversation], name: str, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    if len(conversations) < MIN_CONVERSATIONS:
        raise DataError(
            f"{name} holds {counted(len(conversations), 'conversation')}; a chatbot needs at least "
            f"{MIN_CONVERSATIONS}."
        )
    keys = [normalize(" ".join(turn.text for turn in turns[:OPENING_TURNS])) for turns in conversations]
    train, held_out = split_groups(keys, HELD_OUT_SHARE, seed, name=name)
    return [conversations[i] for i in train], [conversations[i] for i in held_out]


def _pairs(conversations: Sequence[Conversation]) -> tuple[list[str], list[str]]:
    """Return the turns before replies of the assistant, and the replies."""
    exchanges = (pair for turns in conversations for pair in pairwise(turns))
    pairs = [(context.text, reply.text) for context, reply in exchanges if reply.role == "assistant"]
    return [context for context, _ in pairs], [reply for _, reply in pairs]
