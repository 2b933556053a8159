"""Texts of any length as token ids for a language model, in bounded memory.

A plain text is read in blocks several times: to check and measure it, to count its tokens, to encode it. The
ids of a long text are stored in the cache folder and mapped into memory.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from elman.atomic import cache_folder, replace_cached
from elman.data.batches import HELD_OUT_SHARE
from elman.data.table.table import read_table
from elman.data.text.sources import Documents, TextSource, TextSplit, is_table_path, open_text
from elman.data.text.tokenizers import check_size
from elman.data.text.vocabulary import END, KINDS, AnyVocabulary, build_vocabulary, empty_vocabulary
from elman.errors import DataError, UsageError, suggestion

Tokens = Literal["auto", "character", "word", "space", "subword"]

MAX_CHARACTERS_IN_MEMORY: Final = 64 << 20  # of a text whose ids stay in memory
MIN_CHARACTERS_FOR_WORDS: Final = 2_000_000  # of training text; in less, words would be too rare
MIN_CHARACTERS_FOR_SUBWORDS: Final = 100_000_000  # of training text
MAX_SUBWORD_TRAINING_CHARACTERS: Final = 50_000_000
SAMPLE_CHARACTERS: Final = 1 << 20  # by which a pretokenized text is recognized
MIN_TOKENS: Final = (10, 2)  # for training and held out: the first token held out is context alone
UNUSED_DAYS: Final = 30  # after which a file of ids is removed
FORMAT: Final = 1  # of these files


@dataclass(frozen=True, eq=False)
class Corpus:
    """Training and held-out text as ids.

    `source` holds the name and fingerprint of the data, the numbers of characters and tokens of the training
    text, and as "valid" the fingerprint of the validation data, if there are any.
    """

    train: NDArray[Any]  # (N,) uint16 or int32, depending on the vocabulary; read-only if mapped from a file
    held_out: NDArray[Any]  # (M,) of the same type
    vocabulary: AnyVocabulary  # built from the training text alone
    source: dict[str, Any]
    characters_held_out: int  # for bits per character


def read_corpus(
    data: Any,
    *,
    valid: Any = None,
    text: str | None = None,
    tokens: Tokens = "auto",
    size: int = 20_000,
    min_count: int = 2,
    held_out: float = HELD_OUT_SHARE,
    skip_bad: bool = False,
) -> Corpus:
    """Read a text, build its vocabulary and encode it, with a share held out.

    Args:
        data: a path to a plain text (with any ending that is not a table's; also gzipped) or "-" for a text
            from standard input; or a table as in `read_table`, whose rows are documents, each followed by the
            id 0.
        valid: validation data of the same kinds. If None, the last share of `data` is held out: of the
            characters of a plain text, cut at a line end if one is near, or of the documents of a table.
        text: the column of a table ("text" if None); with a column, plain lines and standard input are read
            as tables too.
        tokens: see `Vocabulary` and `SubwordVocabulary`. "auto" depends on the length of the training text:
            "character" below 2 million characters, "word" below 100 million, or "space" if
            `is_pretokenized`, and "subword" above.
        size: the largest number of ids.
        min_count: how often a word has to occur in the training text; for characters, once is enough.
        held_out: the share, between 0 and 1.
        skip_bad: whether to skip rows of a table that can't be read, with a warning that counts them, rather
            than to raise DataError for the first. Empty cells are always skipped.

    Raises:
        DataError: the data are missing, damaged, not text or too short; the message says where.
        UsageError: an argument is invalid.
    """
    _check(tokens, size, min_count, held_out)
    with ExitStack() as stack:
        texts = _open(data, text, stack, skip_bad)
        if valid is None:
            train, rest = texts.split(held_out)
        else:
            others = _open(valid, text, stack, skip_bad)
            train, rest = texts.whole(), others.whole()
            if isinstance(texts, Documents) and isinstance(others, Documents):
                train = texts.without(others)
        _require_enough(train, rest, (train.characters, rest.characters), "characters")
        vocabulary = _vocabulary(train, tokens, size, min_count)
        train_ids, rest_ids = _ids(train, vocabulary), _ids(rest, vocabulary)
    _require_enough(train, rest, (len(train_ids), len(rest_ids)), "tokens")
    source: dict[str, Any] = {"source": texts.name, "fingerprint": texts.fingerprint}
    source |= {"characters": train.characters, "tokens": len(train_ids)}
    if valid is not None:
        source["valid"] = others.fingerprint
    return Corpus(train_ids, rest_ids, vocabulary, source, rest.characters)


def read_ids(
    data: Any, vocabulary: AnyVocabulary, *, text: str | None = None, skip_bad: bool = False
) -> tuple[NDArray[Any], int, str]:
    """Return the ids of `data`, as in `read_corpus`, its number of characters, and its fingerprint."""
    with ExitStack() as stack:
        texts = _open(data, text, stack, skip_bad)
        whole = texts.whole()
        return _ids(whole, vocabulary), whole.characters, texts.fingerprint


def is_pretokenized(sample: str) -> bool:
    """Return whether white space separates all tokens already, as in the Penn Treebank and WikiText.

    It does if more than one word in a thousand is "<unk>", or else if "n't" or "'s" are words and nine in ten
    commas and full stops have a space before them.
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
        hint = suggestion(str(tokens), kinds) or "."
        raise UsageError(f"tokens is {tokens!r}; it must be one of {', '.join(kinds)}{hint}")
    check_size(size, min_count)
    if not 0 < held_out < 1:
        raise UsageError(f"held_out is {held_out}; it must lie between 0 and 1, such as 0.1.")


def _open(data: Any, text: str | None, stack: ExitStack, skip_bad: bool) -> TextSource | Documents:
    if text is None and not is_table_path(data):
        return open_text(data, stack)
    table = read_table(data, skip_bad=skip_bad)
    table.report()
    return Documents.of(table, "text" if text is None else text)


def _require_enough(train: TextSplit, rest: TextSplit, counts: tuple[int, int], unit: str) -> None:
    if counts[0] < MIN_TOKENS[0] or counts[1] < MIN_TOKENS[1]:
        where = train.name if train.name == rest.name else f"{train.name} and {rest.name}"
        raise DataError(
            f"{where}: {counts[0]} {unit} to train on and {counts[1]} held out are too few; "
            f"give at least {MIN_TOKENS[0]} and {MIN_TOKENS[1]}."
        )


def _vocabulary(train: TextSplit, tokens: str, size: int, min_count: int) -> AnyVocabulary:
    kind = _kind(train) if tokens == "auto" else tokens
    scratch = empty_vocabulary(kind)
    pieces = chain.from_iterable(_stable_pieces(text, scratch) for text in train.texts())
    if kind == "subword":
        return build_vocabulary(kind, _first(pieces, MAX_SUBWORD_TRAINING_CHARACTERS), size, min_count)
    try:
        return build_vocabulary(kind, pieces, size, 1 if kind == "character" else min_count)
    except DataError as problem:
        raise DataError(f"{train.name}: {problem}") from None


def _kind(train: TextSplit) -> str:
    if train.characters < MIN_CHARACTERS_FOR_WORDS:
        return "character"
    if train.characters >= MIN_CHARACTERS_FOR_SUBWORDS:
        return "subword"
    sample = "".join(_first(chain.from_iterable(train.texts()), SAMPLE_CHARACTERS))
    return "space" if is_pretokenized(sample) else "word"


def _first(pieces: Iterator[str], limit: int) -> Iterator[str]:
    """Yield pieces of `limit` characters in all; the last one is shortened."""
    for piece in pieces:
        yield piece[:limit]
        limit -= len(piece)
        if limit <= 0:
            return


def _stable_pieces(pieces: Iterator[str], vocabulary: AnyVocabulary) -> Iterator[str]:
    """Cut a text at positions that no token crosses."""
    rest = ""
    for piece in pieces:
        rest += piece
        end = vocabulary.stable_prefix(rest)
        yield rest[:end]
        rest = rest[end:]
    yield rest


def _ids(part: TextSplit, vocabulary: AnyVocabulary) -> NDArray[Any]:
    kind = np.dtype(np.uint16 if len(vocabulary) <= 1 << 16 else np.int32)
    if part.characters <= MAX_CHARACTERS_IN_MEMORY:
        buffer = bytearray()
        for ids in _encoded(part, vocabulary, kind):
            buffer += ids
        return np.frombuffer(buffer, dtype=kind)
    key = hashlib.sha256(repr((FORMAT, part.key, vocabulary.to_json())).encode()).hexdigest()
    folder = cache_folder("corpora")
    path = folder / f"{key}.ids"
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


def _encoded(part: TextSplit, vocabulary: AnyVocabulary, kind: np.dtype[Any]) -> Iterator[bytes]:
    for text in part.texts():
        for piece in _stable_pieces(text, vocabulary):
            yield vocabulary.encode(piece).astype(kind).tobytes()
        if part.ends:
            yield np.array([END], dtype=kind).tobytes()


def _whole(path: Path) -> bool:
    """Return whether the file exists and ends in the checksum of what precedes it."""
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
    digest = hashlib.sha256()
    with replace_cached(path) as file:
        _tidy(path.parent)
        for block in content:
            digest.update(block)
            file.write(block)
        file.write(digest.digest())


def _tidy(folder: Path) -> None:
    """Remove files unused for long; a process that still maps such a file keeps it."""
    for path in folder.iterdir():
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > UNUSED_DAYS * 86400:
                path.unlink()
