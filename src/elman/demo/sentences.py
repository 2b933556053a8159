"""The *not … good* problem: hold one small word in mind while others go by.

    the music was not good , the movie was very good , so she the book was not good , went home on a .

Was the movie good? The answer depends on one word. Two more clauses, about the book and the music, may have a
"not" of their own, so counting words does not tell whose "not" is whose. `gap` words lie between the movie's
clause and the full stop, after which the answer is read: a network must remember the "not" until then.

Shapes: T words, B sentences.
"""

from itertools import product
from typing import Final

import torch
from torch import Tensor

CLAUSE: Final = ("the", "movie", "was", "very", "good", ",")
OTHERS: Final = ("book", "music")
_FILLER = "a and then we on in it our day went home she with by so for at his her their"
FILLER: Final = tuple(_FILLER.split())
WORDS: Final = tuple(dict.fromkeys((*CLAUSE, *OTHERS, "not", ".", *FILLER)))
# A block is the eight sentences that differ only in which of the movie, the book and the music is "not" good.
KINDS: Final = tuple(product((False, True), repeat=3))
BLOCK: Final = len(KINDS)

_ID: Final = {word: i for i, word in enumerate(WORDS)}
_CLAUSE_IDS: Final = torch.tensor([_ID[word] for word in CLAUSE])
_FILLER_IDS: Final = torch.tensor([_ID[word] for word in FILLER])
_NOUN, _FLAG, _LONG = CLAUSE.index("movie"), CLAUSE.index("very"), len(CLAUSE)
_BEFORE: Final = _LONG * len(OTHERS)  # words before the movie's clause: room for the others


def sentences(gap: int, blocks: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return word ids (T, B) and whether the movie was good (B,), for B = 8 * blocks, half of them good.

    No function of the word counts gets more than six of a block's eight sentences right; see `bag_ceiling`.
    """
    length = _BEFORE + _LONG + gap + 1
    filler = torch.randint(len(FILLER), (length, blocks), generator=generator)
    words = _FILLER_IDS[filler].repeat_interleave(BLOCK, 1)
    negated = torch.tensor(KINDS).repeat(blocks, 1)
    _put(words, torch.full((blocks,), _BEFORE), "movie", negated[:, 0])
    for i, noun in enumerate(OTHERS):
        _put(words, _starts(gap, blocks, i, generator), noun, negated[:, 1 + i])
    words[-1] = _ID["."]
    return words, ~negated[:, 0]


def _starts(gap: int, blocks: int, other: int, generator: torch.Generator) -> Tensor:
    """Draw where clause `other` of each block starts: before the movie's, or in its half of the gap."""
    half = gap // len(OTHERS)
    first = _BEFORE + _LONG + other * half
    inside = first + (torch.rand(blocks, generator=generator) * (half - _LONG + 1)).long()
    before = torch.rand(blocks, generator=generator) < 0.5
    return torch.where(before | torch.tensor(half < _LONG), other * _LONG, inside)


def _put(words: Tensor, starts: Tensor, noun: str, negated: Tensor) -> None:
    """Write a clause into words (T, B), starting at `starts` (blocks,)."""
    columns = torch.arange(words.shape[1])
    rows = starts.repeat_interleave(BLOCK) + torch.arange(_LONG)[:, None]
    words[rows, columns] = _CLAUSE_IDS[:, None].expand(rows.shape)
    words[rows[_NOUN], columns] = _ID[noun]
    words[rows[_FLAG], columns] = torch.where(negated, _ID["not"], _ID["very"])


def written(words: Tensor) -> str:
    """Return one sentence (T,) as text."""
    return " ".join(WORDS[int(i)] for i in words)


def examples(count: int, longest: int = 8, seed: int = 0) -> dict[str, list[str]]:
    """Return at least `count` sentences with gaps of up to `longest` words, as columns `text` and `label`."""
    generator = torch.Generator().manual_seed(seed)
    texts: list[str] = []
    labels: list[str] = []
    while len(texts) < count:
        gap = int(torch.randint(longest + 1, (1,), generator=generator))
        words, good = sentences(gap, 1, generator)
        texts += [written(column) for column in words.T]
        labels += ["good" if answer else "not good" for answer in good]
    return {"text": texts, "label": labels}


def bag_ceiling() -> float:
    """Return the highest accuracy that any function of the word counts can reach, by enumeration."""
    words, good = sentences(0, 1, torch.Generator().manual_seed(0))
    answers: dict[tuple[int, ...], list[bool]] = {}
    for column, answer in zip(words.T.tolist(), good.tolist(), strict=True):
        answers.setdefault(tuple(sorted(column)), []).append(answer)
    return sum(max(labels.count(True), labels.count(False)) for labels in answers.values()) / BLOCK
