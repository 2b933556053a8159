"""Text ↔ token ids for language models. Id 0 ends a document, id 1 is a token outside the vocabulary.

What is encoded can be decoded: the space before a word belongs to its token, and so do line ends.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, repeat
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from elman.data.table.formats import nearest
from elman.data.text.tokenizers import SubwordTokenizer, tokenizer_from_json
from elman.errors import ArtifactError, DataError, UsageError

END: Final = 0  # between documents, and before the first word of any
UNKNOWN: Final = 1
RESERVED: Final = 2

Kind = Literal["character", "word", "space"]
KINDS: Final = ("character", "word", "space", "subword")
# What an unknown token is decoded as.
UNREADABLE: Final = {"character": "\ufffd", "word": " <unk>", "space": " <unk>"}

LONGEST: Final = 64  # letters of a word; what is longer is cut, so that no text has to be held back
LOOKAHEAD: Final = 2  # how far beyond its end a word's pattern looks: "3.1" after "3", "n't" after "do"
DISTINCT: Final = 2_000_000  # different tokens that are counted at once
# Characters that the subword library gets as one text, and texts at once: it needs 100 bytes a character.
SLICE: Final = 1 << 16
TOGETHER: Final = 8

BLANK = re.compile(r"[^\S\n ]")
BETWEEN_BLANKS = re.compile(r"\n|\S+")
# Chinese and Japanese, where every character is a token of its own.
WITHOUT_SPACES: Final = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@cache
def combining() -> str:
    """Marks that belong to the letter before them: accents, vowel signs."""
    return "".join(c for c in map(chr, range(0x300, 0xFFFF)) if unicodedata.category(c)[0] == "M")


@cache
def _word() -> re.Pattern[str]:
    """One token of a text whose blanks are all spaces.

    "don't" and "3.14" are one; "well-known" is three, which keeps words known; a letter keeps its combining
    marks; Chinese and Japanese come character by character.
    """
    marks = combining()
    letters = rf"[^\W{WITHOUT_SPACES}]"
    run = rf"{letters}{{1,{LONGEST}}}(?:[{marks}]{{1,8}}{letters}{{0,{LONGEST}}}){{0,{LONGEST}}}"
    number = rf"\d{{1,{LONGEST}}}(?:[.,]\d{{1,{LONGEST}}}){{1,{LONGEST}}}"
    return re.compile(rf"\n| ?(?:{number}|{run}(?:['’]{run}){{0,3}}|\S)")


@dataclass(frozen=True)
class Vocabulary:
    """Characters or words as tokens.

    Attributes:
        kind: "character": every code point is a token. "word": words with the space before them, marks and
            line ends; a run of blanks counts as one space, blanks before a line end are dropped. "space":
            what stands between white space, and line ends; "<unk>" in the text is the unknown token.
        tokens: token i has id i + 2.
    """

    kind: Kind
    tokens: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tokens) + RESERVED

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: i for i, token in enumerate(self.tokens, start=RESERVED)}

    @cached_property
    def _table(self) -> NDArray[np.int64]:
        """The id of every code point up to the highest known one and, in the last place, of all beyond."""
        codes = _codes("".join(self.tokens))
        table = np.full(int(codes.max(initial=0)) + 2, UNKNOWN, dtype=np.int64)
        table[codes] = np.arange(RESERVED, len(self))
        return table

    @cached_property
    def _strings(self) -> list[str]:
        return ["", UNREADABLE[self.kind], *self.tokens]

    def encode(self, text: str) -> NDArray[np.int64]:
        """One id per token of `text`; 1 for a token outside the vocabulary."""
        if self.kind == "character":
            table = self._table
            return table[np.minimum(_codes(text), len(table) - 1)]
        ids, pieces = self._ids, self.pieces(text)
        return np.fromiter(map(ids.get, pieces, repeat(UNKNOWN)), np.int64, len(pieces))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; 0 is nothing, 1 is U+FFFD or " <unk>"."""
        strings = self._strings
        return "".join([strings[i] for i in ids])

    def pieces(self, text: str) -> list[str]:
        """The tokens of `text`, known or not; as many as `encode` gives ids."""
        if self.kind == "character":
            return list(text)
        if self.kind == "word":
            return _word().findall(_spaced(text))
        return [found if found == "\n" else " " + found for found in BETWEEN_BLANKS.findall(text)]

    def settled(self, text: str) -> int:
        """How many leading characters of `text` have tokens that no later text can change.

        The ids of these and those of the rest, together with whatever follows it, are those of the whole.
        """
        if self.kind == "character":
            return len(text)
        spaced = _spaced(text)
        # No token reaches across white space, and of several blanks the last one is enough.
        end = max(spaced.rfind(" "), spaced.rfind("\n") + 1, 0)
        if self.kind == "word":
            for match in _word().finditer(spaced, end):
                if match.end() + LOOKAHEAD > len(text):
                    break
                end = match.end()
        return end

    def characters(self, ids: Iterable[int]) -> NDArray[np.int64]:
        """How many characters each of `ids` is decoded as; 0 for the end of a document."""
        return _looked_up([len(string) for string in self._strings], ids)

    def to_json(self) -> dict[str, Any]:
        """What `vocabulary_from_json` takes back."""
        return {"kind": self.kind, "tokens": list(self.tokens)}


