"""What to reply: many replies are drawn and searched, and the one is said that fits best what was asked.

N conversations, each a state of constant size and the id of the one who speaks next.
"""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman import decode
from elman.data.batches import pad
from elman.data.text.conversations import SPEAKERS
from elman.tasks.chat.baseline import words
from elman.tasks.chat.codec import END, NEVER, Codec
from elman.tasks.chat.scores import says_again
from elman.tasks.chat.settings import Settings
from elman.tasks.generate.network import State, Voice, Writer, rows_of
from elman.tasks.generate.problem import PIECE

SAID: Final = 64  # turns that should not be said again
ROWS: Final = 512  # replies that are judged at once
FREER: Final = (1.2, 1.6)  # temperatures at which is drawn again
SILENCE: Final = "…"  # said where no reply has a word


class Reply(NamedTuple):
    """A reply that could be given."""

    text: str
    ids: tuple[int, ...]
    score: float  # mean ln p of its tokens and its end, after what was said
    rank: float  # by which the best is chosen
    again: bool  # whether it says again what was said


class _Found(NamedTuple):
    score: float
    ended: bool


_Pool = dict[tuple[int, ...], _Found]


class Place(NamedTuple):
    """Where N conversations stand: all before their last token, and that token."""

    state: State | None
    last: Tensor  # (N,) int64


