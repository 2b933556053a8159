"""From sentences to translations: greedy or by beam search, many sentences at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from elman import decode
from elman.data.batches import pad
from elman.tasks.translate.codec import END, NEVER, Codec, Source, sentences
from elman.tasks.translate.copying import SLOTS
from elman.tasks.translate.network import EncoderDecoder, Memory, State, selected
from elman.tasks.translate.problem import LONGEST
from elman.training.loop import device_of

ROWS: Final = 160  # hypotheses that are stepped at once


@dataclass(frozen=True, eq=False)
class Translated:
    """One translation of one text.

    Attributes:
        text: the translation.
        score: sum of the logarithms of its tokens' probabilities.
        source, target: the parts of both texts that the network's tokens stand for.
        attention: (target, source) how much each part of the translation looked at each of the source.
    """

    text: str
    score: float
    source: tuple[str, ...]
    target: tuple[str, ...]
    attention: Tensor

    def draw(self, path: str | Path) -> None:
        """A picture of the attention, .png or .svg. Raises UsageError for another ending."""
        from elman.lens.plot import draw_attention

        draw_attention(path, self.source, self.target, self.attention.numpy())


class Held(NamedTuple):
    """Of N hypotheses: which sentence each is of, what the network carries, and what it looks back at."""

    owner: Tensor  # (N,)
    state: State
    memory: Memory
    room: Tensor  # (N, SLOTS) 0 where there is a word to copy, else -inf


class Translating:
    """Some sentences, read, as a model that `elman.decode` steps."""

    def __init__(self, network: EncoderDecoder, codec: Codec, sources: Sequence[Source]) -> None:
        self._network, self._slots_from = network, len(codec.target)
        self.device = device_of(network)
        ids, lengths = pad([source.ids for source in sources])
        with torch.no_grad():
            self._memory, state = network.encode(ids.to(self.device), lengths.to(self.device))
        counts = torch.tensor([len(source.slots) for source in sources], device=self.device)
        missing = torch.arange(SLOTS, device=self.device) >= counts[:, None]
        self._room = torch.zeros(missing.shape, device=self.device).masked_fill(missing, -torch.inf)
        self.first = torch.full_like(counts, END)
        self.held = Held(torch.arange(len(sources), device=self.device), state, self._memory, self._room)
        self.limit = (2 * lengths + 10).to(self.device)
        self.model = decode.Model(self._step, self._select, lambda held: held.state.weights)
        self.banned = torch.tensor([NEVER], device=self.device)

    def _step(self, tokens: Tensor, held: Held) -> tuple[Tensor, Held]:
        features, state = self._network.step(tokens, held.state, held.memory)
        with torch.no_grad():
            logits = self._network.logits(features)
        logits[:, self._slots_from :] += held.room
        return logits, held._replace(state=state)

    def _select(self, held: Held, rows: Tensor) -> Held:
        owner, state = held.owner[rows], selected(held.state, rows)
        if torch.equal(owner, held.owner):  # hypotheses changed places within their sentences
            return held._replace(state=state)
        memory = Memory(*(part[owner] for part in self._memory))
        return Held(owner, state, memory, self._room[owner])


def translate(
    network: EncoderDecoder,
    codec: Codec,
    texts: Sequence[str],
    *,
    width: int = 5,
    n_best: int = 1,
    length_penalty: float = 1.0,
) -> list[list[Translated]]:
    """The `n_best` translations of each text, best first; long texts go piece by piece.

    Raises:
        UsageError: a width, n_best or length_penalty that can't be.
    """
    cuts = [pieces(codec, text) for text in texts]
    flat = [piece for cut in cuts for piece in cut]
    reads = [codec.read(piece) for piece in flat]
    found: dict[int, list[Translated]] = {}
    order = sorted(range(len(flat)), key=lambda i: len(reads[i].ids))
    size = max(1, ROWS // width) if width >= 1 else 1
    for begin in range(0, len(order), size):
        batch = order[begin : begin + size]
        answers = _searched(network, codec, [reads[i] for i in batch], width, n_best, length_penalty)
        for i, answer in zip(batch, answers, strict=True):
            parts = codec.source_pieces(flat[i], reads[i].slots)
            found[i] = [_translated(codec, reads[i], parts, *one) for one in answer]
    answers_in_order = iter(found[i] for i in range(len(flat)))
    return [joined([next(answers_in_order) for _ in cut], n_best) for cut in cuts]


def _searched(
    network: EncoderDecoder,
    codec: Codec,
    sources: Sequence[Source],
    width: int,
    n_best: int,
    length_penalty: float,
) -> list[list[tuple[Tensor, float, Tensor]]]:
    """Of each source the best: tokens (L), score, attention (L, S)."""
    at = Translating(network, codec, sources)
    found = decode.beam(
        at.model,
        at.first,
        at.held,
        width=width,
        end=END,
        limit=at.limit,
        length_penalty=length_penalty,
        n_best=n_best,
        banned=at.banned,
    )
    assert found.trace is not None
    tokens, scores, trace = found.tokens.cpu(), found.scores.cpu(), found.trace.float().cpu()
    answers = []
    for i, source in enumerate(sources):
        kept = [k for k in range(n_best) if found.lengths[i, k]]
        lengths = [int(found.lengths[i, k]) for k in kept]
        answers.append(
            [
                (tokens[i, k, :n], float(scores[i, k]), trace[i, k, :n, : len(source.ids)])
                for k, n in zip(kept, lengths, strict=True)
            ]
        )
    return answers


def _translated(
    codec: Codec, source: Source, parts: list[str], tokens: Tensor, score: float, attention: Tensor
) -> Translated:
    ids = [i for i in tokens.tolist() if i != END]
    target = codec.pieces(ids, source.slots)
    weights = attention[: len(ids), : len(parts) - 1]
    return Translated("".join(target).strip(), score, tuple(parts[:-1]), tuple(target), weights)


def joined(parts: list[list[Translated]], n_best: int) -> list[Translated]:
    """The translations of a text's pieces as those of the text: best with best, second with second."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return [Translated("", 0.0, (), (), torch.zeros(0, 0))]
    rows = [[part[min(k, len(part) - 1)] for part in parts] for k in range(n_best)]
    return [
        Translated(
            " ".join(one.text for one in row if one.text),
            sum(one.score for one in row),
            tuple(piece for one in row for piece in one.source),
            tuple(piece for one in row for piece in one.target),
            _blocks([one.attention for one in row]),
        )
        for row in rows
    ]


