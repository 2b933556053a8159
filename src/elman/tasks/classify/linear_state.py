"""The linear classifier on a text that arrives word by word."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.network import CHUNK_STEPS
from elman.tasks.classify.ngrams import MAX_PHRASE_WORDS, Array, joined
from elman.tasks.stream_state import Saved


class LinearState:
    """The sums of a text, in memory that is bounded by the vocabulary's size.

    A text's logits are sums over its n-grams, divided by the norm of their values, which is a sum, too. One
    more occurrence of an n-gram changes both, by an amount that depends on its count.
    """

    def __init__(self, model: LinearModel) -> None:
        self._model = model
        self._counts: dict[int, int] = {}  # of n-grams; an array of all would be large for many texts
        self._words = np.zeros(0, np.int64)  # the last ones, with which phrases may begin
        # of words and phrases, and of pieces; in float64, as errors would add up
        self._sums = [torch.zeros(len(model.bias), dtype=torch.float64) for _ in range(2)]
        self._squares = [torch.zeros((), dtype=torch.float64) for _ in range(2)]
        self.logits = model.bias.double()  # (K,) of the text so far

    def copy(self) -> "LinearState":
        """Return a state that can read on without a change to this one."""
        other = LinearState(self._model)
        other._counts, other._words = self._counts.copy(), self._words
        other._sums, other._squares, other.logits = [*self._sums], [*self._squares], self.logits
        return other

    def tensors(self) -> dict[str, Tensor]:
        """Return the sums by name, for `restore`."""
        return {
            "counts": torch.tensor(list(self._counts.items()), dtype=torch.int64).reshape(-1, 2),
            "last_words": torch.from_numpy(self._words),
            "sums": torch.stack(self._sums),
            "squares": torch.stack(self._squares),
            "linear_logits": self.logits,
        }

    def restore(self, read: Saved) -> None:
        """Continue from what `tensors` returned. Raises ValueError or LookupError for other tensors."""
        model, labels = self._model, len(self._model.bias)
        counts = read.tensor("counts", torch.int64, read.length("counts") // 2, 2)
        known = counts[:, 0]
        if len(counts) and not (0 <= known.min() <= known.max() < len(model.idf) and counts.min() >= 0):
            raise ValueError("an n-gram is not of the vocabulary")
        length = read.length("last_words", MAX_PHRASE_WORDS - 1)
        words = read.tensor("last_words", torch.int64, length)
        if length and not -1 <= int(words.min()) <= int(words.max()) < len(model.ngrams.words):
            raise ValueError("a word is not of the vocabulary")
        sums = read.tensor("sums", torch.float64, 2, labels)
        squares = read.tensor("squares", torch.float64, 2)
        self.logits = read.tensor("linear_logits", torch.float64, labels)
        self._sums, self._squares = [*sums], [*squares]
        self._counts, self._words = dict(map(tuple, counts.tolist())), words.numpy()

    def read(self, words: Sequence[str]) -> Tensor:
        """Read the next T words; return the logits (T, K) of the text up to each of them."""
        starts = range(0, len(words), CHUNK_STEPS)
        rows = [self._read(words[start : start + CHUNK_STEPS]) for start in starts]
        return torch.cat([self.logits.unsqueeze(0)[:0], *rows])

    def _read(self, words: Sequence[str]) -> Tensor:
        places, ngrams = self._occurrences(words)
        order = np.lexsort((places, ngrams))
        places, ngrams = places[order], ngrams[order]
        first = np.flatnonzero(np.diff(ngrams, prepend=-1))
        sizes = np.diff(first, append=len(ngrams))
        counts = self._counts
        different = ngrams[first].tolist()
        known = np.array([counts.get(ngram, 0) for ngram in different], np.int64)
        earlier = np.repeat(known - first, sizes) + np.arange(len(ngrams))
        counts.update(zip(different, (known + sizes).tolist(), strict=True))
        idf = self._model.idf.numpy()[ngrams].astype(np.float64)
        before, after = (idf * (n > 0) * (1 + np.log(np.maximum(n, 1))) for n in (earlier, earlier + 1))
        logits = self._model.bias.double().repeat(len(words), 1)
        pieces = ngrams >= self._model.ngrams.first_piece
        for block, chosen in enumerate((~pieces, pieces)):
            where = torch.from_numpy(places[chosen])
            weights = self._model.weights[torch.from_numpy(ngrams[chosen])].double()
            gains = torch.from_numpy((after - before)[chosen]).unsqueeze(1) * weights
            sums = torch.zeros_like(logits).index_add_(0, where, gains).cumsum(0) + self._sums[block]
            gains = torch.from_numpy((after**2 - before**2)[chosen])
            squares = torch.zeros_like(logits[:, 0]).index_add_(0, where, gains).cumsum(0)
            squares = squares + self._squares[block]
            self._sums[block], self._squares[block] = sums[-1].clone(), squares[-1].clone()
            logits += torch.where(squares > 0, squares, 1).rsqrt().unsqueeze(1) * sums
        self.logits = logits[-1].clone()
        return logits

    def _occurrences(self, words: Sequence[str]) -> tuple[Array, Array]:
        """Return the n-grams of the next words, and at which of them each is complete."""
        vocabulary = self._model.ngrams
        numbers = np.concatenate([self._words, vocabulary.word_numbers(words)])
        earlier = len(self._words)
        self._words = numbers[-(MAX_PHRASE_WORDS - 1) :]
        pieces = joined([vocabulary.pieces_of(word) for word in words], np.arange(len(words)))
        ends, ngrams = [pieces[0]], [pieces[1]]
        for longer, phrases in enumerate(vocabulary.phrases_of(numbers)):
            end = np.arange(len(phrases)) + longer - earlier
            fresh = (phrases >= 0) & (end >= 0)
            ends.append(end[fresh])
            ngrams.append(phrases[fresh])
        return np.concatenate(ends), np.concatenate(ngrams)
