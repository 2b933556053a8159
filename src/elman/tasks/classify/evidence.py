"""Evidence of words and phrases for each label, counted in the training texts: inputs of a network, beside
the vectors of words.

The evidence is naive Bayes' log-count ratios: Wang, Manning, ACL 2012. That of a training text must not be
counted in the text itself, or the network learns to trust phrases that say nothing about other texts. So the
training texts are divided into parts, and the evidence that is read in one part is counted in all others
(cross-fitting, as in target encoding). The vocabulary of phrases is of all of them: no label decides it.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import text_hashes
from elman.data.text.tokenizers import PADDING
from elman.tasks.classify.examples import Encoded, Fold, Ids
from elman.tasks.classify.labels import membership

PARTS: Final = 5
MAX_PHRASES: Final = 800_000
MAX_VALUES: Final = 1 << 22  # phrases · classes
MAX_CLASSES: Final = 200  # the first ones, for which there is evidence
MIN_TEXTS: Final = 2  # in which a phrase must occur
MAX_COUNTED_TOKENS: Final = 20_000_000  # which take about 2 GB while they are counted
MIN_COUNTED_TEXTS: Final = 1000


class Tables(NamedTuple):
    """The evidence of N words and phrases for K classes."""

    values: Tensor  # (N, K), counted in all texts
    others: Tensor  # (PARTS, N, K), counted in the texts outside each part


class Evidence(nn.Module):
    """The evidence of the word, and of each phrase of up to `longest` words, that ends at a step.

    Attributes:
        phrases: (P,) int64, ascending: the number of a beginning, which is a word or a phrase, times the
            number of words, plus the last word. Numbers below `words` are words, higher ones the phrases.
        values: (words + P, K), 0 for padding, which stands for all phrases that are not in the vocabulary;
            K is the number of classes, or the most for which there is evidence.
    """

    values: Tensor
    phrases: Tensor
    others: Tensor | None

    def __init__(self, phrases: Tensor, words: int, classes: int, longest: int) -> None:
        super().__init__()
        self.words, self.longest = words, longest
        self.register_buffer("phrases", phrases, persistent=False)
        self.register_buffer("values", torch.zeros(words + len(phrases), min(classes, MAX_CLASSES)))
        self.register_buffer("others", None, persistent=False)

    @property
    def size(self) -> int:
        """The number of values at a step."""
        return self.longest * self.values.shape[1]

    def learn(self, tables: Tables) -> None:
        """Take the evidence of the training texts. Checkpoints hold none: to resume counts it anew."""
        self.register_buffer("values", tables.values.clone(), persistent=False)
        self.others = tables.others

    def end_training(self) -> None:
        """Save the evidence of all texts from now on, and drop that of the texts outside each part."""
        self.register_buffer("values", self.values)
        self.others = None

    def numbers(self, ids: Tensor) -> Tensor:
        """Return the numbers (T, B, longest) of the word and the phrases that end at each step of ids (T, B),
        0 for those that are not in the vocabulary."""
        return torch.stack(ending(ids, self.phrases, self.words, self.longest), 2)

    def forward(self, numbers: Tensor, parts: Tensor | None = None) -> Tensor:
        """Return the evidence (T, B, size), given `numbers`. With `parts` (B,), to which the texts belong, it
        is that of the texts outside."""
        if parts is None or self.others is None:
            return F.embedding(numbers, self.values).flatten(2)
        rows = numbers + (parts * len(self.values)).view(1, -1, 1)
        return F.embedding(rows, self.others.flatten(0, 1)).flatten(2)


def ending(ids: Tensor, phrases: Tensor, words: int, longest: int) -> list[Tensor]:
    """Return for each length from 1 to `longest` the numbers (T, B) of the phrases that end at each step."""
    numbers = [ids]
    for _ in range(longest - 1):
        before = F.pad(numbers[-1][:-1], (0, 0, 1, 0), value=PADDING)
        keys = before * words + ids  # no phrase where either is padding
        if not len(phrases):
            numbers.append(torch.zeros_like(ids))
            continue
        places = torch.searchsorted(phrases, keys).clamp(max=len(phrases) - 1)
        numbers.append(torch.where(phrases[places] == keys, places + words, PADDING))
    return numbers


def find_phrases(texts: Sequence[Ids], words: int, most: int, longest: int) -> Tensor:
    """Return the phrases (P,) of two to `longest` words that occur in several texts; see `Evidence`. There
    are at most `most`: shorter ones first, then commoner ones."""
    ids, rows = _separated(texts)
    phrases = torch.zeros(0, dtype=torch.int64)
    for length in range(2, longest + 1):
        before = ending(ids, phrases, words, length - 1)[-1][:-1, 0]
        last = ids[1:, 0]
        inside = (before != PADDING) & (last != PADDING)
        keys, which = np.unique((before * words + last)[inside].numpy(), return_inverse=True)
        pairs = np.unique(rows[1:][inside].numpy() * len(keys) + which)
        counts = np.bincount(pairs % max(len(keys), 1), minlength=len(keys))
        common = np.flatnonzero(counts >= MIN_TEXTS)
        common = common[np.argsort(-counts[common], kind="stable")[: most - len(phrases)]]
        phrases = torch.cat([phrases, torch.from_numpy(np.sort(keys[common]))])
    return phrases


def learn_evidence(
    examples: Encoded, folds: Sequence[Fold], parts: Tensor, words: int, classes: int, longest: int
) -> tuple[Tensor, list[Tables]]:
    """Return the phrases of the texts that some fold learns from, and the evidence of each fold's texts; of
    very many texts, those of a sample.

    Args:
        examples: N texts.
        parts: (N,) to which each text belongs.
        words: the number of token ids.
        classes: their number.
        longest: words of a phrase.
    """
    sample = _sample(sorted(set().union(*(fold.train for fold in folds))), examples.texts)
    most = min(MAX_PHRASES, MAX_VALUES // min(classes, MAX_CLASSES))
    phrases = find_phrases([examples.texts[row] for row in sorted(sample)], words, most, longest)
    evidence = Evidence(phrases, words, classes, longest)
    rows = [[row for row in fold.train if row in sample] for fold in folds]
    return phrases, [count(examples.take(own), parts[own], evidence) for own in rows]


def _sample(rows: Sequence[int], texts: Sequence[Ids]) -> set[int]:
    order = np.random.default_rng(0).permutation(rows)
    ends = np.cumsum([len(texts[row]) for row in order])
    return {*order[: max(int(np.searchsorted(ends, MAX_COUNTED_TOKENS)), MIN_COUNTED_TEXTS)].tolist()}


def count(examples: Encoded, parts: Tensor, evidence: Evidence) -> Tables:
    """Return the evidence of examples, each of which belongs to a part (N,)."""
    from scipy.sparse import csr_array

    ids, rows = _separated(examples.texts)
    numbers = evidence.numbers(ids)[:, 0]
    present = numbers != PADDING
    places = rows.unsqueeze(1).expand_as(numbers)[present].numpy(), numbers[present].numpy()
    shape = len(examples.texts), len(evidence.values)
    occurs: Any = csr_array((np.ones(len(places[0]), np.float32), places), shape)
    occurs.data[:] = 1  # a phrase counts once a text
    width = evidence.values.shape[1]
    has = membership(examples.labels.numpy(), width)
    counts, sizes = [], []
    for part in range(PARTS):
        inside = (parts == part).numpy()
        counts.append(torch.from_numpy((occurs[inside].T @ has[inside]).toarray("C")))
        sizes.append(torch.from_numpy(np.asarray(has[inside].sum(0))))
    counted, size = torch.stack(counts), torch.stack(sizes)
    total, whole = counted.sum(0), size.sum(0)
    others = [ratios(total - own, whole - texts) for own, texts in zip(counted, size, strict=True)]
    return Tables(ratios(total, whole), torch.stack(others))


def ratios(counts: Tensor, sizes: Tensor) -> Tensor:
    """Return the logarithms of each class's share of a phrase's texts over its share of all texts, less their
    mean over the classes, (N, K).

    Args:
        counts: (N, K) texts of each class in which each phrase occurs.
        sizes: (K,) texts of each class. Each phrase is counted in K more texts, which are divided among the
            classes as all texts are, so that a rare phrase has little evidence.
    """
    shares = (sizes + 1) / (sizes.sum() + len(sizes))
    logs = (counts / shares + len(sizes)).log()
    return logs - logs.mean(1, keepdim=True)


def occurring(texts: Sequence[Ids], words: int) -> Tensor:
    """Return the share of the texts in which each word occurs, (words,)."""
    counts = np.bincount(np.concatenate([np.unique(text) for text in texts]), minlength=words)
    return torch.from_numpy(counts / len(texts)).float()


def parts_of(texts: Sequence[str]) -> Tensor:
    """Return the part (N,) of each text; equal texts are in one."""
    return torch.tensor([key % PARTS for key in text_hashes(texts)])


def _separated(texts: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Return all ids, (S, 1), with padding before each text, and the number of the text of each, (S,)."""
    ids = np.concatenate([np.concatenate([[PADDING], text]) for text in texts]).astype(np.int64)
    return torch.from_numpy(ids).unsqueeze(1), torch.from_numpy(np.cumsum(ids == PADDING) - 1)
