"""Corpora against texts written out by hand, Python's own reading of files, and the same work in memory."""

import gzip
import hashlib
import io
import os
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import strategies as st

from elman.data.text import corpus, sources
from elman.data.text.corpus import is_pretokenized, read_corpus, read_ids
from elman.data.text.tokenizers import UNKNOWN
from elman.data.text.vocabulary import END, build_vocabulary
from elman.errors import DataError, UsageError

VERSE = "The cat sat on the mat, and the dog lay on the log.\nIt was late!\n\n"
SHARDS = [b"\r\n", b"\r", b"\n", b"abc", b" ", b"\xef\xbb\xbf", *(c.encode() for c in "é€👍")]
CHUNKS = st.lists(st.sampled_from(SHARDS), max_size=12).map(b"".join)
BYTES = st.lists(st.one_of(CHUNKS, st.binary(max_size=3)), max_size=4).map(b"".join)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ELMAN_CACHE", str(folder))
    return folder / "corpora"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of a few tokens are enough."""
    monkeypatch.setattr(corpus, "MIN_TOKENS", (1, 1))


@pytest.fixture
def verses(tmp_path: Path) -> Path:
    path = tmp_path / "verses.txt"
    path.write_text(VERSE * 50)
    return path


@pytest.mark.usefixtures("tiny")
def test_characters_of_a_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("aab\naa\n" * 2 + "bz")
    read = read_corpus(path, held_out=2 / 16)
    assert read.vocabulary.to_json() == {"kind": "character", "tokens": ["a", "\n", "b"]}
    assert read.train.tolist() == [2, 2, 4, 3, 2, 2, 3] * 2
    assert read.held_out.tolist() == [4, UNKNOWN]
    assert read.characters_held_out == 2
    assert read.train.dtype == read.held_out.dtype == np.uint16
    assert read.source.pop("fingerprint") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.source == {"source": str(path), "characters": 14, "tokens": 14}


@pytest.mark.usefixtures("tiny")
def test_words_of_documents_end_each(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["a cat", "a dog", None, "a cat\r\nsat", "a dog", "a owl"]})
    read = read_corpus(frame, tokens="word", min_count=1, held_out=0.4)
    # "a dog" is held out, so it is not trained on; the empty cell is left out.
    assert read.vocabulary.to_json()["tokens"] == [" cat", "a", "\n", "sat"]
    assert read.train.tolist() == [3, 2, END, 3, 2, 4, 5, END]
    assert read.held_out.tolist() == [3, UNKNOWN, END, 3, UNKNOWN, END]
    assert (read.source["characters"], read.characters_held_out) == (5 + 9, 10)
    ids, characters, _ = read_ids({"text": ["sat", "cat a"]}, read.vocabulary)
    assert (ids.tolist(), characters) == ([5, END, UNKNOWN, UNKNOWN, END], 8)


@pytest.mark.usefixtures("tiny")
def test_columns_lines_and_tables_of_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["one two", "one three", "one one"]
    lines, table, column = tmp_path / "a.txt", tmp_path / "b.csv.gz", tmp_path / "c.jsonl"
    lines.write_text("\n".join(rows))
    table.write_bytes(gzip.compress("\n".join(["text", *rows]).encode(), mtime=0))
    pl.DataFrame({"body": rows}).write_ndjson(column)
    first = read_corpus({"text": rows}, tokens="word", min_count=1)
    assert first.train.tolist().count(END) == 2
    for data, text in ((lines, "text"), (table, None), (str(column), "body")):
        again = read_corpus(data, text=text, tokens="word", min_count=1)
        assert again.train.tolist() == first.train.tolist()
        assert again.held_out.tolist() == first.held_out.tolist()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.read_bytes())))
    piped = read_corpus("-", text="text", tokens="word", min_count=1)
    assert piped.train.tolist() == first.train.tolist()


@pytest.mark.usefixtures("tiny")
def test_what_is_held_out_may_be_given(tmp_path: Path) -> None:
    train, valid = tmp_path / "train", tmp_path / "valid.text"
    train.write_text("abab\n")
    valid.write_text("ba\nc")
    read = read_corpus(train, valid=valid)
    assert (read.train.tolist(), read.held_out.tolist()) == ([2, 3, 2, 3, 4], [3, 2, 4, UNKNOWN])
    assert read.characters_held_out == 4
    tables = read_corpus({"text": ["ab", "cd"]}, valid={"text": ["cd"]}, tokens="character")
    assert (tables.train.tolist(), tables.held_out.tolist()) == ([2, 3, END], [UNKNOWN, UNKNOWN, END])


def test_the_same_text_however_it_comes(
    verses: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_corpus(verses, tokens="word")
    packed, marked, pipe = tmp_path / "a.txt.gz", tmp_path / "b", tmp_path / "pipe"
    packed.write_bytes(gzip.compress(verses.read_bytes(), mtime=0))
    marked.write_bytes(b"\xef\xbb\xbf" + verses.read_bytes().replace(b"\n", b"\r\n"))
    os.mkfifo(pipe)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(verses.read_bytes())))
    writer = threading.Thread(target=lambda: pipe.write_bytes(verses.read_bytes()))
    writer.start()
    for data in (packed, marked, pipe, "-"):
        again = read_corpus(data, tokens="word")
        assert again.train.tolist() == first.train.tolist()
        assert again.held_out.tolist() == first.held_out.tolist()
        assert again.vocabulary == first.vocabulary
        same = again.source["fingerprint"] == first.source["fingerprint"]
        assert same == (data != marked)
    writer.join()


@pytest.mark.parametrize("tokens", ["character", "word", "space", "subword"])
def test_nothing_depends_on_the_blocks(verses: Path, tokens: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = verses.read_text()
    whole = read_corpus(verses, tokens=tokens, size=300)
    monkeypatch.setattr(sources, "BLOCK_BYTES", 7)
    blocks = read_corpus(verses, tokens=tokens, size=300)
    assert whole.train.tolist() == blocks.train.tolist()
    assert whole.held_out.tolist() == blocks.held_out.tolist()
    cut = whole.source["characters"]
    assert whole.train.tolist() == whole.vocabulary.encode(text[:cut]).tolist()
    assert whole.held_out.tolist() == whole.vocabulary.encode(text[cut:]).tolist()
    assert text[cut - 1] == "\n"
    assert whole.characters_held_out == len(text) - cut


def test_auto_goes_by_the_length(verses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_corpus(verses).vocabulary.kind == "character"
    monkeypatch.setattr(corpus, "MIN_CHARACTERS_FOR_WORDS", 1000)
    assert read_corpus(verses).vocabulary.kind == "word"
    monkeypatch.setattr(corpus, "MIN_CHARACTERS_FOR_SUBWORDS", 2000)
    monkeypatch.setattr(corpus, "MAX_SUBWORD_TRAINING_CHARACTERS", 100)
    read = read_corpus(verses, size=280)
    assert (
        read.vocabulary.to_json() == build_vocabulary("subword", [verses.read_text()[:100]], 280, 1).to_json()
    )


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("no it was n't black monday \n but while the <unk> stock exchange", True),
        ("Senjō no Valkyria 3 , lit . Valkyria of the Battlefield 3 , is Japan 's game . \n", True),
        ("It isn't so, he said. The token <unk> is rare. " + "It was late, though. " * 300, False),
        ("The cat 's out, said he. It was n't here.", False),
        ("a , b . c , d .", False),
        ("", False),
    ],
)
def test_texts_that_are_cut_apart_already(sample: str, expected: bool) -> None:
    assert is_pretokenized(sample) is expected


def test_auto_sees_that_a_text_is_cut_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "MIN_CHARACTERS_FOR_WORDS", 1000)
    path = tmp_path / "cut.txt"
    path.write_text(" it was n't <unk> , said mr. <unk> . \n" * 100)
    read = read_corpus(path)
    assert read.vocabulary.kind == "space"
    assert set(read.vocabulary.to_json()["tokens"]) == {
        "\n",
        " it",
        " was",
        " n't",
        " ,",
        " said",
        " mr.",
        " .",
    }


def test_large_ids_are_wider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.txt"
    text = "".join(map(chr, range(0x4E00, 0x9FFF))) + "".join(map(chr, range(0x20000, 0x2D000)))
    path.write_text(text + text[:30_000])
    read = read_corpus(path, size=100_000, held_out=30_000 / (len(text) + 30_000))
    assert read.train.dtype == read.held_out.dtype == np.int32
    assert read.train.tolist() == list(range(2, len(text) + 2))


def test_ids_of_a_long_text_are_kept_in_the_cache(
    verses: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = read_corpus(verses, tokens="word")
    assert not own_cache.exists()
    monkeypatch.setattr(corpus, "MAX_CHARACTERS_IN_MEMORY", 1000)
    large = read_corpus(verses, tokens="word")
    assert isinstance(large.train, np.memmap)
    assert not isinstance(large.held_out, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        large.train[0] = 1
    assert (large.train.dtype, large.train.tolist()) == (small.train.dtype, small.train.tolist())
    (file,) = own_cache.iterdir()
    found, content = file.stat().st_ino, file.read_bytes()
    os.utime(file, (0, 0))
    again = read_corpus(verses, tokens="word")
    assert again.train.tolist() == small.train.tolist()
    assert [path.stat().st_ino for path in own_cache.iterdir()] == [found]
    assert file.stat().st_mtime > 0  # it is in use
    for damaged in (b"", content[:20], content[:-1], content + b"x", b"\xff" + content[1:]):
        file.write_bytes(damaged)
        assert read_corpus(verses, tokens="word").train.tolist() == small.train.tolist()
        assert file.read_bytes() == content
    read_corpus(verses, tokens="word", size=10)
    read_corpus(verses, tokens="word", held_out=0.2)
    assert len(list(own_cache.iterdir())) == 3


def test_documents_are_kept_in_the_cache_too(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"text": [f"{VERSE}{i}" for i in range(40)]}
    small = read_corpus(rows)
    monkeypatch.setattr(corpus, "MAX_CHARACTERS_IN_MEMORY", 1000)
    large = read_corpus(rows)
    assert isinstance(large.train, np.memmap)
    assert large.train.tolist() == small.train.tolist()
    ids, characters, _ = read_ids(rows, small.vocabulary)
    assert isinstance(ids, np.memmap)
    assert ids.tolist() == [*small.train.tolist(), *small.held_out.tolist()]
    assert characters == sum(map(len, rows["text"]))


def test_a_cache_that_is_full_or_old(verses: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "MAX_CHARACTERS_IN_MEMORY", 1000)
    own_cache.write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"corpora cannot hold the ids of .*verses.txt .* ELMAN_CACHE"):
        read_corpus(verses)
    own_cache.unlink()
    own_cache.mkdir()
    for name, days in (("old.partial", 31), ("new.partial", 29)):
        (own_cache / name).write_text("")
        os.utime(own_cache / name, (0, time.time() - days * 86400))
    read_corpus(verses)
    assert len(list(own_cache.iterdir())) == 2
    assert (own_cache / "new.partial").exists()


def test_what_fails_half_way_leaves_nothing(
    verses: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "MAX_CHARACTERS_IN_MEMORY", 1000)
    known = read_corpus(verses).vocabulary
    (file,) = own_cache.iterdir()
    file.unlink()

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(known), "encode", fails)
    with pytest.raises(KeyboardInterrupt):
        read_ids(verses, known)
    assert list(own_cache.iterdir()) == []


@pytest.mark.parametrize(
    ("tokens", "size", "block", "limit"),
    # At once, 30 million code points take 120 MB, the words of 250,000 characters 4 MB.
    [("character", 30_000_000, 1 << 20, 60e6), ("word", 250_000, 1 << 13, 2e6)],
)
def test_memory_stays_bounded(
    tmp_path: Path, tokens: Any, size: int, block: int, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.txt"
    line = VERSE.replace("\n", " ")  # and not a single line end
    path.write_text((line * (size // len(line) + 1))[:size])
    monkeypatch.setattr(corpus, "MAX_CHARACTERS_IN_MEMORY", 20_000)
    monkeypatch.setattr(sources, "BLOCK_BYTES", block)
    tracemalloc.start()
    try:
        read = read_corpus(path, tokens=tokens)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (read.source["characters"], read.characters_held_out) == (0.9 * size, 0.1 * size)
    assert peak < limit


def test_the_penn_treebank_has_its_known_size(monkeypatch: pytest.MonkeyPatch) -> None:
    if "ELMAN_DATA" not in os.environ:
        pytest.skip("set ELMAN_DATA to a folder of public data that holds lm/ptb, the Penn Treebank")
    folder = Path(os.environ["ELMAN_DATA"], "lm", "ptb")
    read = read_corpus(folder / "ptb.train.txt", valid=folder / "ptb.valid.txt")
    ids, characters, _ = read_ids(folder / "ptb.test.txt", read.vocabulary)
    assert read.vocabulary.kind == "space"
    # 10,000 words, line end and <unk> among them, and the end of a document.
    assert len(read.vocabulary) == 10_001
    assert (len(read.train), len(read.held_out), len(ids)) == (929_589, 73_760, 82_430)
    assert (read.characters_held_out, characters) == (399_782, 449_945)


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "a.txt is empty; it should hold text."),
        ("a.txt", b" \n\r\n\t", "a.txt is empty; it should hold text."),
        ("a.txt", b"\xef\xbb\xbf", "a.txt is empty; it should hold text."),
        ("a.txt", b"PK\x03\x04abc", "a.txt is a zip archive"),
        ("a.txt", b"\x1f\x8babc", "compressed with gzip; give it the ending .gz"),
        ("a.gz", b"abc", "a.gz is not a gzip file, or is a damaged one"),
        ("a.gz", gzip.compress(b"abc" * 99, mtime=0)[:-9], "a.gz is not a gzip file, or is a damaged one"),
        ("a.txt", "text".encode("utf-16"), "a.txt is UTF-16 text; save it as UTF-8"),
        ("a.txt", ("text " * 9).encode("utf-16-le"), "a.txt looks like UTF-16 text; save it as UTF-8"),
        ("a.txt", bytes(range(256)), "a.txt is a binary file, not text"),
        (
            "a.txt",
            b"ab\nc\0" + b"d" * 99,
            "a.txt, line 2: byte 2 is a NUL, which is not a character of text; remove it.",
        ),
        (
            "a.txt",
            b"ab\n" * 9**6 + b"c\0",
            "a.txt, line 531442: byte 2 is a NUL, which is not a character of text; remove it.",
        ),
        (
            "a.txt",
            b"a\n" + b"b" * 2**20 + b"\xff",
            "a.txt, line 2: byte 1048577 is 0xFF, so the file is not UTF-8",
        ),
        ("a.txt", "né".encode()[:-1], "a.txt ends in the middle of a character"),
        (
            "a.txt",
            b"two word",
            "a.txt: 7 characters to train on and 1 held out are too few; give at least 10 and 2.",
        ),
        ("a.csv", b"x,y\n1,2\n", "a.csv has no column 'text'; it has 'x', 'y'"),
        ("a.csv", b"text\none\n", "a.csv holds one document; give at least two"),
        ("a.csv", b"text\none\none\n", "a.csv: 0 characters to train on and 3 held out are too few"),
    ],
)
def test_what_is_no_text_is_told(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_corpus(_write(tmp_path / name, content))
    assert message in str(caught.value)


def test_too_few_words_are_told(tmp_path: Path) -> None:
    few = _write(tmp_path / "few.txt", b"abcdefghijklmnopqrst " * 10)
    with pytest.raises(DataError, match=r"few.txt: 9 tokens to train on and 1 held out are too few"):
        read_corpus(few, tokens="word")
    rare = _write(tmp_path / "rare.txt", "".join(f" w{i:03}" for i in range(400)).encode())
    with pytest.raises(DataError, match=r"rare.txt: no word occurs 2 times; give more text"):
        read_corpus(rare, tokens="word")


def test_what_cannot_be_read_is_told(tmp_path: Path, verses: Path) -> None:
    with pytest.raises(DataError, match=r"verse.txt does not exist; did you mean 'verses.txt'\?"):
        read_corpus(tmp_path / "verse.txt")
    with pytest.raises(DataError, match=r"is a folder; name one file in it, such as .*verses.txt"):
        read_corpus(str(tmp_path))
    with pytest.raises(DataError, match="has no column 'body'; it has 'text'"):
        read_corpus(verses, text="body")
    with pytest.raises(UsageError, match="is a web address; download it"):
        read_corpus("https://example.org/a.txt")
    with pytest.raises(UsageError, match="is not a table; give a path"):
        read_corpus(3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out": 0.0}, "held_out is 0.0; it must lie between 0 and 1"),
        ({"held_out": 1}, "held_out is 1; it must lie between 0 and 1"),
        ({"held_out": float("nan")}, "held_out is nan"),
        (
            {"tokens": "words"},
            "tokens is 'words'; it must be one of auto, character, word, space, subword; did",
        ),
        ({"size": 2}, "vocabulary size is 2; it must be at least 3"),
        ({"tokens": "subword", "size": 200}, "vocabulary size is 200; it must be at least 258"),
        ({"min_count": 0}, "min_count is 0; it must be at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(verses: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_corpus(verses, **options)
    assert message in str(caught.value)
