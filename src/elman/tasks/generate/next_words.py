"""The likeliest next words: of a vocabulary, or spelt by a small beam where tokens are parts of words."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman import decode
from elman.data.text.vocabulary import RESERVED, combining

BEAM: Final = 24  # beginnings of words that are followed
BRANCHES: Final = 24  # tokens that each may go on with
LONGEST: Final = 24  # tokens of a word
ENOUGH: Final = 0.02  # what is still to come may add so much to the last of the words found
HALF: Final = "\ufffd"  # said by a token that is only some bytes of a character; such words aren't found

Words = list[tuple[str, float]]


def completed(logs: Tensor, vocabulary: Any, begun: str, count: int) -> Words:
    """From log probabilities (V) of words: those that begin so, and their shares of all that begin so.

    A word with the space before it and without is one word.
    """
    found: defaultdict[str, float] = defaultdict(float)
    for token, p in enumerate(logs.exp().tolist()[RESERVED:], RESERVED):
        word = vocabulary.decode([token]).strip()
        if word and word.startswith(begun):
            found[word] += p
    return _best(found, count)


class _Begin(NamedTuple):
    """The beginning of a word: ln p, its letters, and what of the typed text is still to be said."""

    total: float
    text: str
    left: str


def spelt(
    model: decode.Model, vocabulary: Any, last: int, held: Any, begun: str, count: int, typed: str = ""
) -> Words:
    """From a model of parts of words, after the token `last` and what was before it: words that go on from
    `begun`, and their probabilities. A punctuation mark is a word, too.

    A word's probability is that of its tokens and of something after them that ends it. `typed` is the end
    of the text that was not read yet, as its tokens may reach further: given that it comes.
    """
    found: defaultdict[str, float] = defaultdict(float)
    running, tokens, given = [_Begin(0.0, "", typed)], torch.tensor([last]), 0.0
    for _ in range(LONGEST):
        logits, held = model.step(tokens, held)
        logs = logits.log_softmax(1)
        grown: list[tuple[_Begin, int, int]] = []
        for row, (before, text, left) in enumerate(running):
            for token, piece, value in _likeliest(logs[row], vocabulary, left):
                if HALF in piece:
                    continue
                total = before + value
                if len(piece) < len(left):
                    grown.append((_Begin(total, text, left[len(piece) :]), token, row))
                    continue
                given += math.exp(total) if left else 0.0
                longer, ended = _grown(text, piece[len(left) :], bool(begun))
                if ended:
                    found[begun + longer] += math.exp(total)
                else:
                    grown.append((_Begin(total, longer, ""), token, row))
        grown = sorted(grown, reverse=True)[:BEAM]
        if not grown or _enough(found, count, sum(math.exp(begin.total) for begin, *_ in grown)):
            break
        running = [begin for begin, _, _ in grown]
        tokens = torch.tensor([token for _, token, _ in grown])
        held = model.select(held, torch.tensor([row for _, _, row in grown]))
    return _best({word: p / (given or 1.0) for word, p in found.items()}, count, shares=False)


def _likeliest(logs: Tensor, vocabulary: Any, left: str) -> Iterator[tuple[int, str, float]]:
    """Tokens, what they say and their ln p; of those that agree with what is `left` to be said."""
    fits = _fitting(vocabulary, left) if left else []
    among = logs[fits] if left else logs
    best = among.topk(min(BRANCHES, len(among)))
    for place, value in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        token = fits[place] if left else place
        yield token, vocabulary.decode([token]) if token >= RESERVED else "\n", value


def _fitting(vocabulary: Any, left: str) -> list[int]:
    return [k for k, p in enumerate(_pieces(vocabulary)) if p and (p.startswith(left) or left.startswith(p))]


@lru_cache(4)
def _pieces(vocabulary: Any) -> list[str]:
    return [vocabulary.decode([k]) if k >= RESERVED else "" for k in range(len(vocabulary))]


def _enough(found: dict[str, float], count: int, left: float) -> bool:
    """Whether what is still followed can no longer change the best words by much."""
    best = sorted(found.values(), reverse=True)[:count]
    return len(best) == count and left < ENOUGH * best[-1]


def trailing_word(text: str) -> str:
    """The word, or part of one, that a text ends in."""
    match = re.search(rf"{_word()}\Z", text)
    return match[0] if match else ""


@cache
def _word() -> str:
    """Letters, digits, apostrophes, hyphens, and the marks that letters carry."""
    return rf"[\w'’{combining()}-]*"


def _grown(text: str, piece: str, begun: bool) -> tuple[str, bool]:
    """A word so far with one more token, and whether that ends it. Blanks before a word count for nothing."""
    inside = bool(text) or begun
    piece = piece if inside else piece.lstrip()
    match = re.match(_word(), piece)
    head = match[0] if match else ""
    if not inside and piece and not head:
        return piece[0], True  # a punctuation mark
    return text + head, len(head) < len(piece)


def _best(found: dict[str, float], count: int, shares: bool = True) -> Words:
    total = (sum(found.values()) or 1.0) if shares else 1.0
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:count]
    return [(word, p / total) for word, p in ordered if p > 0]
