"""Score a chatbot: predicting true replies, finding them among others, and talking with itself."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.data.text.conversations import SPEAKERS, Conversation, Turn
from elman.lazy import Lazy
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import END, Codec
from elman.tasks.chat.scores import RETRIEVAL, ChatEvaluation, candidates, distinct, hits, loop_rate
from elman.tasks.chat.speaker import RECENT_TURNS, Position, Reply, Speaker
from elman.tasks.evaluation import Scores, perplexity
from elman.tasks.generate.problem import teacher_forced

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

MAX_REPLIES: Final = 400  # true replies that are scored, each beside the chatbot's own
TALKS, TALK_TURNS = 8, 50  # conversations of the chatbot with itself
BATCH_CONVERSATIONS: Final = 32


def reply_positions(conversations: Sequence[Conversation]) -> list[tuple[int, int]]:
    """Return conversation and turn of every reply of the assistant."""
    return [
        (n, k)
        for n, turns in enumerate(conversations)
        for k in range(1, len(turns))
        if turns[k].role == "assistant"
    ]


def evaluate(
    speaker: Speaker,
    baseline: Retrieval | None,
    conversations: Sequence[Conversation],
    notes: tuple[str, ...] = (),
    replies: int = MAX_REPLIES,
    talks: int = TALKS,
    evidence: Sequence[Tensor] | None = None,
) -> ChatEvaluation:
    """Score the network and the baseline on conversations of which at least one has a reply; without `talks`
    of the chatbot with itself there is no score of its loops. `evidence` is the `ranking_evidence` of these
    replies, if it is there already."""
    places, rivals = _tasks(conversations, replies)
    generated: list[Reply] = []
    for position, recent in _moments(speaker, conversations, places):
        generated += _replies(speaker, position, recent)
    if evidence is None:
        evidence = ranking_evidence(speaker, conversations, replies)
    openings = [turns[0] for turns in conversations[:talks]]
    simulated = simulate(speaker, openings, TALK_TURNS) if talks else []
    loops = [loop_rate([turn.text for turn in talk]) for talk in simulated]
    ranker = speaker.ranker
    rankings = [row[:, 0].tolist() if ranker is None else ranker.scores(row) for row in evidence]
    hit_rate = hits(rankings)
    scores = _scores([reply.text for reply in generated], hit_rate, loops)
    scores["perplexity"] = perplexity(nats(speaker, conversations))
    baselines = {}
    if baseline is not None:
        prompts = [conversations[n][k - 1].text for n, k in places]
        baselines[RETRIEVAL] = plain = _retrieval_scores(baseline, prompts, rivals, openings)
        if scores["hits"] <= plain["hits"]:  # type: ignore[operator]  # never None
            notes += ("the network finds true replies no better than retrieval: train longer, or on more",)
    if ranker is not None:
        scores["language_hits"], scores["encoder_hits"] = _hits(evidence, 0), _hits(evidence, 1)
        scores["retrieved"] = sum(reply.retrieved for reply in generated) / len(generated)
    evaluation = ChatEvaluation(scores=scores, baselines=baselines, notes=notes, replies=len(places))
    contexts = [[turn.text for turn in conversations[n][:k]] for n, k in places]
    true = [conversations[n][k].text for n, k in places]
    return evaluation.with_table(_table(contexts, true, generated, rankings))


def _table(
    contexts: Sequence[Sequence[str]],
    true: Sequence[str],
    generated: Sequence[Reply],
    rankings: Sequence[Sequence[float]],
) -> "pl.DataFrame":
    """Return a row for each reply: `context`, the last turns before it, a line each; `reference`, the true
    reply; `reply`, the chatbot's; `retrieved`, whether that is a training reply; and `rank`, of the true one
    among up to 20, from 1."""
    columns = {
        "context": ["\n".join(turns[-RECENT_TURNS:]) for turns in contexts],
        "reference": true,
        "reply": [reply.text for reply in generated],
        "retrieved": [reply.retrieved for reply in generated],
        "rank": [1 + sum(score > row[0] for score in row[1:]) for row in rankings],
    }
    return pl.DataFrame(columns)


def ranking_evidence(speaker: Speaker, conversations: Sequence[Conversation], replies: int) -> list[Tensor]:
    """Return, for at most `replies` true replies, what speaks for each and for others (20, 3), as
    `Ranker.evidence` does if no text is known, the true one first."""
    places, rivals = _tasks(conversations, replies)
    evidence: list[Tensor] = []
    for position, recent in _moments(speaker, conversations, places):
        evidence += _evidence(speaker, position, recent, rivals[len(evidence) :])
    return evidence


@torch.no_grad()
def nats(speaker: Speaker, conversations: Sequence[Conversation]) -> float:
    """Return nats per token of the assistant's turns, their ends included, given all tokens before it in its
    conversation."""
    codec = speaker.codec
    ends = torch.tensor([codec.speaker(role) for role in SPEAKERS] + [END])
    total, count = 0.0, 0
    for turns in conversations:
        ids = codec.running([turns])
        scored, start = _in_replies(codec, ids), 0
        for features, targets in teacher_forced(speaker.network, ids):
            rows = torch.from_numpy(scored[start : start + len(targets)])
            log_probs, tokens = speaker.network.log_probs(features[rows, 0]), targets[rows, 0]
            of_tokens = log_probs.gather(1, tokens[:, None])[:, 0]
            of_ends = log_probs[:, ends].logsumexp(1)  # any speaker's token ends the reply
            total -= float(torch.where(torch.isin(tokens, ends), of_ends, of_tokens).sum())
            start += len(targets)
        count += int(scored.sum())
    return total / max(count, 1)


def _in_replies(codec: Codec, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which of ids[1:] belong to a turn of the assistant or end it."""
    starts = np.isin(ids, [codec.speaker(role) for role in SPEAKERS] + [END])
    turn = np.maximum.accumulate(np.where(starts, np.arange(len(ids)), 0))
    of_assistant: NDArray[np.bool_] = ids[turn] == codec.speaker("assistant")
    return of_assistant[:-1]


