"""How good a chatbot is: foretelling true replies, finding them among others, and talking with itself."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from elman.data.text.conversations import SPEAKERS, Conversation, Turn
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import END, Codec
from elman.tasks.chat.scores import Evaluation, Scores, candidates, distinct, hits, loop_rate
from elman.tasks.chat.speaker import SAID, Place, Speaker, joined, taken
from elman.tasks.generate.problem import read

REPLIES: Final = 400  # true replies that are looked for, and that the model gives its own instead of
TALKS, TURNS = 8, 50  # conversations of the model with itself
TOGETHER: Final = 32  # conversations


def asked(conversations: Sequence[Conversation]) -> list[tuple[int, int]]:
    """Where the assistant replies to something: which conversation, and which of its turns."""
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
    replies: int = REPLIES,
    talks: int = TALKS,
) -> Evaluation:
    """All scores, the network's and the baseline's. At least one conversation has a reply."""
    found = asked(conversations)
    # spread evenly, for neighbours are of one conversation
    chosen = [found[k * len(found) // replies] for k in range(replies)] if len(found) > replies else found
    true = [conversations[n][k].text for n, k in chosen]
    others = [[true[k] for k in row] for row in candidates(true)]
    own: list[str] = []
    ranks: list[list[float]] = []
    places = _places(speaker, conversations, chosen)
    for begin in range(0, len(chosen), TOGETHER):
        part = slice(begin, begin + TOGETHER)
        place = joined(list(islice(places, TOGETHER)))
        own += _own(speaker, place, [_before(conversations[n], k) for n, k in chosen[part]])
        ranks += _ranked(speaker, place, others[part])
    openings = [turns[0] for turns in conversations[:talks]]
    ours = Scores(
        perplexity=math.exp(min(nats(speaker, conversations), 700)),
        distinct1=distinct(own, 1),
        distinct2=distinct(own, 2),
        loops=_mean([loop_rate([t.text for t in talk]) for talk in simulated(speaker, openings)]),
        hits=hits(ranks),
    )
    said = [conversations[n][k - 1].text for n, k in chosen]
    plain = None if baseline is None else _of_retrieval(baseline, said, others, openings)
    if plain is not None and ours.hits <= plain.hits:
        notes += ("the network finds true replies no better than retrieval: train longer, or on more",)
    return Evaluation(ours, plain, len(chosen), notes)


@torch.no_grad()
def nats(speaker: Speaker, conversations: Sequence[Conversation]) -> float:
    """A token of the assistant's turns, their ends included, from all before it in its conversation."""
    codec = speaker.codec
    over = torch.tensor([codec.speaker(role) for role in SPEAKERS] + [END])
    total, count = 0.0, 0
    for turns in conversations:
        ids = codec.running([turns])
        counts, at = _replied(codec, ids), 0
        for features, wanted in read(speaker.network, ids):
            here = torch.from_numpy(counts[at : at + len(wanted)])
            logs, tokens = speaker.network.log_probs(features[here, 0]), wanted[here, 0]
            own = logs.gather(1, tokens[:, None])[:, 0]
            ends = logs[:, over].logsumexp(1)  # whoever speaks next, the reply is over
            total -= float(torch.where(torch.isin(tokens, over), ends, own).sum())
            at += len(wanted)
        count += int(counts.sum())
    return total / max(count, 1)


def _replied(codec: Codec, ids: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of ids[1:] belong to a turn of the assistant or end it."""
    speaks = np.isin(ids, [codec.speaker(role) for role in SPEAKERS] + [END])
    turn = np.maximum.accumulate(np.where(speaks, np.arange(len(ids)), 0))
    of_assistant: NDArray[np.bool_] = ids[turn] == codec.speaker("assistant")
    return of_assistant[:-1]


def simulated(speaker: Speaker, openings: Sequence[Turn], turns: int = TURNS) -> list[Conversation]:
    """The model talks with itself, taking both parts in turn."""
    talks = [[Turn("user", opening.text)] for opening in openings]
    places = [speaker.read(speaker.start(), speaker.codec.turn(talk[0])) for talk in talks]
    generator = torch.Generator().manual_seed(0)
    for k in range(1, turns):
        role = SPEAKERS[k % 2]
        marked = joined([speaker.read(place, [speaker.codec.speaker(role)]) for place in places])
        said = [[turn.text for turn in talk[-SAID:]] for talk in talks]
        for n, found in enumerate(speaker.replies(marked, said, generator)):
            turn = Turn(role, found[0].text)
            talks[n].append(turn)
            places[n] = speaker.read(places[n], speaker.codec.turn(turn))
    return talks


def _places(
    speaker: Speaker, conversations: Sequence[Conversation], chosen: Sequence[tuple[int, int]]
) -> Iterator[Place]:
    """Where the assistant is to speak, each conversation read once. `chosen` is in order."""
    reading, done, place = -1, 0, speaker.start()
    for n, k in chosen:
        if n != reading:
            reading, done, place = n, 0, speaker.start()
        for turn in conversations[n][done:k]:
            place = speaker.read(place, speaker.codec.turn(turn))
        done = k
        yield speaker.read(place, [speaker.codec.speaker("assistant")])


def _before(turns: Conversation, k: int) -> list[str]:
    return [turn.text for turn in turns[max(0, k - SAID) : k]]


def _own(speaker: Speaker, place: Place, said: Sequence[Sequence[str]]) -> list[str]:
    generator = torch.Generator().manual_seed(0)
    return [found[0].text for found in speaker.replies(place, said, generator)]


def _ranked(speaker: Speaker, place: Place, others: Sequence[Sequence[str]]) -> list[list[float]]:
    """How well each candidate fits; without what it owes to being said often."""
    flat = [speaker.codec.words(text) for row in others for text in row]
    owner = torch.tensor([n for n, row in enumerate(others) for _ in row])
    given, unasked = speaker.judged(taken(place, owner), flat), speaker.unasked(flat)
    weight = speaker.settings.surprise
    scores = iter(
        (own - weight * other) / (len(ids) + 1) for own, other, ids in zip(given, unasked, flat, strict=True)
    )
    return [[next(scores) for _ in row] for row in others]


def _of_retrieval(
    baseline: Retrieval, said: Sequence[str], others: Sequence[Sequence[str]], openings: Sequence[Turn]
) -> Scores:
    def nearest(text: str) -> str:
        return baseline.nearest(text)[0][0]

    replies = [nearest(text) for text in said]
    talks = []
    for opening in openings:
        talk = [opening.text]
        while len(talk) < TURNS:
            talk.append(nearest(talk[-1]))
        talks.append(talk)
    ranks = [baseline.rank(text, row) for text, row in zip(said, others, strict=True)]
    loops = _mean([loop_rate(talk) for talk in talks])
    return Scores(None, distinct(replies, 1), distinct(replies, 2), loops, hits(ranks))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(len(values), 1)
