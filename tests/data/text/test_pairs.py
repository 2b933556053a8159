"""Sentence pairs: the same pairs in every form, against pairs typed in, and what each slip is told."""

import gzip
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.table.table import read_table
from elman.data.text.pairs import Pairs, read_pairs
from elman.errors import DataError, UsageError
from tabular import FOLDER, write

PAIRS = [("Go.", "Va !"), ('"Hello," he said.', "« Bonjour »,  dit-il."), ('She said "no', "Non"), ("a", "a")]
# Tabs and line ends are control characters; a mark of byte order is taken from the start of a file.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1)
SENTENCES = TEXTS.map(str.strip).filter(bool)
Typed = Callable[[str | bytes], None]


def of(pairs: Pairs) -> list[tuple[str, str]]:
    return list(zip(pairs.source, pairs.target, strict=True))


def tabbed(pairs: list[tuple[str, str]]) -> str:
    return "".join(f"{s}\t{t}\n" for s, t in pairs)


def objects(pairs: list[tuple[str, str]], one: str = "de", other: str = "en") -> str:
    return "".join(json.dumps({one: s, other: t}) + "\n" for s, t in pairs)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    def give(content: str | bytes) -> None:
        raw = content if isinstance(content, bytes) else content.encode()
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw)))

    return give