class Speaker:
    """Speaks in any number of conversations at once. The network is in eval mode."""

    def __init__(self, network: Writer, codec: Codec, settings: Settings) -> None:
        self.network, self.codec, self.settings = network, codec, settings
        self._voice = Voice(network)
        self._over = torch.tensor([codec.speaker(role) for role in SPEAKERS] + [END])
        self._model = decode.Model(self._step, rows_of)
        banned = torch.tensor([NEVER, *codec.unspeakable()])
        self._options: dict[str, Any] = {"end": int(self._over[0]), "limit": settings.longest}
        self._options |= {"block_ngrams": settings.block_ngrams, "banned": banned}

    def start(self) -> Place:
        """Before the first word of a conversation."""
        return Place(None, torch.tensor([END]))

    def read(self, place: Place, ids: Sequence[int]) -> Place:
        """One conversation (N = 1) goes on, in pieces of constant size."""
        state, last = place
        text = torch.tensor(list(ids), dtype=torch.int64)
        for begin in range(0, len(text), PIECE):
            piece = text[begin : begin + PIECE]
            before = torch.cat([last, piece[:-1]])
            with torch.no_grad():
                _, _, state = self.network(before[:, None], state)
            last = piece[-1:]
        return Place(state, last)

    def replies(
        self, place: Place, said: Sequence[Sequence[str]], generator: torch.Generator
    ) -> list[list[Reply]]:
        """For each conversation the replies found, best first, at least one.

        Args:
            place: the last token is that of the speaker.
            said: the turns of each conversation that should not be said again.
        """
        settings = self.settings
        pools = self._drawn(place, settings.temperature, settings.top_p, generator)
        for pool, searched in zip(pools, self._searched(place), strict=True):
            pool |= searched
        found = [self._ranked(pool, turns) for pool, turns in zip(pools, said, strict=True)]
        for temperature in FREER:  # where all that was found was said before
            stuck = [n for n, replies in enumerate(found) if replies[0].again]
            if not stuck:
                break
            more = self._drawn(taken(place, torch.tensor(stuck)), temperature, 1.0, generator)
            for n, pool in zip(stuck, more, strict=True):
                pools[n] |= pool
                found[n] = self._ranked(pools[n], said[n])
        return found

    def _drawn(
        self, place: Place, temperature: float, top_p: float, generator: torch.Generator
    ) -> list[_Pool]:
        wide = repeated(place, self.settings.drawn)
        options = self._options | {"temperature": temperature, "top_p": top_p, "generator": generator}
        found = decode.sample(self._model, wide.last, wide.state, **options)
        return self._pools(found, self.settings.drawn)

    def _searched(self, place: Place) -> list[_Pool]:
        width = self.settings.width
        found = decode.beam(self._model, place.last, place.state, width=width, n_best=width, **self._options)
        return self._pools(found, 1)

    def _pools(self, found: decode.Found, each: int) -> list[_Pool]:
        """Of each conversation, which has so many rows, the replies found."""
        pools: list[_Pool] = [{} for _ in range(len(found.tokens) // each)]
        for row, k in product(range(len(found.tokens)), range(found.tokens.shape[1])):
            if length := int(found.lengths[row, k]):
                ids = found.tokens[row, k, :length].tolist()
                ended = ids[-1] == self._over[0]
                score = float(found.scores[row, k]) / length
                pools[row // each][tuple(ids[:-1] if ended else ids)] = _Found(score, ended)
        return pools

    def _ranked(self, pool: _Pool, said: Sequence[str]) -> list[Reply]:
        """Better than what would be said without being asked (maximum mutual information: Li et al.,
        arXiv:1510.03055), and not what was said already. Where there is anything else, no silence, nothing
        without an end, no loop."""
        unasked = self.unasked([list(ids) for ids in pool])
        turns = [words(turn) for turn in said]
        known = {pair for turn in turns for pair in pairwise(turn)}
        found = []
        for (ids, (score, ended)), other in zip(pool.items(), unasked, strict=True):
            text = self.codec.text(ids)
            turn = words(text)
            pairs = list(pairwise(turn))
            old = sum(pair in known for pair in pairs) / max(len(pairs), 1)
            rank = score - self.settings.surprise * other / (len(ids) + 1) - self.settings.novelty * old
            again = says_again(turn, turns)
            found.append(
                ((not text, again, not ended, -rank), Reply(text or SILENCE, ids, score, rank, again))
            )
        return [reply for _, reply in sorted(found, key=lambda one: one[0])]

    def unasked(self, candidates: Sequence[Sequence[int]]) -> list[float]:
        """ln p of each reply (its ids) where nothing was said before."""
        place = self.read(self.start(), [self.codec.speaker("user")])
        return self.judged(repeated(place, len(candidates)), candidates)

    def judged(self, place: Place, candidates: Sequence[Sequence[int]]) -> list[float]:
        """ln p of a reply (its ids) in each conversation, its end included."""
        found: list[float] = []
        for begin in range(0, len(candidates), ROWS):
            rows = slice(begin, begin + ROWS)
            ids, lengths = pad([[*one, END] for one in candidates[rows]])
            state = rows_of(place.state, torch.arange(len(candidates))[rows])
            before = torch.cat([place.last[rows][None], ids[:-1]])
            with torch.no_grad():
                features, _, _ = self.network(before, state)
                there = torch.arange(len(ids))[:, None] < lengths
                logs = self.network.log_probs(features[there])
                ends = logs[:, self._over].logsumexp(1)
            wanted, row = ids[there], there.nonzero()[:, 1]
            own = torch.where(wanted == END, ends, logs.gather(1, wanted[:, None])[:, 0])
            found += torch.zeros(ids.shape[1]).index_add_(0, row, own).tolist()
        return found

    def _step(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """A reply is over whoever would speak next, and where the conversation would end."""
        features, state = self._voice.step(tokens, state)
        logits = self._voice.logits(features)
        end = logits[:, self._over].logsumexp(1)
        logits[:, self._over] = -torch.inf
        logits[:, self._over[0]] = end
        return logits, state


def taken(place: Place, rows: Tensor) -> Place:
    """These conversations, in that order; one may come often."""
    return Place(rows_of(place.state, rows), place.last[rows])


def joined(places: Sequence[Place]) -> Place:
    """Several conversations that have begun as one place."""
    states: Any = [place.state for place in places]
    layers = [
        tuple(torch.cat(parts, 1) for parts in zip(*layer, strict=True))
        if isinstance(layer[0], tuple)
        else torch.cat(layer, 1)
        for layer in zip(*states, strict=True)
    ]
    return Place(tuple(layers), torch.cat([place.last for place in places]))


def repeated(place: Place, times: int) -> Place:
    """Each conversation so many times, one after the other."""
    return taken(place, torch.arange(len(place.last)).repeat_interleave(times))
