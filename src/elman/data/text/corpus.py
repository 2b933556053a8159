"""Texts of any length as token ids for a language model, in bounded memory.

A plain text is read in blocks, several times: to check and measure it, to count its tokens, to encode them.
The ids of a long one lie in the cache folder and are mapped into memory.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import platformdirs
from numpy.typing import NDArray

from elman.data.table.formats import nearest
from elman.data.table.table import read_table
from elman.data.text.sources import Documents, Part, PlainText, open_text
from elman.data.text.vocabulary import END, KINDS, RESERVED, AnyVocabulary, build, unfilled
from elman.errors import DataError, UsageError

Tokens = Literal["auto", "character", "word", "space", "subword"]

IN_MEMORY: Final = 64 << 20  # characters of a text whose ids stay in memory
FEW: Final = 2_000_000  # characters of training text below which words would be too rare
MANY: Final = 100_000_000  # characters above which subwords pay
SUBWORDS_FROM: Final = 50_000_000  # characters that subwords are learned from
SAMPLE: Final = 1 << 20  # characters that tell whether a text is cut apart already
FEWEST: Final = (200, 20)  # tokens for training and held out
UNUSED_DAYS: Final = 30  # after which a file of ids is removed
FORMAT: Final = 1  # of these files

TABLES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as ids.

    Attributes:
        train: (N,) uint16 or int32, as the vocabulary needs; read-only where it is mapped from a file.
        held_out: (M,) of the same type; what follows `train` in a plain text, other documents in a table.
        vocabulary: of the training part alone.
        source: name and fingerprint of the data, characters and tokens of its training part; and the
            fingerprint of what is held out, as "valid", where that was given.
        characters_held_out: for bits per character.
    """

    train: NDArray[Any]
    held_out: NDArray[Any]
    vocabulary: AnyVocabulary
    source: dict[str, Any]
    characters_held_out: int


def read_corpus(
    data: Any,
    *,
    valid: Any = None,
    text: str | None = None,
    tokens: Tokens = "auto",
    size: int = 20_000,
    min_count: int = 2,
    held_out: float = 0.1,
) -> Corpus:
    """Text → vocabulary and ids, a share of them held out.

    Args:
        data: a path to a plain text (any ending that no table has; also gzipped) or "-" for one from standard
            input; or a table as `read_table` takes it, whose rows are documents, each followed by the id 0.
        valid: the same for what is held out; the last share of `data` if None: of the characters of a plain
            text, cut at a line end if one is near, of the documents of a table.
        text: the column of a table ("text" if None); with a column, plain lines and standard input are
            tables too.
        tokens: see `Vocabulary` and `SubwordVocabulary`; "auto" goes by the characters of the training part:
            below 2 million "character", below 100 million "word", or "space" if `cut_apart` says so, above
            that "subword".
        size: the most ids.
        min_count: how often a word has to occur in the training part; characters have to once.
        held_out: the share, between 0 and 1.

    Raises:
        DataError: the data are missing, damaged, not text or too little; says where and what would be right.
        UsageError: an argument that cannot be meant.
    """
    _check(tokens, size, min_count, held_out)
    with ExitStack() as stack:
        given = _opened(data, text, stack)
        if valid is None:
            train, rest = given.split(held_out)
        else:
            other = _opened(valid, text, stack)
            train, rest = given.whole(), other.whole()
            if isinstance(given, Documents) and isinstance(other, Documents):
                train = given.without(other)
        _enough(train, rest, (train.characters, rest.characters), "characters")
        vocabulary = _vocabulary(train, tokens, size, min_count)
        ids, unseen = _ids(train, vocabulary), _ids(rest, vocabulary)
    _enough(train, rest, (len(ids), len(unseen)), "tokens")
    source: dict[str, Any] = {"source": given.name, "fingerprint": given.fingerprint}
    source |= {"characters": train.characters, "tokens": len(ids)}
    if valid is not None:
        source["valid"] = other.fingerprint
    return Corpus(ids, unseen, vocabulary, source, rest.characters)


def read_ids(
    data: Any, vocabulary: AnyVocabulary, *, text: str | None = None
) -> tuple[NDArray[Any], int, str]:
    """The ids of `data`, given as to `read_corpus`, the number of its characters, and its fingerprint."""
    with ExitStack() as stack:
        given = _opened(data, text, stack)
        whole = given.whole()
        return _ids(whole, vocabulary), whole.characters, given.fingerprint


def cut_apart(sample: str) -> bool:
    """Whether a text is already cut into tokens by white space, as the Penn Treebank and WikiText are.

    It is where "<unk>" stands alone more than once in a thousand words, or else where "n't" or "'s" stand
    alone and nine in ten commas and full stops at a word's end have a space before them.
    """
    words = sample.split()
    if words.count("<unk>") > len(words) / 1000:
        return True
    ends = sum(word.endswith((",", ".")) for word in words)
    alone = sum(word in (",", ".") for word in words)
    return alone > 0.9 * ends and any(word in ("n't", "'s") for word in words)


