"""Text ↔ token ids for language models. Id 0 ends a document, id 1 is a token outside the vocabulary.

Encoded text can be decoded: a word's token includes the space before it, and line ends are tokens.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, repeat
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from elman.data.text.tokenizers import (
    MAX_WAITING_CHARACTERS,
    RESERVED,
    UNKNOWN,
    SubwordTokenizer,
    Tokenizer,
    check_size,
    commonest,
    tokenizer_from_json,
)
from elman.data.text.unicode import CJK, combining_marks
from elman.errors import ArtifactError, UsageError, suggestion

END: Final = 0  # between documents, and before the first word of any

Kind = Literal["character", "word", "space"]
KINDS: Final = ("character", "word", "space", "subword")
UNKNOWN_TEXT: Final = {"character": "\ufffd", "word": " <unk>", "space": " <unk>"}

MAX_WORD_LETTERS: Final = 64  # longer words are cut, so that no stream has to wait for the end of one
LOOKAHEAD_CHARACTERS: Final = 2  # beyond its end, a word's pattern looks: "3.1" after "3", "n't" after "do"
MAX_DISTINCT_TOKENS: Final = 2_000_000  # counted at once
# Subwords are encoded in batches of slices, because the library needs 100 bytes a character.
SLICE_CHARACTERS: Final = 1 << 16
BATCH_SLICES: Final = 8

BLANK = re.compile(r"[^\S\n ]")
LINE_END_OR_WORD = re.compile(r"\n|\S+")


@cache
def _word() -> re.Pattern[str]:
    """Return the pattern of one token in a text whose only white space is spaces and line ends.

    "don't" and "3.14" are one token; "well-known" is three, so that its parts are known words. Letters keep
    their combining marks, and each character of Chinese and Japanese is a token.
    """
    marks = combining_marks()
    letters = rf"[^\W{CJK}]"
    longest = MAX_WORD_LETTERS
    run = rf"{letters}{{1,{longest}}}(?:[{marks}]{{1,8}}{letters}{{0,{longest}}}){{0,{longest}}}"
    number = rf"\d{{1,{longest}}}(?:[.,]\d{{1,{longest}}}){{1,{longest}}}"
    return re.compile(rf"\n| ?(?:{number}|{run}(?:['’]{run}){{0,3}}|\S)")


def token_patterns(kind: str) -> dict[str, str]:
    """Return regular expressions for a reader without elman: of each `blank` that becomes a space, and of the
    tokens (`pattern`) after that. There are none where subwords, or all between white space, are tokens."""
    never = "(?!)"
    patterns = {"character": (never, r"[\s\S]"), "word": (BLANK.pattern, _word().pattern)}
    return dict(zip(("blank", "pattern"), patterns[kind], strict=True)) if kind in patterns else {}


@dataclass(frozen=True)
class Vocabulary:
    """Characters or words as tokens.

    Of kind "character", each code point is a token. Of kind "word", tokens are words, each with the space
    before it, punctuation marks and line ends; a run of blanks counts as one space, and blanks before a line
    end are dropped. Of kind "space", they are everything between white space, and line ends; "<unk>" in the
    text is the unknown token.
    """

    kind: Kind
    tokens: tuple[str, ...]  # token i has id i + 2

    def __len__(self) -> int:
        return len(self.tokens) + RESERVED

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens, start=RESERVED)}

    @cached_property
    def _table(self) -> NDArray[np.int64]:
        """The id of each code point up to the highest known one; the last entry is for all above it."""
        codes = _codes("".join(self.tokens))
        table = np.full(int(codes.max(initial=0)) + 2, UNKNOWN, dtype=np.int64)
        table[codes] = np.arange(RESERVED, len(self))
        return table

    @cached_property
    def _strings(self) -> list[str]:
        return ["", UNKNOWN_TEXT[self.kind], *self.tokens]

    @cached_property
    def words(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different tokens without the spaces around them, and the number of that of each token, from
        the id RESERVED on."""
        numbers: dict[str, int] = {}
        each = [numbers.setdefault(token.strip(), len(numbers)) for token in self.tokens]
        return list(numbers), np.array(each, np.int64)

    def words_from(self, begun: str) -> NDArray[np.int64]:
        """Return the numbers, among `words`, of those that begin with `begun`; the empty one never does."""
        ordered, numbers = self._ordered_words

        def beginning(word: str) -> str:
            return word[: len(begun)]

        first, last = (side(ordered, begun, key=beginning) for side in (bisect_left, bisect_right))
        return numbers[first:last]

    @cached_property
    def _ordered_words(self) -> tuple[list[str], NDArray[np.int64]]:
        """All words but the empty one in their order, and their numbers."""
        ordered = sorted((word, number) for number, word in enumerate(self.words[0]) if word)
        return [word for word, _ in ordered], np.array([number for _, number in ordered], np.int64)

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return one id per token of `text`, 1 for a token outside the vocabulary."""
        if self.kind == "character":
            table = self._table
            return table[np.minimum(_codes(text), len(table) - 1)]
        ids, pieces = self._ids, self.pieces(text)
        return np.fromiter(map(ids.get, pieces, repeat(UNKNOWN)), np.int64, len(pieces))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; 0 adds nothing, 1 adds U+FFFD or " <unk>"."""
        strings = self._strings
        return "".join([strings[i] for i in ids])

    def pieces(self, text: str) -> list[str]:
        """Return the tokens of `text`, known or not, one for each id that `encode` returns."""
        if self.kind == "character":
            return list(text)
        if self.kind == "word":
            return _word().findall(_blanks_to_spaces(text))
        return [piece if piece == "\n" else " " + piece for piece in LINE_END_OR_WORD.findall(text)]

    def stable_prefix(self, text: str) -> int:
        """Return how many leading characters of `text` have tokens that no later text can change.

        The ids of this prefix, followed by those of the rest with any later text, are those of the whole.
        """
        if self.kind == "character":
            return len(text)
        spaced = _blanks_to_spaces(text)
        # No token crosses white space, and only the last of several blanks belongs to a token.
        end = max(spaced.rfind(" "), spaced.rfind("\n") + 1, 0)
        if self.kind == "space" and len(text) - end > MAX_WAITING_CHARACTERS:
            return len(text)
        if self.kind == "word":
            for match in _word().finditer(spaced, end):
                if match.end() + LOOKAHEAD_CHARACTERS > len(text):
                    break
                end = match.end()
        return end

    def characters(self, ids: Iterable[int]) -> NDArray[np.int64]:
        """Return the number of characters that each of `ids` is decoded to, 0 for the end of a document."""
        return _look_up([len(string) for string in self._strings], ids)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "tokens": list(self.tokens)}


