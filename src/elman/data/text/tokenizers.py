"""Text → token ids: by word, by subword, whole or as it arrives. Id 0 is padding, id 1 an unknown word."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, Protocol

from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, trainers

from elman.errors import ArtifactError, DataError, UsageError

PADDING: Final = 0
UNKNOWN: Final = 1
RESERVED: Final = 2
SMALLEST: Final = 256 + RESERVED  # ids of a subword vocabulary: every byte is a token

# How far beyond its end a word's pattern may look before it decides; see `_pattern`.
LOOKAHEAD: Final = 6
NEAR: Final = 256  # characters among which a word usually ends
BREAK = re.compile(r"<[bB][rR] ?/?>")
# One character of a script without spaces, or a run of others.
LONE = re.compile(
    "[\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
    "|[^\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
# White space as the `tokenizers` library has it: Python's, less four control characters.
WORD_END = re.compile(
    "[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
    "(?=[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000])"
)
CLITIC = re.compile(r"(?<=\w)(n't|'(?:s|m|d|ll|re|ve))\Z", re.IGNORECASE)


class Tokenizer(Protocol):
    """What tasks and streams ask of a tokenizer."""

    def __len__(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...

    def tokens(self, text: str) -> list[str]: ...

    def settled(self, text: str) -> int: ...

    def to_json(self) -> dict[str, Any]: ...


@cache
def _pattern() -> re.Pattern[str]:
    """One token of a text without line-break tags.

    Letters take their combining marks along (Devanagari vowels, accents); an emoji keeps its modifiers. No
    alternative looks further than LOOKAHEAD characters beyond the end of its match, and none looks beyond
    white space, which is what lets `settled` trust a match early.
    """
    marks = "".join(c for c in map(chr, range(0x300, 0xFFFF)) if unicodedata.category(c)[0] == "M")
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


def _split(raw: str) -> list[str]:
    """ "couldn't've" → could, n't, 've; Chinese and Japanese → characters; o'brien stays whole."""
    parts: list[str] = []
    for part in LONE.findall(raw.replace("’", "'")):
        clitics: list[str] = []
        while found := CLITIC.search(part):
            clitics.insert(0, found[1])
            part = part[: found.start()]
        parts += [part, *clitics]
    return parts


@dataclass(frozen=True)
class WordTokenizer:
    """Words, numbers and punctuation marks as tokens.

    "don't" becomes "do" and "n't", "film's" becomes "film" and "'s"; the HTML tag <br /> divides like a
    space. Scripts without spaces are cut into characters (Chinese, Japanese) or not at all (Thai): for them
    prefer `SubwordTokenizer`.

    Attributes:
        words: the vocabulary; word i has id i + 2.
        lower: whether case is ignored.
    """

    words: tuple[str, ...]
    lower: bool = True

    @classmethod
    def build(
        cls, texts: Iterable[str], size: int = 30000, min_count: int = 2, lower: bool = True
    ) -> "WordTokenizer":
        """The vocabulary of `texts`: at most `size` ids, words that occur `min_count` times, commonest first.

        Raises:
            UsageError: `size` leaves no room for a word, or `min_count` is below 1.
            DataError: no word occurs often enough.
        """
        if size <= RESERVED:
            raise UsageError(f"the vocabulary size is {size}; it must be at least {RESERVED + 1}.")
        if min_count < 1:
            raise UsageError(f"min_count is {min_count}; it must be at least 1.")
        scratch = cls((), lower)
        counts = Counter(token for text in texts for token in scratch.tokens(text))
        common = sorted((-n, word) for word, n in counts.items() if n >= min_count)
        if not common:
            raise DataError(
                f"no word occurs {min_count} times in the texts; give more text or lower min_count."
            )
        return cls(tuple(word for _, word in common[: size - RESERVED]), lower)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words, start=RESERVED)}

    def __len__(self) -> int:
        return len(self.words) + RESERVED

    def tokens(self, text: str) -> list[str]:
        """The words of `text`, known or not; as many as `encode` gives ids."""
        found: list[str] = []
        for raw in _pattern().findall(_blank_breaks(text)):
            if raw.isascii() and "'" not in raw:
                found.append(raw)
            else:
                found += _split(raw)
        return [token.lower() for token in found] if self.lower else found

    def encode(self, text: str) -> list[int]:
        """One id per token of `text`; 1 for a word outside the vocabulary."""
        ids = self._ids
        return [ids.get(token, UNKNOWN) for token in self.tokens(text)]

    def settled(self, text: str) -> int:
        """How many leading characters of `text` have tokens that no later text can change."""
        blanked = _blank_breaks(text)
        end = 0
        for match in _pattern().finditer(blanked):
            after = match.end()
            if after + LOOKAHEAD > len(text) and not blanked[after : after + 1].isspace():
                return end
            end = after
        return len(text)

    def to_json(self) -> dict[str, Any]:
        """What `tokenizer_from_json` takes back."""
        return {"kind": "word", "lower": self.lower, "words": list(self.words)}


