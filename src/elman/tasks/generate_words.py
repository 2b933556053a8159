"""The likeliest next words: of a vocabulary, or spelt by a small beam where tokens are parts of words."""

import math
import re
from collections import defaultdict
from typing import Any, Final

import torch
from torch import Tensor

from elman import decode
from elman.data.vocabulary import RESERVED

BEAM: Final = 24  # beginnings of words that are followed
BRANCHES: Final = 24  # tokens that each may go on with
LONGEST: Final = 24  # tokens of a word
ENOUGH: Final = 0.02  # what is still to come may add so much to the last of the words found
WORD: Final = re.compile(r"[\w'’-]*")
TAIL: Final = re.compile(r"[\w'’-]*\Z")

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


def spelt(model: decode.Model, vocabulary: Any, last: int, held: Any, begun: str, count: int) -> Words:
    """From a model of parts of words, after the token `last` and what was before it: words that go on from
    `begun`, and their probabilities. A punctuation mark is a word, too.

    A word's probability is that of its tokens and of something after them that ends it.
    """
    found: defaultdict[str, float] = defaultdict(float)
    running, tokens = [("", 0.0)], torch.tensor([last])
    for _ in range(LONGEST):
        logs, held = model.step(tokens, held)
        best = logs.topk(min(BRANCHES, logs.shape[1]))
        grown: list[tuple[float, str, int, int]] = []
        for row, (text, total) in enumerate(running):
            for token, value in zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True):
                piece = vocabulary.decode([token]) if token >= RESERVED else "\n"
                text_now, ended = _grown(text, piece, bool(begun))
                if ended:
                    found[begun + text_now] += math.exp(total + value)
                else:
                    grown.append((total + value, text_now, token, row))
        grown = sorted(grown, reverse=True)[:BEAM]
        enough = sorted(found.values(), reverse=True)[:count]
        left = sum(math.exp(total) for total, *_ in grown)
        if not grown or (len(enough) == count and left < ENOUGH * enough[-1]):
            break
        running = [(text, total) for total, text, _, _ in grown]
        tokens = torch.tensor([g[2] for g in grown])
        held = model.select(held, torch.tensor([g[3] for g in grown]))
    return _best(found, count, shares=False)


def _grown(text: str, piece: str, begun: bool) -> tuple[str, bool]:
    """A word so far with one more token, and whether that ends it. Blanks before a word count for nothing."""
    inside = bool(text) or begun
    piece = piece if inside else piece.lstrip()
    match = WORD.match(piece)
    head = match[0] if match else ""
    if not inside and piece and not head:
        return piece[0], True  # a punctuation mark
    return text + head, len(head) < len(piece)


def _best(found: dict[str, float], count: int, shares: bool = True) -> Words:
    total = (sum(found.values()) or 1.0) if shares else 1.0
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:count]
    return [(word, p / total) for word, p in ordered if p > 0]
