"""The likeliest next words: read off a vocabulary of words, or spelled by a beam of smaller tokens."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.data.text.tokenizers import RESERVED
from elman.data.text.unicode import combining_marks
from elman.data.text.vocabulary import AnyVocabulary, Vocabulary

BEAM_WIDTH: Final = 24  # prefixes of words that are extended
BRANCHES: Final = 24  # tokens that extend each
MAX_WORD_TOKENS: Final = 24
# The search ends when all running prefixes together have this share of the last word's probability.
NEGLIGIBLE_SHARE: Final = 0.02
INCOMPLETE: Final = "\ufffd"  # decoded from a token of only some bytes of a character; such words are skipped

Array = NDArray[Any]
Words = list[tuple[str, float]]


def completed(logits: Array, vocabulary: Vocabulary, begun: str, count: int) -> Words:
    """Return the words that begin with `begun`, best first, from log-probabilities (V), up to a constant,
    with their shares of the probability of all such words. A word with a space before it and one without are
    the same."""
    words, numbers = vocabulary.words
    odds = np.exp((logits - logits.max()).astype(np.float64))
    ps = np.bincount(numbers, odds[RESERVED:], len(words))
    chosen = vocabulary.words_from(begun)
    total = float(ps[chosen].sum()) or 1.0
    if len(chosen) > count:  # and those as likely as the last of the best
        among = ps[chosen]
        chosen = chosen[among >= np.partition(among, -count)[-count]]
    best = zip(chosen.tolist(), ps[chosen].tolist(), strict=True)
    return _best({words[k]: p for k, p in best}, count, total)


class _Prefix(NamedTuple):
    """The beginning of a word."""

    log_prob: float
    text: str
    left: str  # of the typed text, still to be matched


def spelled(
    select: Callable[[Any, Tensor], Any],
    vocabulary: AnyVocabulary,
    last: int,
    state: Any,
    begun: str,
    count: int,
    typed: str = "",
) -> Generator[tuple[list[int], Any], tuple[Tensor, Any], Words]:
    """Return words that continue `begun` and their probabilities, best first, by a model of smaller tokens.

    Its steps are left to the caller: this yields tokens (N) and the state of their rows, and takes
    log-probabilities (N, V), up to a constant, and the next state.

    A word's probability is that of its tokens and of any next token that ends it. A punctuation mark is a
    word.

    Args:
        select: from a state and rows (M) to the state of these rows.
        last, state: the last token read, and the state before it.
        typed: the end of the text, not read yet because a token may cross its end; probabilities are
            conditional on it.
    """
    words: defaultdict[str, float] = defaultdict(float)
    running, tokens, p_typed = [_Prefix(0.0, "", typed)], [last], 0.0
    for _ in range(MAX_WORD_TOKENS):
        logits, state = yield tokens, state
        log_probs = logits.log_softmax(1)
        extended: list[tuple[_Prefix, int, int]] = []
        for row, (before, text, left) in enumerate(running):
            for token, piece, log_prob in _likeliest(log_probs[row], vocabulary, left):
                if INCOMPLETE in piece:
                    continue
                total = before + log_prob
                if len(piece) < len(left):
                    extended.append((_Prefix(total, text, left[len(piece) :]), token, row))
                    continue
                p_typed += math.exp(total) if left else 0.0
                longer, ended = _extend(text, piece[len(left) :], bool(begun))
                if ended:
                    words[begun + longer] += math.exp(total)
                else:
                    extended.append((_Prefix(total, longer, ""), token, row))
        extended = sorted(extended, reverse=True)[:BEAM_WIDTH]
        p_running = sum(math.exp(prefix.log_prob) for prefix, *_ in extended)
        if not extended or _is_settled(words, count, p_running):
            break
        running = [prefix for prefix, _, _ in extended]
        tokens = [token for _, token, _ in extended]
        state = select(state, torch.tensor([row for _, _, row in extended]))
    return _best(words, count, p_typed or 1.0)


def _likeliest(log_probs: Tensor, vocabulary: AnyVocabulary, left: str) -> Iterator[tuple[int, str, float]]:
    """Yield tokens, their text and log-probabilities; only tokens that agree with `left`."""
    tokens = _matching(vocabulary, left) if left else []
    among = log_probs[tokens] if left else log_probs
    best = among.topk(min(BRANCHES, len(among)))
    for position, log_prob in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        token = tokens[position] if left else position
        yield token, vocabulary.decode([token]) if token >= RESERVED else "\n", log_prob


def _matching(vocabulary: AnyVocabulary, left: str) -> list[int]:
    pieces = enumerate(_pieces(vocabulary))
    return [k for k, piece in pieces if piece and (piece.startswith(left) or left.startswith(piece))]


@lru_cache(4)
def _pieces(vocabulary: AnyVocabulary) -> list[str]:
    return [vocabulary.decode([k]) if k >= RESERVED else "" for k in range(len(vocabulary))]


def _is_settled(words: dict[str, float], count: int, p_running: float) -> bool:
    best = sorted(words.values(), reverse=True)[:count]
    return len(best) == count and p_running < NEGLIGIBLE_SHARE * best[-1]


def trailing_word(text: str) -> str:
    """Return the word, or part of one, at the end of a text; "" if there is none."""
    match = re.match(_word(), text[::-1])  # a search for the end would try every word's every letter
    return match[0][::-1] if match else ""


@cache
def _word() -> str:
    return rf"[\w'’{combining_marks()}-]*"


def _extend(text: str, piece: str, begun: bool) -> tuple[str, bool]:
    """Extend a word by the text of a token; return it, and whether it has ended. Leading blanks are
    dropped."""
    inside = bool(text) or begun
    piece = piece if inside else piece.lstrip()
    match = re.match(_word(), piece)
    head = match[0] if match else ""
    if not inside and piece and not head:
        return piece[0], True  # a punctuation mark
    return text + head, len(head) < len(piece)


def _best(words: dict[str, float], count: int, total: float) -> Words:
    ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:count]
    return [(word, p / total) for word, p in ordered if p > 0]