@FOLDER
@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8))
def test_pairs_survive_every_form(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    left = write(tmp_path, "train.de", "".join(s + "\n" for s, _ in pairs))
    right = write(tmp_path, "train.en", "\n".join(t for _, t in pairs))
    headed = write(tmp_path, "headed.tsv", "de\ten\n" + tabbed(pairs))
    bare = write(tmp_path, "bare.txt", tabbed([PAIRS[0], *pairs]))
    read = [
        read_pairs((left, right)),
        read_pairs(headed),
        read_pairs(headed, "de", "en"),
        read_pairs(write(tmp_path, "a.jsonl", objects(pairs))),
        read_pairs({"de": [s for s, _ in pairs], "en": [t for _, t in pairs]}),
    ]
    assert [of(found) for found in read] == [pairs] * len(read)
    assert len({found.fingerprint for found in read}) == 1
    assert of(read_pairs(bare)) == [PAIRS[0], *pairs]
    assert of(read_pairs(headed, "en", "de")) == [(t, s) for s, t in pairs]


def test_names_columns_and_rows(tmp_path: Path) -> None:
    left, right = write(tmp_path, "a.de", "ja\nnein\n"), write(tmp_path, "a.en", "yes\nno\n")
    files = read_pairs([str(left), right])
    assert (files.name, files.columns, len(files)) == (f"{left} + {right}", None, 2)
    table = read_pairs({"de": ["ja", "nein", "ach"], "en": ["yes", "no", "oh"]})
    assert (table.name, table.columns, len(table)) == ("dict", ("de", "en"), 3)
    taken = table.take([2, 0, 2])
    assert of(taken) == [("ach", "oh"), ("ja", "yes"), ("ach", "oh")]
    assert (taken.name, taken.columns, taken.fingerprint) == (table.name, table.columns, table.fingerprint)
    lines = read_pairs(write(tmp_path, "a.tsv", "Ja.\tYes.\n"))
    assert (lines.name, lines.columns) == (str(tmp_path / "a.tsv"), None)


def test_fingerprints_tell_content_apart() -> None:
    contents = [["a b"], ["c"]], [["a"], ["b c"]], [["c"], ["a b"]], [["a b", "a b"], ["c", "c"]]
    prints = {read_pairs({"source": s, "target": t}).fingerprint for s, t in contents}
    assert len(prints) == len(contents)
    assert all(re.fullmatch("[0-9a-f]{64}", found) for found in prints)
    assert read_pairs({"source": [" a b "], "target": ["c"]}).fingerprint in prints


def test_ends_are_stripped_and_blanks_inside_stay(tmp_path: Path) -> None:
    expected = [("a  b", "c\u00a0!")]
    assert of(read_pairs(write(tmp_path, "a.tsv", "  a  b \t \u00a0c\u00a0! \n"))) == expected
    assert of(read_pairs({"de": [" a  b"], "en": ["c\u00a0!\n"]})) == expected
    left, right = write(tmp_path, "a.de", "\ta  b \n"), write(tmp_path, "a.en", "c\u00a0!\u3000\n")
    assert of(read_pairs((left, right))) == expected


def test_marks_line_ends_and_gzip(tmp_path: Path) -> None:
    left = write(tmp_path, "a.de", b"\xef\xbb\xbfja\r\nnein\r\n")
    right = write(tmp_path, "a.en.gz", gzip.compress(b"yes\nno", mtime=0))
    assert of(read_pairs((left, right))) == [("ja", "yes"), ("nein", "no")]
    for name in ("a.tsv.gz", "a.txt.gz"):
        packed = write(tmp_path, name, gzip.compress(b"\xef\xbb\xbfJa.\tYes.\r\nNein.\tNo.\r\n", mtime=0))
        assert of(read_pairs(packed)) == [("Ja.", "Yes."), ("Nein.", "No.")]
    packed = write(tmp_path, "a.jsonl.gz", gzip.compress(objects(PAIRS).encode(), mtime=0))
    assert of(read_pairs(packed)) == PAIRS


def test_lines_blank_in_both_files_are_skipped(tmp_path: Path) -> None:
    left, right = write(tmp_path, "a.de", "\nja\n \nnein\n"), write(tmp_path, "a.en", "\t\nyes\n\nno\n")
    assert of(read_pairs((left, right))) == [("ja", "yes"), ("nein", "no")]


@pytest.mark.parametrize("name", ["a.tsv", "a.txt", "a.tab", "deu-eng"])
def test_lines_with_tabs(tmp_path: Path, name: str) -> None:
    content = '\n"Ja," sagte er.\t"Yes," he said.\tCC-BY 2.0\n\nNein.\tNo.\n\t\n"\t\\"\n'
    expected = [('"Ja," sagte er.', '"Yes," he said.'), ("Nein.", "No."), ('"', '\\"')]
    assert of(read_pairs(write(tmp_path, name, content))) == expected


@pytest.mark.parametrize(
    ("first", "columns"),
    [
        ("source\ttarget", ("source", "target")),
        ("Source\tTGT\tlicence", ("Source", "TGT")),
        ("trg\tsrc", ("src", "trg")),
        (" de \ten", ("de", "en")),
        ("deu\tpt-BR", ("deu", "pt-BR")),
        ("EN\tzh_Hans", ("EN", "zh_Hans")),
        ("Go\tVa", None),
        ("de\tde", None),
        ("src\tsrc", None),
        ("source\tSource", None),
        ("id\tsource\ttarget", None),
        ("de\tnein", None),
        ("1\t2", None),
    ],
)
def test_headers_of_lines_are_known_by_their_words(
    tmp_path: Path, first: str, columns: tuple[str, str] | None
) -> None:
    found = read_pairs(write(tmp_path, "a.tsv", f"{first}\nja\tyes\n"))
    cells = first.split("\t")
    assert found.columns == columns
    swapped = columns is not None and columns[0] == cells[1].strip()
    pair = ("yes", "ja") if swapped else ("ja", "yes")
    assert of(found) == ([pair] if columns else [(cells[0], cells[1]), pair])


def test_named_columns_of_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "\nid\tGerman text\tEnglish text\n7\tJa.\tYes.\n8\tNein.\tNo.\n")
    found = read_pairs(path, "English text", "German text")
    assert of(found) == [("Yes.", "Ja."), ("No.", "Nein.")]
    assert found.columns == ("English text", "German text")


