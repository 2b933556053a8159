"""Text → token ids by words or subwords, at once or as a stream. Id 0 is padding, id 1 an unknown word."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, Protocol

from elman.data.text.unicode import CJK, combining_marks
from elman.errors import ArtifactError, DataError, UsageError
from elman.typed import typed

PADDING: Final = 0
UNKNOWN: Final = 1
RESERVED: Final = 2
MIN_SUBWORD_IDS: Final = 256 + RESERVED  # every byte is a token

# How far beyond its end a word's pattern may look before it decides; see `_pattern`.
LOOKAHEAD_CHARACTERS: Final = 6
TAIL_CHARACTERS: Final = 256  # a word usually ends among the last ones
MAX_WAITING_CHARACTERS: Final = 4096  # without a token's end, after which a stream waits no longer for one
MAX_CHARACTER_TOKENS: Final = 16  # more of them without a whole character are damaged
BREAK_TAG = re.compile(r"<[bB][rR] ?/?>")
CJK_OR_RUN = re.compile(f"[{CJK}]|[^{CJK}]+")  # one ideograph or kana letter, or a run of anything else
# White space as the `tokenizers` library defines it: Python's without four control characters.
WORD_END = re.compile(
    "[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    "(?=[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])"
)
CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|m|d|ll|re|ve))\Z", re.IGNORECASE)
CLITIC_CHARACTERS: Final = 3


class Tokenizer(Protocol):
    """The methods that tasks and streams use."""

    def __len__(self) -> int: ...
    def encode(self, text: str) -> list[int]: ...
    def tokens(self, text: str) -> list[str]: ...
    def stable_prefix(self, text: str) -> int: ...
    def to_json(self) -> dict[str, Any]: ...


@cache
def _pattern() -> re.Pattern[str]:
    """Return the pattern of one token in a text without line-break tags.

    Letters keep their combining marks (Devanagari vowels, accents), and an emoji keeps its modifiers. No
    alternative looks further than LOOKAHEAD_CHARACTERS beyond the end of its match, and none looks beyond
    white space, so `stable_prefix` may trust a match before the text ends.
    """
    marks = combining_marks()
    word = rf"\w+(?:[{marks}\u200c\u200d]+\w*)*"
    emoji = rf"\S[{marks}\U0001f3fb-\U0001f3ff]*"
    return re.compile(
        r"\d+(?:[.,]\d+)+"
        rf"|{word}(?:['’]{word})*"
        r"|['’](?:[sSmMdDtT]|[lL][lL]|[rR][eE]|[vV][eE])(?!\w)"
        r"|\.\.\."
        r"|[\U0001f1e6-\U0001f1ff]{2}"
        rf"|{emoji}(?:\u200d{emoji})*"
    )


def word_patterns() -> dict[str, str]:
    """Return the regular expressions of `WordTokenizer` by name, for a reader without elman: a `tag` is
    blanked, a `word` is found and its typographic apostrophes made straight; it is cut into each `run`, from
    whose end each `clitic` is cut, whatever its case."""
    patterns = {"tag": BREAK_TAG, "word": _pattern(), "run": CJK_OR_RUN, "clitic": CLITIC}
    return {name: pattern.pattern for name, pattern in patterns.items()}


def _split(raw: str) -> list[str]:
    """ "couldn't've" → could, n't, 've; Chinese and Japanese → characters; o'brien stays whole."""
    words: list[str] = []
    for word in CJK_OR_RUN.findall(raw.replace("’", "'")):
        end, clitics = len(word), list[str]()  # the latter from the last to the first
        while clitic := CLITIC.search(word, max(0, end - CLITIC_CHARACTERS), end):
            clitics.append(clitic[1])
            end = clitic.start()
        words += [word[:end], *reversed(clitics)]
    return words


def check_size(size: int, min_count: int) -> None:
    """Raise UsageError if `size` ids leave no room for a token, or `min_count` is below 1."""
    if size <= RESERVED:
        raise UsageError(f"the vocabulary size is {size}; it must be at least {RESERVED + 1}.")
    if min_count < 1:
        raise UsageError(f"min_count is {min_count}; it must be at least 1.")