def simulate(speaker: Speaker, openings: Sequence[Turn], turns: int) -> list[Conversation]:
    """Let the chatbot talk with itself, taking both roles in turn."""
    talks = [[Turn("user", opening.text)] for opening in openings]
    positions = [speaker.read(speaker.start(), speaker.codec.turn(talk[0])) for talk in talks]
    generator = torch.Generator().manual_seed(0)
    for k in range(1, turns):
        role = SPEAKERS[k % 2]
        marked = [speaker.read(position, [speaker.codec.speaker(role)]) for position in positions]
        recent = [_recent(talk, len(talk)) for talk in talks]
        for n, replies in enumerate(speaker.replies(Position.concatenate(marked), recent, generator)):
            turn = Turn(role, replies[0].text)
            talks[n].append(turn)
            positions[n] = speaker.read(positions[n], speaker.codec.turn(turn))
    return talks


def _tasks(
    conversations: Sequence[Conversation], replies: int
) -> tuple[list[tuple[int, int]], list[list[str]]]:
    """Return the places of at most `replies` true replies, and for each what to rank, the true one first."""
    places = reply_positions(conversations)
    if len(places) > replies:  # spread evenly: neighbours are of one conversation
        places = [places[k * len(places) // replies] for k in range(replies)]
    true = [conversations[n][k].text for n, k in places]
    return places, [[true[k] for k in row] for row in candidates(true)]


def _moments(
    speaker: Speaker, conversations: Sequence[Conversation], places: Sequence[tuple[int, int]]
) -> Iterator[tuple[Position, list[list[str]]]]:
    """Yield the positions of some places together, and the last turns before each."""
    positions = _positions(speaker, conversations, places)
    for begin in range(0, len(places), BATCH_CONVERSATIONS):
        part = places[begin : begin + BATCH_CONVERSATIONS]
        position = Position.concatenate(list(islice(positions, len(part))))
        yield position, [_recent(conversations[n], k) for n, k in part]


def _positions(
    speaker: Speaker, conversations: Sequence[Conversation], places: Sequence[tuple[int, int]]
) -> Iterator[Position]:
    """Yield the positions at which the assistant replies. `places` is in order, so that each conversation is
    read once."""
    current, done, position = -1, 0, speaker.start()
    for n, k in places:
        if n != current:
            current, done, position = n, 0, speaker.start()
        for turn in conversations[n][done:k]:
            position = speaker.read(position, speaker.codec.turn(turn))
        done = k
        yield speaker.read(position, [speaker.codec.speaker("assistant")])


def _recent(turns: Conversation, k: int) -> list[str]:
    return [turn.text for turn in turns[max(0, k - RECENT_TURNS) : k]]


def _replies(speaker: Speaker, position: Position, recent: Sequence[Sequence[str]]) -> list[Reply]:
    generator = torch.Generator().manual_seed(0)
    return [replies[0] for replies in speaker.replies(position, recent, generator)]


def _evidence(
    speaker: Speaker, position: Position, recent: Sequence[Sequence[str]], rivals: Sequence[Sequence[str]]
) -> list[Tensor]:
    """Return what speaks for each rival (C, 3) in the first conversations. Without a ranker that is the first
    column alone: its log-probability less a share of its prior, per token."""
    rivals = rivals[: len(recent)]
    flat = [speaker.codec.words(text) for row in rivals for text in row]
    owner = torch.tensor([n for n, row in enumerate(rivals) for _ in row])
    log_probs = speaker.log_probs_given(position.select(owner), flat)
    different = sorted({tuple(ids) for ids in flat})
    prior_of = dict(zip(different, speaker.log_prior(different), strict=True))
    priors = [prior_of[tuple(ids)] for ids in flat]
    weight = speaker.settings.mmi_weight
    scores = iter(
        (log_prob - weight * prior) / (len(ids) + 1)
        for log_prob, prior, ids in zip(log_probs, priors, flat, strict=True)
    )
    rows = [[next(scores) for _ in row] for row in rivals]
    ranker = speaker.ranker
    if ranker is None:
        return [torch.tensor(row, dtype=torch.float64)[:, None] for row in rows]
    return [ranker.evidence(*one, known=False) for one in zip(recent, rivals, rows, strict=True)]


def _hits(evidence: Sequence[Tensor], column: int) -> float:
    return hits([row[:, column].tolist() for row in evidence])


def _retrieval_scores(
    baseline: Retrieval, prompts: Sequence[str], rivals: Sequence[Sequence[str]], openings: Sequence[Turn]
) -> Scores:
    def nearest(text: str) -> str:
        return baseline.nearest(text)[0][0]

    talks = []
    for opening in openings:
        talk = [opening.text]
        while len(talk) < TALK_TURNS:
            talk.append(nearest(talk[-1]))
        talks.append(talk)
    ranks = [baseline.rank(text, row) for text, row in zip(prompts, rivals, strict=True)]
    return _scores([nearest(text) for text in prompts], hits(ranks), [loop_rate(talk) for talk in talks])


def _scores(replies: Sequence[str], hit_rate: float, loops: Sequence[float]) -> Scores:
    return {
        "perplexity": None,
        "distinct1": distinct(replies, 1),
        "distinct2": distinct(replies, 2),
        "loops": sum(loops) / len(loops) if loops else None,
        "hits": hit_rate,
        "language_hits": None,
        "encoder_hits": None,
        "retrieved": None,
    }