@pytest.mark.parametrize(
    ("data", "names", "columns"),
    [
        ({"id": ["1"], "target": ["t"], "source": ["s"]}, (), ("source", "target")),
        ({"trg": ["t"], "SRC": ["s"]}, (), ("SRC", "trg")),
        ({"id": [1], "x": ["s"], "y": ["t"], "score": [0.5]}, (), ("x", "y")),
        ({"source": ["no"], "target": ["no"], "x": ["s"], "y": ["t"]}, ("x", "y"), ("x", "y")),
        ([{"x": "s", "y": "t"}], (), ("x", "y")),
        (pl.DataFrame({"x": ["s"], "y": ["t"]}), ("x", "y"), ("x", "y")),
        (read_table({"x": ["s"], "y": ["t"]}), (), ("x", "y")),
        ({"id": ["7"], "translation": [{"x": "s", "y": "t"}]}, (), ("x", "y")),
        ({"translation": [{"w": "no", "y": "t", "x": "s"}]}, ("x", "y"), ("x", "y")),
        ({"x": ["s"], "y": ["t"], "translation": [{"a": "no", "b": "no"}]}, ("x", "y"), ("x", "y")),
        ({"sentence": ["s"], "translation": ["t"]}, (), ("sentence", "translation")),
    ],
)
def test_columns_of_tables(data: Any, names: tuple[str, ...], columns: tuple[str, str]) -> None:
    found = read_pairs(data, *names)
    assert (of(found), found.columns) == ([("s", "t")], columns)


def test_files_of_tables(tmp_path: Path) -> None:
    quoted = write(tmp_path, "a.csv", 'de,en\n"Ja, ""gut""","Yes, ""good"""\n')
    assert of(read_pairs(quoted)) == [('Ja, "gut"', 'Yes, "good"')]
    pl.DataFrame(PAIRS, schema=["de", "en"], orient="row").write_parquet(tmp_path / "a.parquet")
    assert of(read_pairs(str(tmp_path / "a.parquet"))) == PAIRS
    wrapped = "".join(json.dumps({"id": s, "translation": {"de": s, "en": t}}) + "\n" for s, t in PAIRS)
    assert of(read_pairs(write(tmp_path, "a.jsonl", wrapped))) == PAIRS


def test_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"translation": [{"de": s, "en": t} for s, t in PAIRS]})
    monkeypatch.setattr("elman.data.table.table.from_hub", lambda _: frame)
    found = read_pairs("hf:someone/pairs:train", "en", "de")
    assert (found.name, of(found)) == ("hf:someone/pairs:train", [(t, s) for s, t in PAIRS])


