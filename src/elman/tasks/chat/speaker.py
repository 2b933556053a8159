"""Choose a reply: sample many, search some more, and take the one that fits the conversation best.

N conversations, each a state of constant size and the last token, which names the speaker of the reply.
"""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from elman import decode
from elman.data.batches import pad
from elman.data.text.conversations import SPEAKERS
from elman.stepping import driven, within
from elman.tasks.chat.baseline import words
from elman.tasks.chat.codec import END, UNUSED, Codec
from elman.tasks.chat.ranker import Ranker
from elman.tasks.chat.scores import says_again
from elman.tasks.chat.settings import MAX_REPLY_TOKENS, Settings
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.problem import CHUNK_STEPS
from elman.tasks.generate.steps import LanguageSteps, State, Tokens
from elman.tasks.pool import Steps, answered

R = TypeVar("R")
RECENT_TURNS: Final = 64  # which a reply should not repeat
MAX_BATCH_REPLIES: Final = 512  # scored at once
RETRY_TEMPERATURES: Final = (1.2, 1.6)  # if all replies repeat an earlier turn
SILENCE: Final = "…"  # the text of a reply without a word


class Reply(NamedTuple):
    """A candidate reply."""

    text: str
    ids: tuple[int, ...]
    score: float  # mean ln p of its tokens and its end, given the conversation
    rank: float  # by which the best is chosen
    again: bool  # whether it repeats an earlier turn
    retrieved: bool = False  # whether it is a training reply


class _Scored(NamedTuple):
    score: float
    ended: bool
    text: str | None = None  # of a training reply


_Pool = dict[tuple[int, ...], _Scored]


class Position(NamedTuple):
    """The state of N conversations before their last token, and that token."""

    state: State | None
    last: Tensor  # (N,) int64

    def select(self, rows: Tensor) -> "Position":
        """Return these conversations, in that order; rows may repeat."""
        return Position(_select(self.state, rows), self.last[rows])

    def repeat(self, times: int) -> "Position":
        """Return each conversation `times` times in a row."""
        return self.select(torch.arange(len(self.last)).repeat_interleave(times))

    @staticmethod
    def concatenate(positions: Sequence["Position"]) -> "Position":
        """Return several conversations, all after their start, as one position."""
        states: Any = [position.state for position in positions]
        layers = [
            tuple(np.concatenate(parts, 1) for parts in zip(*layer, strict=True))
            for layer in zip(*states, strict=True)
        ]
        return Position(tuple(layers), torch.cat([position.last for position in positions]))


def _select(state: State | None, rows: Tensor) -> State | None:
    if state is None:
        return None
    return tuple(tuple(part[:, rows.numpy()] for part in layer) for layer in state)