def _check(tokens: str, size: int, min_count: int, held_out: float) -> None:
    kinds = ("auto", *KINDS)
    if tokens not in kinds:
        hint = nearest(str(tokens), kinds) or "."
        raise UsageError(f"tokens is {tokens!r}, but must be one of {', '.join(kinds)}{hint}")
    if size <= RESERVED:
        raise UsageError(f"the vocabulary size is {size}; it must be at least {RESERVED + 1}.")
    if min_count < 1:
        raise UsageError(f"min_count is {min_count}; it must be at least 1.")
    if not 0 < held_out < 1:
        raise UsageError(f"held_out is {held_out}, but a share lies between 0 and 1; 0.1 is usual.")


def is_table(data: Any) -> bool:
    """Whether `data` are rows and columns by their type or their ending."""
    if not isinstance(data, (str, Path)) or str(data).startswith("hf:"):
        return True
    return str(data).lower().removesuffix(".gz").endswith(TABLES)


def _opened(data: Any, text: str | None, stack: ExitStack) -> PlainText | Documents:
    """Plain text or a table, by what is given, its ending and whether a column is named."""
    if text is None and not is_table(data):
        return open_text(data, stack)
    return Documents.of(read_table(data), text or "text")


def _enough(train: Part, rest: Part, found: tuple[int, int], unit: str) -> None:
    if found[0] < FEWEST[0] or found[1] < FEWEST[1]:
        where = train.name if train.name == rest.name else f"{train.name} and {rest.name}"
        raise DataError(
            f"{where}: {found[0]} {unit} to train on and {found[1]} held out are too few; "
            f"give at least {FEWEST[0]} and {FEWEST[1]}."
        )


def _vocabulary(train: Part, tokens: str, size: int, min_count: int) -> AnyVocabulary:
    kind = tokens
    if tokens == "auto":
        kind = "character" if train.characters < FEW else "word" if train.characters < MANY else "subword"
        if kind == "word" and cut_apart("".join(_first(chain.from_iterable(train.texts()), SAMPLE))):
            kind = "space"
    scratch = unfilled(kind)
    pieces = chain.from_iterable(_settled(text, scratch) for text in train.texts())
    if kind == "subword":
        return build(kind, _first(pieces, SUBWORDS_FROM), size, min_count)
    try:
        return build(kind, pieces, size, 1 if kind == "character" else min_count)
    except DataError as problem:
        raise DataError(f"{train.name}: {problem}") from None


def _first(pieces: Iterator[str], limit: int) -> Iterator[str]:
    """The pieces up to the one that brings them to `limit` characters, that one shortened."""
    left = limit
    for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _settled(pieces: Iterator[str], vocabulary: AnyVocabulary) -> Iterator[str]:
    """A text cut where its tokens allow it."""
    rest = ""
    for piece in pieces:
        rest += piece
        end = vocabulary.settled(rest)
        yield rest[:end]
        rest = rest[end:]
    yield rest


def _ids(part: Part, vocabulary: AnyVocabulary) -> NDArray[Any]:
    kind = np.dtype(np.uint16 if len(vocabulary) <= 1 << 16 else np.int32)
    if part.characters <= IN_MEMORY:
        buffer = bytearray()
        for ids in _encoded(part, vocabulary, kind):
            buffer += ids
        return np.frombuffer(buffer, dtype=kind)
    known = hashlib.sha256(repr((FORMAT, part.key, vocabulary.to_json())).encode()).hexdigest()
    folder = Path(os.environ.get("ELMAN_CACHE") or platformdirs.user_cache_path("elman")) / "corpora"
    path = folder / f"{known}.ids"
    try:
        if not _whole(path):
            _write(path, _encoded(part, vocabulary, kind))
        os.utime(path)
        count = (path.stat().st_size - hashlib.sha256().digest_size) // kind.itemsize
        return np.memmap(path, dtype=kind, mode="r", shape=(count,))
    except OSError as problem:
        raise DataError(
            f"{folder} cannot hold the ids of {part.name} ({problem.strerror or problem}), which is too long "
            "for memory; name another folder with the variable ELMAN_CACHE."
        ) from problem


def _encoded(part: Part, vocabulary: AnyVocabulary, kind: np.dtype[Any]) -> Iterator[bytes]:
    for text in part.texts():
        for piece in _settled(text, vocabulary):
            yield vocabulary.encode(piece).astype(kind).tobytes()
        if part.ends:
            yield np.array([END], dtype=kind).tobytes()


def _whole(path: Path) -> bool:
    """Whether the file is there and ends in the checksum of what stands before it."""
    digest = hashlib.sha256()
    if not path.is_file() or path.stat().st_size < digest.digest_size:
        return False
    with path.open("rb") as file:
        left = path.stat().st_size - digest.digest_size
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
        return file.read() == digest.digest()


def _write(path: Path, content: Iterator[bytes]) -> None:
    """Whole or not at all. Of two processes that write at once each has a file of its own, the last stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path.parent)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
        own = Path(file.name)
        try:
            for block in content:
                digest.update(block)
                file.write(block)
            file.write(digest.digest())
            file.flush()
            own.replace(path)
        except BaseException:
            own.unlink(missing_ok=True)
            raise


def _tidy(folder: Path) -> None:
    """Remove what nobody has used for long; a process that still maps such a file keeps it."""
    for path in folder.iterdir():
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > UNUSED_DAYS * 86400:
                path.unlink()