@dataclass(frozen=True)
class SubwordVocabulary:
    """Byte-level BPE as a vocabulary, in which id 1 never occurs; see `SubwordTokenizer`."""

    tokenizer: SubwordTokenizer
    kind: Literal["subword"] = "subword"

    def __len__(self) -> int:
        return len(self.tokenizer)

    @cached_property
    def _lengths(self) -> list[int]:
        """The number of bytes that begin a character, for each token."""
        model = self.tokenizer.to_json()["model"]["model"]
        lengths, continuation = [0] * len(self), _continuation_bytes()
        for token, i in model["vocab"].items():
            lengths[i + RESERVED] = sum(letter not in continuation for letter in token)
        return lengths

    def encode(self, text: str) -> NDArray[np.int64]:
        """Return the ids of `text`, including white space at its ends."""
        slices = self._slices(text)
        batches = [slices[k : k + BATCH_SLICES] for k in range(0, len(slices), BATCH_SLICES)]
        encoded = [ids for batch in batches for ids in self.tokenizer.encode_all(batch)]
        return np.array([i for ids in encoded for i in ids], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        return self.tokenizer.decode(int(i) for i in ids)

    def pieces(self, text: str) -> list[str]:
        return [piece for part in self._slices(text) for piece in self.tokenizer.tokens(part)]

    def _slices(self, text: str) -> list[str]:
        """Cut `text` at positions that no token crosses."""
        cuts = [0]
        while cuts[-1] < len(text):
            window = text[cuts[-1] : cuts[-1] + SLICE_CHARACTERS]
            last = cuts[-1] + len(window) == len(text)
            stable = 0 if last else self.tokenizer.stable_prefix(window)
            cuts.append(cuts[-1] + (stable or len(window)))
        return [text[start:end] for start, end in pairwise(cuts)]

    def stable_prefix(self, text: str) -> int:
        return self.tokenizer.stable_prefix(text)

    def characters(self, ids: Iterable[int]) -> NDArray[np.int64]:
        """Return the number of characters that begin in each of `ids`; the sum over a text is its length."""
        return _look_up(self._lengths, ids)

    def to_json(self) -> dict[str, Any]:
        return self.tokenizer.to_json()


AnyVocabulary = Vocabulary | SubwordVocabulary


@dataclass(frozen=True)
class VocabularyTokenizer:
    """A language model's words as the `Tokenizer` of another task. Id 0, which no text holds, is padding
    there."""

    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.vocabulary.encode(text).tolist()
        return ids

    def tokens(self, text: str) -> list[str]:
        return self.vocabulary.pieces(text)

    def stable_prefix(self, text: str) -> int:
        return self.vocabulary.stable_prefix(text)

    def to_json(self) -> dict[str, Any]:
        return self.vocabulary.to_json()


def any_tokenizer_from_json(value: Any) -> Tokenizer:
    """Return the tokenizer whose `to_json` returned `value`, of a classifier's own or of a language model's.
    Raises ArtifactError for anything else."""
    if isinstance(value, dict) and "tokens" in value:
        vocabulary = vocabulary_from_json(value)
        if isinstance(vocabulary, Vocabulary):
            return VocabularyTokenizer(vocabulary)
    return tokenizer_from_json(value)


def vocabulary_from_json(value: Any) -> AnyVocabulary:
    """Return the vocabulary whose `to_json` returned `value`.

    Raises:
        ArtifactError: `value` does not describe a vocabulary.
    """
    match value:
        case {"kind": "character" | "word" | "space" as kind, "tokens": list(tokens)} if (
            all(isinstance(token, str) and token for token in tokens)
            and len(set(tokens)) == len(tokens)
            and (kind != "character" or all(len(token) == 1 for token in tokens))
        ):
            return Vocabulary(kind, tuple(tokens))
        case {"kind": "subword"}:
            tokenizer = tokenizer_from_json(value)
            assert isinstance(tokenizer, SubwordTokenizer)
            return SubwordVocabulary(tokenizer)
    raise ArtifactError(f"the vocabulary is not one of {', '.join(KINDS)}; the model's folder is damaged.")


def build_vocabulary(kind: str, pieces: Iterable[str], size: int, min_count: int) -> AnyVocabulary:
    """Build a vocabulary of at most `size` ids, the commonest tokens first, ties in code point order.

    Args:
        kind: one of KINDS.
        pieces: texts, or one text cut at ends of stable prefixes.
        size: the largest number of ids, including the two reserved ones.
        min_count: how often a token has to occur. It is ignored for subwords, and for a text of kind "space"
            that holds "<unk>", whose rare words have been replaced already.

    Raises:
        UsageError: the kind is unknown, `size` leaves no room for a token, or `min_count` is below 1.
        DataError: no token occurs often enough.
    """
    if kind not in KINDS:
        hint = suggestion(kind, KINDS) or "."
        raise UsageError(f"tokens of kind {kind!r} are unknown; give {', '.join(KINDS)}{hint}")
    if kind == "subword":
        return SubwordVocabulary(SubwordTokenizer.train(pieces, size))
    check_size(size, min_count)
    split = empty_vocabulary(kind).pieces
    counts = _count_characters(pieces) if kind == "character" else _count(split, pieces)
    if kind == "space" and counts.pop(UNKNOWN_TEXT[kind], 0):
        min_count = 1
    return Vocabulary(kind, commonest(counts, size, min_count, kind))  # type: ignore[arg-type]


def empty_vocabulary(kind: str) -> AnyVocabulary:
    """Return a vocabulary of this kind without tokens, which splits texts as `build_vocabulary` expects."""
    if kind == "subword":
        return SubwordVocabulary(SubwordTokenizer(""))
    return Vocabulary(kind, ())  # type: ignore[arg-type]


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _blanks_to_spaces(text: str) -> str:
    """Replace each blank by one space, so that positions stay the same."""
    return BLANK.sub(" ", text)


def _look_up(lengths: list[int], ids: Iterable[int]) -> NDArray[np.int64]:
    indices = ids if isinstance(ids, np.ndarray) else np.array(list(ids), dtype=np.int64)
    return np.array(lengths, dtype=np.int64)[indices]


def _continuation_bytes() -> set[str]:
    """Return the letters that byte-level BPE writes for the bytes 0x80 to 0xBF, which continue a character.

    A byte that Latin-1 prints is written as itself, the others from U+0100 on (Radford et al. 2019).
    """
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(byte if byte in printed else 256 + others.index(byte)) for byte in range(0x80, 0xC0)}


def _count(split: Callable[[str], list[str]], texts: Iterable[str]) -> Counter[str]:
    """Count the tokens, forgetting the rarer half whenever there are more than MAX_DISTINCT_TOKENS."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split(text))
        if len(counts) > MAX_DISTINCT_TOKENS:
            median = sorted(counts.values())[len(counts) // 2]
            counts = Counter({token: n for token, n in counts.items() if n > median})
    return counts


def _count_characters(texts: Iterable[str]) -> Counter[str]:
    counts = np.zeros(0, dtype=np.int64)
    for text in texts:
        more = np.bincount(_codes(text))
        if len(more) > len(counts):
            counts, more = more, counts
        counts[: len(more)] += more
    return Counter({chr(code): int(counts[code]) for code in np.flatnonzero(counts)})