def _blank_breaks(text: str) -> str:
    """`text` with its line-break tags turned into as many spaces."""
    return BREAK.sub(lambda tag: " " * len(tag[0]), text) if "<" in text else text


def _whole(text: str) -> str:
    """`text` with U+FFFD for half characters, as cut-up JSON or a terminal may bring; they are not UTF-8."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


@dataclass(frozen=True)
class SubwordTokenizer:
    """Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019): every text has tokens, none is unknown.

    Attributes:
        model: the trained model as the JSON of the `tokenizers` library; its id i is our id i + 2.
    """

    model: str

    @classmethod
    def train(cls, texts: Iterable[str], size: int = 8000) -> "SubwordTokenizer":
        """Merges the commonest pairs of `texts` until there are `size` ids, or nothing is left to merge.

        Raises:
            UsageError: `size` is below 258, the bytes and the two reserved ids.
        """
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        if size < SMALLEST:
            raise UsageError(f"the vocabulary size is {size}; it must be at least {SMALLEST}.")
        library = Library(models.BPE())
        library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        library.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size - RESERVED, initial_alphabet=alphabet, special_tokens=[], show_progress=False
        )
        library.train_from_iterator((_whole(text) for text in texts), trainer)
        return cls(library.to_str())

    @cached_property
    def _library(self) -> Any:
        return Library.from_str(self.model)

    def __len__(self) -> int:
        return int(self._library.get_vocab_size()) + RESERVED

    def tokens(self, text: str) -> list[str]:
        """The piece of `text` behind each id; a character cut into several ids stands behind each of them."""
        whole = _whole(text)
        return [whole[start:end] for start, end in self._library.encode(whole).offsets]

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; white space at its ends counts."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text, by several threads where there are several texts."""
        found = self._library.encode_batch_fast([_whole(text) for text in texts])
        return [[i + RESERVED for i in one.ids] for one in found]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; reserved ids are left out, half characters become U+FFFD."""
        return str(self._library.decode([i - RESERVED for i in ids if i >= RESERVED]))

    def additions(self, ids: Iterable[int]) -> list[str]:
        """What each id adds to the text; a character of several tokens comes with the last of them."""
        found, begun = list[str](), list[int]()
        for i in ids:
            text = self.decode([*begun, i])
            begun = [*begun, i] if text.endswith("\ufffd") else []
            found.append("" if begun else text)
        if begun:
            found[-1] = self.decode(begun)
        return found

    def settled(self, text: str) -> int:
        """How many leading characters of `text` have tokens that no later text can change.

        No merge crosses from a character into the white space after it, so everything up to the last such
        place is settled.
        """
        for reach in (NEAR, len(text)):  # the last place counts, and is found alone
            begin = max(0, len(text) - reach)
            ends = [match.end() for match in WORD_END.finditer(text, begin)]
            if ends:
                return ends[-1]
        return 0

    def to_json(self) -> dict[str, Any]:
        """What `tokenizer_from_json` takes back."""
        return {"kind": "subword", "model": json.loads(self.model)}


def tokenizer_from_json(value: Any) -> WordTokenizer | SubwordTokenizer:
    """The tokenizer whose `to_json` gave `value`.

    Raises:
        ArtifactError: `value` describes no tokenizer.
    """
    match value:
        case {"kind": "word", "lower": bool(lower), "words": list(words)} if all(
            isinstance(word, str) for word in words
        ):
            return WordTokenizer(tuple(words), lower)
        case {"kind": "subword", "model": dict(model)}:
            tokenizer = SubwordTokenizer(json.dumps(model))
            try:
                len(tokenizer)
            except Exception as problem:  # the library raises nothing narrower
                raise ArtifactError(f"the vocabulary holds a damaged subword model ({problem}).") from None
            return tokenizer
    raise ArtifactError(
        "the vocabulary is neither of kind 'word' nor 'subword'; the model's folder is damaged."
    )


class TokenStream:
    """Token ids of a text that arrives piece by piece.

    However the text is cut, the ids of all pushes and the flush together are those of the whole text.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._rest = ""

    def push(self, text: str) -> list[int]:
        """The ids that are certain now; a word is once the space after it has come."""
        self._rest += text
        end = self._tokenizer.settled(self._rest)
        done, self._rest = self._rest[:end], self._rest[end:]
        return self._tokenizer.encode(done)

    def flush(self) -> list[int]:
        """The ids of what was held back; the stream then starts anew."""
        done, self._rest = self._rest, ""
        return self._tokenizer.encode(done)