def _blocks(parts: list[Tensor]) -> Tensor:
    """Each piece looked at itself alone."""
    whole = torch.zeros(sum(len(part) for part in parts), sum(part.shape[1] for part in parts))
    row = column = 0
    for part in parts:
        whole[row : row + len(part), column : column + part.shape[1]] = part
        row, column = row + len(part), column + part.shape[1]
    return whole


def pieces(codec: Codec, text: str) -> list[str]:
    """A text in pieces that the network can take: sentences, and where these are long, runs of words; or the
    whole, if it is short and the network has learned from several sentences at once. A text of nothing but
    blanks has none."""
    if not codec.single and _fits(codec, whole := " ".join(text.split())):
        return [whole] if whole else []
    return [piece for sentence in sentences(text) for piece in _by_words(codec, sentence)]


def _fits(codec: Codec, text: str) -> bool:
    """Whether the network can take it at once. A token is a character at least, or one of its four bytes."""
    return len(text) <= LONGEST // 4 or (len(text) <= 64 * LONGEST and len(codec.read(text).ids) <= LONGEST)


def _by_words(codec: Codec, sentence: str) -> Iterator[str]:
    """A sentence in pieces of at most LONGEST tokens, cut at blanks, or anywhere in a longer word."""
    if _fits(codec, sentence):
        yield from [sentence] if sentence else []
        return
    begun = ""
    for word in sentence.split(" "):
        for part in (word[at : at + LONGEST // 4] for at in range(0, len(word), LONGEST // 4)):
            longer = f"{begun} {part}".strip()
            fits = _fits(codec, longer)
            if not fits:
                yield begun
            begun = longer if fits else part
    yield begun