def commonest(counts: Counter[str], size: int, min_count: int, kind: str) -> tuple[str, ...]:
    """Return the tokens of a vocabulary of `size` ids, commonest first, ties in code point order.

    Raises:
        DataError: no token occurs `min_count` times; the message calls it a `kind`.
    """
    common = sorted((-n, token) for token, n in counts.items() if n >= min_count)
    if not common:
        raise DataError(f"no {kind} occurs {min_count} times; give more text or lower min_count.")
    return tuple(token for _, token in common[: size - RESERVED])


@dataclass(frozen=True)
class WordTokenizer:
    """Words, numbers and punctuation marks as tokens.

    "don't" becomes "do" and "n't", "film's" becomes "film" and "'s"; the HTML tag <br /> separates words like
    a space. Chinese and Japanese are split into characters, and Thai, also written without spaces, is not
    split at all: prefer `SubwordTokenizer` for these.
    """

    words: tuple[str, ...]  # word i has id i + 2
    lower: bool = True  # whether case is ignored

    @classmethod
    def build(
        cls, texts: Iterable[str], size: int = 30000, min_count: int = 2, lower: bool = True
    ) -> "WordTokenizer":
        """Build a vocabulary of at most `size` ids from words that occur `min_count` times, commonest first.

        Raises:
            UsageError: `size` leaves no room for a word, or `min_count` is below 1.
            DataError: no word occurs often enough.
        """
        check_size(size, min_count)
        scratch = cls((), lower)
        counts = Counter(token for text in texts for token in scratch.tokens(text))
        return cls(commonest(counts, size, min_count, "word"), lower)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words, start=RESERVED)}

    def __len__(self) -> int:
        return len(self.words) + RESERVED

    def tokens(self, text: str) -> list[str]:
        """Return the words of `text`, known or not, one for each id that `encode` returns."""
        tokens: list[str] = []
        for raw in _pattern().findall(_blank_breaks(text)):
            tokens += [raw] if raw.isascii() and "'" not in raw else _split(raw)
        return [token.lower() for token in tokens] if self.lower else tokens

    def encode(self, text: str) -> list[int]:
        """Return one id per token of `text`, 1 for a word outside the vocabulary."""
        ids = self._ids
        return [ids.get(token, UNKNOWN) for token in self.tokens(text)]

    def stable_prefix(self, text: str) -> int:
        """Return how many leading characters of `text` have tokens that no later text can change.

        A token of more than MAX_WAITING_CHARACTERS is not waited for: all of `text` counts then.
        """
        blanked = _blank_breaks(text)
        end = 0
        for match in _pattern().finditer(blanked):
            after = match.end()
            if after + LOOKAHEAD_CHARACTERS > len(text) and not blanked[after : after + 1].isspace():
                return end if len(text) - end <= MAX_WAITING_CHARACTERS else len(text)
            end = after
        return len(text)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "word", "lower": self.lower, "words": list(self.words)}


def _blank_breaks(text: str) -> str:
    """Replace each line-break tag by as many spaces as it has characters."""
    return BREAK_TAG.sub(lambda tag: " " * len(tag[0]), text) if "<" in text else text


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which truncated JSON or a terminal may produce and UTF-8 lacks, by U+FFFD."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _byte_level(model: Any) -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers  # which a vocabulary of words does without

    library = Tokenizer(model)
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    return library