@dataclass(frozen=True)
class SubwordVocabulary:
    """Byte-level BPE as a vocabulary: every text has tokens, and id 1 never occurs."""

    tokenizer: SubwordTokenizer
    kind: Literal["subword"] = "subword"

    def __len__(self) -> int:
        return len(self.tokenizer)

    @cached_property
    def _lengths(self) -> list[int]:
        """Of each token, the bytes that begin a character: over a text they are its characters."""
        model = self.tokenizer.to_json()["model"]["model"]
        lengths, inner = [0] * len(self), _inner_bytes()
        for token, i in model["vocab"].items():
            lengths[i + RESERVED] = sum(letter not in inner for letter in token)
        return lengths

    def encode(self, text: str) -> NDArray[np.int64]:
        """The ids of `text`; white space at its ends counts."""
        slices = self._slices(text)
        groups = [slices[k : k + TOGETHER] for k in range(0, len(slices), TOGETHER)]
        parts = [part for group in groups for part in self.tokenizer.encode_all(group)]
        return np.array([i for part in parts for i in part], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; reserved ids are left out, half characters become U+FFFD."""
        return self.tokenizer.decode(int(i) for i in ids)

    def pieces(self, text: str) -> list[str]:
        """The piece of `text` behind each id; a character cut into several ids stands behind each of them."""
        return [piece for part in self._slices(text) for piece in self.tokenizer.tokens(part)]

    def _slices(self, text: str) -> list[str]:
        """`text` cut where no token crosses, as the library's needs grow with the length of a text."""
        cuts = [0]
        while cuts[-1] < len(text):
            window = text[cuts[-1] : cuts[-1] + SLICE]
            whole = cuts[-1] + len(window) == len(text)
            cuts.append(cuts[-1] + (len(window) if whole else self.tokenizer.settled(window) or len(window)))
        return [text[start:end] for start, end in pairwise(cuts)]

    def settled(self, text: str) -> int:
        """How many leading characters of `text` have tokens that no later text can change."""
        return self.tokenizer.settled(text)

    def characters(self, ids: Iterable[int]) -> NDArray[np.int64]:
        """How many characters begin in each of `ids`; over a whole text they are its length."""
        return _looked_up(self._lengths, ids)

    def to_json(self) -> dict[str, Any]:
        """What `vocabulary_from_json` takes back."""
        return self.tokenizer.to_json()


AnyVocabulary = Vocabulary | SubwordVocabulary


def vocabulary_from_json(value: Any) -> AnyVocabulary:
    """The vocabulary whose `to_json` gave `value`.

    Raises:
        ArtifactError: `value` describes no vocabulary.
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
    raise ArtifactError(
        f"the vocabulary is of no kind among {', '.join(KINDS)}; the model's folder is damaged."
    )


def build(kind: str, pieces: Iterable[str], size: int, min_count: int) -> AnyVocabulary:
    """The vocabulary of a text: at most `size` ids, the commonest token first, ties by alphabet.

    Args:
        kind: one of KINDS.
        pieces: texts, or one text cut where `settled` allows.
        size: the most ids, the two reserved ones among them.
        min_count: how often a token has to occur. Subwords have no such limit, nor has a text of kind "space"
            that holds "<unk>": its rare words have been replaced already.

    Raises:
        UsageError: an unknown kind, a size without room for a token, or `min_count` below 1.
        DataError: no token occurs often enough.
    """
    if kind not in KINDS:
        raise UsageError(
            f"there are no tokens {kind!r}; give {', '.join(KINDS)}{nearest(kind, KINDS) or '.'}"
        )
    if kind == "subword":
        return SubwordVocabulary(SubwordTokenizer.train(pieces, size))
    if size <= RESERVED:
        raise UsageError(f"the vocabulary size is {size}; it must be at least {RESERVED + 1}.")
    if min_count < 1:
        raise UsageError(f"min_count is {min_count}; it must be at least 1.")
    counts = _count_characters(pieces) if kind == "character" else _count(unfilled(kind).pieces, pieces)
    if kind == "space" and counts.pop(UNREADABLE[kind], 0):
        min_count = 1
    common = sorted((-n, token) for token, n in counts.items() if n >= min_count)
    if not common:
        raise DataError(f"no {kind} occurs {min_count} times in the text; give more text or lower min_count.")
    return Vocabulary(kind, tuple(token for _, token in common[: size - RESERVED]))  # type: ignore[arg-type]


def unfilled(kind: str) -> AnyVocabulary:
    """A vocabulary of this kind without a token: it cuts texts as `build` wants them."""
    if kind == "subword":
        return SubwordVocabulary(SubwordTokenizer(""))
    return Vocabulary(kind, ())  # type: ignore[arg-type]


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _spaced(text: str) -> str:
    """`text` with a space for every other blank, so that places stay what they are."""
    return BLANK.sub(" ", text)


def _looked_up(lengths: list[int], ids: Iterable[int]) -> NDArray[np.int64]:
    given = ids if isinstance(ids, np.ndarray) else np.array(list(ids), dtype=np.int64)
    return np.array(lengths, dtype=np.int64)[given]


def _inner_bytes() -> set[str]:
    """How byte-level BPE writes the bytes that go on with a character, 0x80 to 0xBF (Radford et al. 2019).

    A byte that Latin-1 prints stands for itself, the others follow from U+0100 on.
    """
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return {chr(byte if byte in printed else 256 + others.index(byte)) for byte in range(0x80, 0xC0)}


def _count(cut: Callable[[str], list[str]], texts: Iterable[str]) -> Counter[str]:
    """How often each token comes. Where a text never stops bringing new ones, the rare ones are forgotten."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(cut(text))
        while len(counts) > DISTINCT:
            rarest = min(counts.values())
            counts = Counter({token: n for token, n in counts.items() if n > rarest})
    return counts


def _count_characters(texts: Iterable[str]) -> Counter[str]:
    counts = np.zeros(0, dtype=np.int64)
    for text in texts:
        more = np.bincount(_codes(text))
        if len(more) > len(counts):
            counts, more = more, counts
        counts[: len(more)] += more
    return Counter({chr(code): int(counts[code]) for code in np.flatnonzero(counts)})