def test_standard_input(typed: Typed) -> None:
    parquet = io.BytesIO()
    pl.DataFrame(PAIRS, schema=["de", "en"], orient="row").write_parquet(parquet)
    wrapped = "".join(json.dumps({"translation": {"de": s, "en": t}}) + "\n" for s, t in PAIRS)
    for content in (tabbed(PAIRS), "src\ttrg\n" + tabbed(PAIRS), objects(PAIRS), wrapped, parquet.getvalue()):
        typed(content)
        found = read_pairs("-")
        assert (of(found), found.name) == (PAIRS, "standard input")
    typed("de\ten\n" + tabbed(PAIRS))
    assert of(read_pairs("-", "en", "de")) == [(t, s) for s, t in PAIRS]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "ja\nnein\n",
            "standard input has no tabs and is not JSONL; give sentence, tab, translation on each",
        ),
        ("de,en\nja,yes\n", "standard input has no tabs and is not JSONL"),
        ("Ja.\tYes.\nNein.\n", "standard input, line 2 has no tab, so no translation; write"),
        (
            '{"de": "ja", "en": "yes"}\n\n{"de": "ja", "en": " "}\n',
            "standard input, row 2 (line 3): column 'en'",
        ),
        ('{"de": "ja"\n', "standard input, line 1 is not valid JSON"),
        ("", "standard input is empty"),
    ],
)
def test_slips_on_standard_input(typed: Typed, content: str, message: str) -> None:
    typed(content)
    with pytest.raises(DataError, match=re.escape(message)):
        read_pairs("-")


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ("a\nb\nc\n", "a\nb\n", "{0} has 3 lines, but {1} has 2; each line of one file should be the trans"),
        (
            "a\n \nc\n",
            "a\nb\nc\n",
            "{0}, line 2 is empty, but line 2 of {1} is not; fill it in or remove both.",
        ),
        (
            "a\nb\nc\n",
            "a\nb\n\n",
            "{1}, line 3 is empty, but line 3 of {0} is not; fill it in or remove both.",
        ),
        ("\u00a0\n", "\u00a0\n", "{0} + {1} holds no pairs; it should hold at least one sentence and its tr"),
        ("a\n", "", "{1} is empty"),
        (
            b"a\nb\xe9\n",
            "a\nb\n",
            "{0}, line 2: byte 2 is 0xE9 ('é' in Windows-1252), so the file is not UTF-8",
        ),
        ("a\n", b"\xff\xfea\0", "{1} is UTF-16 text"),
        (gzip.compress(b"a", mtime=0), "a", "{0} is compressed with gzip; give it the ending .gz"),
    ],
)
def test_slips_in_parallel_files(tmp_path: Path, left: str | bytes, right: str | bytes, message: str) -> None:
    paths = write(tmp_path, "a.de", left), write(tmp_path, "a.en", right)
    with pytest.raises(DataError, match="^" + re.escape(message.format(*paths))):
        read_pairs(paths)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    path = write(tmp_path, "train.de", "ja\n")
    with pytest.raises(DataError, match=r"trian\.de does not exist; did you mean 'train\.de'\?"):
        read_pairs((tmp_path / "trian.de", path))
    with pytest.raises(DataError, match=r"trian\.de does not exist; did you mean 'train\.de'\?"):
        read_pairs(tmp_path / "trian.de")
    with pytest.raises(DataError, match="is a folder; name one file in it"):
        read_pairs((path, tmp_path))
    with pytest.raises(DataError, match="is a folder; name one file in it"):
        read_pairs(tmp_path)
    with pytest.raises(DataError, match="is not a gzip file, or is a damaged one"):
        read_pairs((path, write(tmp_path, "train.en.gz", "yes\n")))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "Ja.\tYes.\n\nNein.\n",
            "line 3 has no tab, so no translation; write sentence, tab, translation",
        ),
        ("Ja.\nNein.\tNo.\n", "line 1 has no tab, so no translation"),
        (
            "Ja.\tYes.\nNein.\t \n",
            "line 2: the translation (column 2) is empty; fill it in or remove the line.",
        ),
        ("Ja.\tYes.\n\tNo.\tx\n", "line 2: the sentence (column 1) is empty; fill it in or remove the line."),
        ("Ja.\tYes.\nNein\xe9\tNo.".encode("latin-1"), "line 2: byte 5 is 0xE9"),
    ],
)
@pytest.mark.parametrize("name", ["a.tsv", "a.txt"])
def test_slips_in_lines(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match="^" + re.escape(f"{path}, {message}")):
        read_pairs(path)


def test_slips_in_headers_of_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", "id\tgerman\tenglish\n1\tJa.\n")
    with pytest.raises(
        DataError,
        match=r"a\.tsv, line 1 has no column 'germn'; it has 'id', 'german', .*; did you mean 'german'\?$",
    ):
        read_pairs(path, "germn", "english")
    with pytest.raises(DataError, match=r"line 2: the translation \(column 3\) is empty"):
        read_pairs(path, "german", "english")
    with pytest.raises(
        DataError,
        match=r"line 1 has no column 'de'; it has 'Ja\.', 'Yes\.'; if that line is a pair and not a header",
    ):
        read_pairs(write(tmp_path, "b.tsv", "Ja.\tYes.\n"), "de", "en")
    with pytest.raises(DataError, match=r"c\.tsv holds no pairs; it should hold at least one sentence"):
        read_pairs(write(tmp_path, "c.tsv", "de\ten\n"))
    for names in ((), ("de", "en")):
        with pytest.raises(DataError, match=r"d\.tsv holds no pairs"):
            read_pairs(write(tmp_path, "d.tsv", "\u00a0\n"), *names)