@dataclass(frozen=True)
class SubwordTokenizer:
    """Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), which has no unknown tokens."""

    model: str  # JSON of the `tokenizers` library; its id i is our id i + 2

    @classmethod
    def train(cls, texts: Iterable[str], size: int = 8000) -> "SubwordTokenizer":
        """Merge the commonest pairs of tokens until there are `size` ids or nothing is left to merge.

        Raises:
            UsageError: `size` is below 258, the bytes and the two reserved ids.
        """
        if size < MIN_SUBWORD_IDS:
            raise UsageError(f"the vocabulary size is {size}; it must be at least {MIN_SUBWORD_IDS}.")
        from tokenizers import models, pre_tokenizers, trainers

        library = _byte_level(models.BPE())
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        trainer = trainers.BpeTrainer(
            vocab_size=size - RESERVED, initial_alphabet=alphabet, special_tokens=[], show_progress=False
        )
        library.train_from_iterator((_replace_surrogates(text) for text in texts), trainer)
        return cls(library.to_str())

    @classmethod
    def from_json(cls, value: Any) -> "SubwordTokenizer":
        """Return the tokenizer whose JSON of the library is `value`. Raises an error for any other value.

        Only the tokens and merges are read, and checked: the library, given JSON of other kinds, may build
        anything, or panic.
        """
        from tokenizers import models, pre_tokenizers

        bpe = value["model"]
        vocabulary = typed(dict[str, int], bpe["vocab"], "the vocabulary")
        merges = [(left, right) for left, right in bpe["merges"]]
        letters = set(pre_tokenizers.ByteLevel.alphabet())
        if sorted(vocabulary.values()) != [*range(len(vocabulary))]:
            raise ValueError("the ids of the subwords are not 0, 1, 2, …")
        if not letters <= vocabulary.keys() or not all(t and letters.issuperset(t) for t in vocabulary):
            raise ValueError("the subwords are not made of all bytes")
        if not all(left in vocabulary and right in vocabulary for left, right in merges):
            raise ValueError("a merge is of unknown subwords")
        return cls(_byte_level(models.BPE(vocabulary, merges)).to_str())

    @cached_property
    def _library(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.model)

    def __len__(self) -> int:
        return int(self._library.get_vocab_size()) + RESERVED

    def tokens(self, text: str) -> list[str]:
        """Return the part of `text` that each id covers; all ids of a character that is split cover it."""
        clean = _replace_surrogates(text)
        return [clean[start:end] for start, end in self._library.encode(clean).offsets]

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, including white space at its ends."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Iterable[str]) -> list[list[int]]:
        """Return the ids of each text, computed by several threads where there are several texts."""
        encodings = self._library.encode_batch_fast([_replace_surrogates(text) for text in texts])
        return [[i + RESERVED for i in encoding.ids] for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids` without the reserved ones; incomplete characters become U+FFFD."""
        return str(self._library.decode([i - RESERVED for i in ids if i >= RESERVED]))

    def additions(self, ids: Iterable[int]) -> list[str]:
        """Return the text that each id adds; a character of several tokens appears with the last of them."""
        texts, incomplete = list[str](), list[int]()
        for i in ids:
            text = self.decode([*incomplete, i])
            waits = text.endswith("\ufffd") and len(incomplete) < MAX_CHARACTER_TOKENS
            incomplete = [*incomplete, i] if waits else []
            texts.append("" if incomplete else text)
        if incomplete:
            texts[-1] = self.decode(incomplete)
        return texts

    def stable_prefix(self, text: str) -> int:
        """Return how many leading characters of `text` have tokens that no later text can change.

        No merge crosses from a character into the white space after it, so the tokens up to the last such
        position are final. A word of more than MAX_WAITING_CHARACTERS is not waited for.
        """
        for reach in (TAIL_CHARACTERS, len(text)):  # only the last end counts; look near the end first
            begin = max(0, len(text) - reach)
            ends = [match.end() for match in WORD_END.finditer(text, begin)]
            if ends:
                return ends[-1]
        return 0 if len(text) <= MAX_WAITING_CHARACTERS else len(text)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "subword", "model": json.loads(self.model)}


def tokenizer_from_json(value: Any) -> WordTokenizer | SubwordTokenizer:
    """Return the tokenizer whose `to_json` returned `value`.

    Raises:
        ArtifactError: `value` does not describe a tokenizer.
    """
    match value:
        case {"kind": "word", "lower": bool(lower), "words": list(words)} if all(
            isinstance(word, str) for word in words
        ) and len(set(words)) == len(words):
            return WordTokenizer(tuple(words), lower)
        case {"kind": "subword", "model": dict(model)}:
            try:
                return SubwordTokenizer.from_json(model)
            except Exception as problem:  # the library raises nothing narrower
                raise ArtifactError(f"the vocabulary holds a damaged subword model ({problem}).") from None
    raise ArtifactError(
        "the vocabulary is neither of kind 'word' nor 'subword'; the model's folder is damaged."
    )