class Speaker:
    """Replies in any number of conversations at once. The network is in eval mode. Without a ranker, as in
    models of before, the language model alone chooses among its replies.

    The methods that are generators leave the network's steps to the caller, so that those of many streams can
    be taken together: they yield requests for `steps` and get the answers.
    """

    def __init__(
        self, network: LanguageNet, codec: Codec, settings: Settings, ranker: Ranker | None = None
    ) -> None:
        self.network, self.codec, self.settings, self.ranker = network, codec, settings, ranker
        self.steps = LanguageSteps(network)
        # any of these ends a reply
        self._ends = torch.tensor([codec.speaker(role) for role in SPEAKERS] + [END])
        self._model = decode.Model(self._step, _select)
        banned = torch.tensor([UNUSED, *codec.control_ids()])
        self._options: dict[str, Any] = {"end": int(self._ends[0]), "limit": settings.max_tokens}
        self._options |= {"block_ngrams": settings.block_ngrams, "banned": banned}

    def start(self) -> Position:
        """Return the position before the first token of one conversation."""
        return Position(None, torch.tensor([END]))

    def read(self, position: Position, ids: Sequence[int]) -> Position:
        """Return the position of one conversation (N = 1) after further tokens, which are read in chunks."""
        return self._alone(self.reading(position, ids))

    def replies(
        self, position: Position, turns: Sequence[Sequence[str]], generator: torch.Generator
    ) -> list[list[Reply]]:
        """Return the candidate replies of each conversation, best first, at least one.

        Args:
            position: the last token is that of the speaker.
            turns: of each conversation, the last turns, at least one, which should not be repeated.
        """
        return self._alone(self.replying(position, turns, generator))

    def log_prior(self, candidates: Sequence[Sequence[int]]) -> list[float]:
        """Return ln p of each reply (its ids) after an empty turn of the user."""
        return self._alone(self._prior(candidates))

    def log_probs_given(self, position: Position, candidates: Sequence[Sequence[int]]) -> list[float]:
        """Return ln p of one reply (its ids) in each conversation, its end included."""
        return self._alone(self.scoring(position, candidates))

    def _alone(self, steps: Steps[R]) -> R:
        return driven(steps, lambda request: answered(self.steps, request))

    def reading(self, position: Position, ids: Sequence[int]) -> Steps[Position]:
        """Do what `read` does."""
        state, last = position
        tokens = torch.tensor(list(ids), dtype=torch.int64)
        for begin in range(0, len(tokens), CHUNK_STEPS):
            chunk = tokens[begin : begin + CHUNK_STEPS]
            inputs = torch.cat([last, chunk[:-1]])
            state = (yield Tokens(inputs[:, None].numpy(), state)).state
            last = chunk[-1:]
        return Position(state, last)

    def replying(
        self, position: Position, turns: Sequence[Sequence[str]], generator: torch.Generator
    ) -> Steps[list[list[Reply]]]:
        """Do what `replies` does."""
        temperature, top_p = self.settings.temperature, self.settings.top_p
        pools = yield from self._sample(position, temperature, top_p, generator)
        for pool, searched in zip(pools, (yield from self._search(position)), strict=True):
            pool |= searched
        if self.ranker is not None:
            for n, (pool, earlier) in enumerate(zip(pools, turns, strict=True)):
                one = position.select(torch.tensor([n]))
                pool |= yield from self._retrieved(self.ranker, one, earlier)
        candidates = []
        for pool, earlier in zip(pools, turns, strict=True):
            candidates.append((yield from self._ranked(pool, earlier)))
        for temperature in RETRY_TEMPERATURES:
            stuck = [n for n, replies in enumerate(candidates) if replies[0].again]
            if not stuck:
                break
            some = position.select(torch.tensor(stuck))
            more = yield from self._sample(some, temperature, 1.0, generator)
            for n, pool in zip(stuck, more, strict=True):
                pools[n] |= pool
                candidates[n] = yield from self._ranked(pools[n], turns[n])
        return candidates

    def _prior(self, candidates: Sequence[Sequence[int]]) -> Steps[list[float]]:
        position = yield from self.reading(self.start(), [self.codec.speaker("user")])
        return (yield from self.scoring(position.repeat(len(candidates)), candidates))

    def scoring(self, position: Position, candidates: Sequence[Sequence[int]]) -> Steps[list[float]]:
        """Do what `log_probs_given` does."""
        log_probs: list[float] = []
        for begin in range(0, len(candidates), MAX_BATCH_REPLIES):
            rows = slice(begin, begin + MAX_BATCH_REPLIES)
            ids, lengths = pad([[*reply, END] for reply in candidates[rows]])
            state = _select(position.state, torch.arange(len(candidates))[rows])
            inputs = torch.cat([position.last[rows][None], ids[:-1]])
            features = (yield Tokens(inputs.numpy(), state)).features
            inside = torch.arange(len(ids))[:, None] < lengths
            logs = torch.from_numpy(self.steps.output(features[inside.numpy()])).log_softmax(1)
            ends = logs[:, self._ends].logsumexp(1)
            targets, row = ids[inside], inside.nonzero()[:, 1]
            of_targets = torch.where(targets == END, ends, logs.gather(1, targets[:, None])[:, 0])
            log_probs += torch.zeros(ids.shape[1]).index_add_(0, row, of_targets).tolist()
        return log_probs

    def _sample(
        self, position: Position, temperature: float, top_p: float, generator: torch.Generator
    ) -> Steps[list[_Pool]]:
        rows = position.repeat(self.settings.num_samples)
        options = self._options | {"temperature": temperature, "top_p": top_p, "generator": generator}
        searching = decode.sample_search(self._model, rows.last, **options)
        samples = yield from within(searching.steps(rows.last, rows.state), self._stepping)
        return self._pools(samples, self.settings.num_samples)

    def _search(self, position: Position) -> Steps[list[_Pool]]:
        width = self.settings.beam_width
        options = self._options | {"beam_width": width, "n_best": width}
        searching = decode.beam_search(self._model, position.last, **options)
        best = yield from within(searching.steps(position.last, position.state), self._stepping)
        return self._pools(best, 1)

    def _retrieved(self, ranker: Ranker, position: Position, turns: Sequence[str]) -> Steps[_Pool]:
        """Return the training replies that fit one conversation best."""
        texts = ranker.retrieve(turns, self.settings.num_retrieved)
        ids = [self.codec.words(text)[:MAX_REPLY_TOKENS] for text in texts]
        log_probs = (yield from self.scoring(position.repeat(len(ids)), ids)) if ids else []
        return {
            tuple(reply): _Scored(log_prob / (len(reply) + 1), True, text)
            for reply, log_prob, text in zip(ids, log_probs, texts, strict=True)
        }

    def _pools(self, hypotheses: decode.Hypotheses, rows: int) -> list[_Pool]:
        """Return the replies of each conversation, which has `rows` rows."""
        tokens, lengths, scores = hypotheses.tokens, hypotheses.lengths, hypotheses.scores
        pools: list[_Pool] = [{} for _ in range(len(tokens) // rows)]
        for row, k in product(range(len(tokens)), range(tokens.shape[1])):
            if length := int(lengths[row, k]):
                ids = tokens[row, k, :length].tolist()
                ended = ids[-1] == self._ends[0]
                score = float(scores[row, k]) / length
                pools[row // rows][tuple(ids[:-1] if ended else ids)] = _Scored(score, ended)
        return pools

    def _ranked(self, pool: _Pool, turns: Sequence[str]) -> Steps[list[Reply]]:
        """Rank by maximum mutual information (Li et al., arXiv:1510.03055), or by the ranker's sum of that
        and more, less a penalty for repetition. Silence, repeated turns, replies without an end and, if
        there is a ranker, those with made-up words come last, in this order."""
        priors = yield from self._prior([list(ids) for ids in pool])
        texts = [self.codec.text(ids) if one.text is None else one.text for ids, one in pool.items()]
        ranks = [
            one.score - self.settings.mmi_weight * prior / (len(ids) + 1)
            for (ids, one), prior in zip(pool.items(), priors, strict=True)
        ]
        if self.ranker is not None:
            ranks = self.ranker.scores(self.ranker.evidence(turns, texts, ranks))
        earlier = [words(turn) for turn in turns]
        earlier_pairs = {pair for turn in earlier for pair in pairwise(turn)}
        candidates = []
        for (ids, one), text, rank in zip(pool.items(), texts, ranks, strict=True):
            turn = words(text)
            pairs = list(pairwise(turn))
            repeated = sum(pair in earlier_pairs for pair in pairs) / max(len(pairs), 1)
            rank -= self.settings.repetition_penalty * repeated
            again = says_again(turn, earlier)
            reply = Reply(text or SILENCE, ids, one.score, rank, again, one.text is not None)
            made_up = self.ranker is not None and not self.ranker.has_words(turns, text)
            candidates.append(((not text, again, not one.ended, made_up, -rank), reply))
        return [reply for _, reply in sorted(candidates, key=lambda candidate: candidate[0])]

    def _step(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        return self._alone(self._stepping((tokens, state)))

    def _stepping(self, request: tuple[Tensor, State | None]) -> Steps[tuple[Tensor, State]]:
        """Merge the probabilities of all tokens that end a reply into that of the first."""
        tokens, state = request
        read = yield Tokens(tokens.numpy()[None], state, logits=True)
        logits = torch.from_numpy(read.logits)
        end = logits[:, self._ends].logsumexp(1)
        logits[:, self._ends] = -torch.inf
        logits[:, self._ends[0]] = end
        return logits, read.state