def test_slips_in_tables(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "id,german,english\n1,ja,yes\n2,,no\n")
    with pytest.raises(
        DataError,
        match=r"a\.csv has the columns 'id', 'german', 'english'; name the column of sentences .*"
        r"with source=… and target=… \(on the command line, --source and --target\)\.$",
    ):
        read_pairs(path)
    with pytest.raises(
        DataError, match=r"has no column 'germn'; it has 'id', 'german', 'english'; did you mean 'german'\?$"
    ):
        read_pairs(path, "germn", "english")
    with pytest.raises(DataError, match=r"a\.csv, row 3: column 'german' is empty; fill it in"):
        read_pairs(path, "german", "english")
    with pytest.raises(DataError, match=r"dict, row 1 \(counted from 0\): column 'b' is empty; fill it in"):
        read_pairs({"a": ["x", "y"], "b": ["x", "\x1c"]})
    with pytest.raises(DataError, match=r"row 1 \(counted from 0\): column 'b' is empty; fill it in"):
        read_pairs({"translation": [{"a": "x", "b": "y"}, {"a": "z"}]})
    with pytest.raises(DataError, match=r"it has 'c0', .*'c11', …\.$"):
        read_pairs({f"c{i}": ["x"] for i in range(20)}, "yy", "zz")
    with pytest.raises(DataError, match="save the sheet as CSV"):
        read_pairs(write(tmp_path, "a.xlsx", "x"))


@pytest.mark.parametrize("name", ["train.de", "train.txt", "train"])
def test_one_file_of_two(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name, "ja\nnein\ndoch\n")
    message = (
        f"{path} has no tabs, so no translations; give the file of translations as well, as in "
        '("train.de", "train.en") or, on the command line, `train.de train.en`.'
    )
    with pytest.raises(DataError, match=re.escape(message)):
        read_pairs(str(path))


def test_calls_that_cannot_be_meant(tmp_path: Path) -> None:
    path = write(tmp_path, "a.de", "ja\n")
    with pytest.raises(UsageError, match="data has 3 paths; give two: sentences, then"):
        read_pairs([path, path, path])
    with pytest.raises(UsageError, match="parallel files have no columns; omit source and target"):
        read_pairs((path, path), "de", "en")
    for names in (("de", None), (None, "de"), ("de", "de")):
        with pytest.raises(
            UsageError, match=r"source is .* and target is .*; name two columns, or neither\."
        ):
            read_pairs({"de": ["ja"], "en": ["yes"]}, *names)
    with pytest.raises(UsageError, match="is a web address"):
        read_pairs("https://example.org/a.tsv")
    with pytest.raises(UsageError, match="type int is not a table"):
        read_pairs(7)


def test_real_sentences() -> None:
    if "ELMAN_DATA" not in os.environ:
        pytest.skip("ELMAN_DATA does not name the folder of public data")
    folder = Path(os.environ["ELMAN_DATA"]) / "translation"
    found = read_pairs(folder / "tatoeba/fra-eng.txt")
    assert (len(found), found.columns) == (167_130, None)
    assert of(found.take([0, 2])) == [("Go.", "Va !"), ("Run!", "Cours\u202f!")]
    raw = (folder / "tatoeba/fra-eng.txt").read_text("utf-8").split("\n")[:-1]
    assert of(found) == [tuple(side.strip() for side in line.split("\t")) for line in raw]
    files = read_pairs((folder / "multi30k/train.de", folder / "multi30k/train.en"))
    assert len(files) == 29_000
