"""Texts as callers have them: one or several, in lists, arrays, frames, rows and files."""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import elman
from elman.errors import DataError, ElmanError, UsageError
from elman.tasks.inputs import Texts, check_count, check_seed, check_text, read_texts
from saved_models import SAVED

A, B = "a text", "another one"
ROWS = {"text": [A, B], "label": ["x", "y"]}


def pandas() -> Any:
    return pytest.importorskip("pandas")


def arrow() -> Any:
    return pytest.importorskip("pyarrow")


SEVERAL: dict[str, Callable[[], Any]] = {
    "list": lambda: [A, B],
    "tuple": lambda: (A, B),
    "generator": lambda: (text for text in (A, B)),
    "keys": lambda: dict.fromkeys((A, B)).keys(),
    "array": lambda: np.array([A, B]),
    "array of objects": lambda: np.array([A, B], dtype=object),
    "polars column": lambda: pl.Series([A, B]),
    "pandas column": lambda: pandas().Series([A, B]),
    "pandas column with names": lambda: pandas().Series([A, B], index=["x", "y"]),
    "pandas index": lambda: pandas().Index([A, B]),
    "pandas categories": lambda: pandas().Series([A, B], dtype="category"),
    "arrow column": lambda: arrow().array([A, B]),
    "arrow chunks": lambda: arrow().chunked_array([[A], [B]]),
    "dict": lambda: ROWS,
    "dict of arrays": lambda: {"text": np.array([A, B])},
    "list of rows": lambda: [{"text": A, "label": "x"}, {"text": B, "label": "y"}],
    "generator of rows": lambda: ({"text": text} for text in (A, B)),
    "polars": lambda: pl.DataFrame(ROWS),
    "lazy polars": lambda: pl.DataFrame(ROWS).lazy(),
    "pandas": lambda: pandas().DataFrame(ROWS),
    "pandas with an index": lambda: pandas().DataFrame(ROWS).set_index("label"),
    "arrow": lambda: arrow().table(ROWS),
    "arrow reader": lambda: arrow().table(ROWS).to_reader(),
    "one column of another name": lambda: pl.DataFrame({"words": [A, B]}),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_texts(kind: str) -> None:
    assert read_texts(SEVERAL[kind](), "text") == Texts([A, B], single=False)


@pytest.mark.parametrize("one", [A, np.str_(A), np.array(A), {"text": A, "label": "x"}])
def test_one_text(one: Any) -> None:
    texts, single = read_texts(one, "text")
    assert (texts, single) == ([A], True)
    assert type(texts[0]) is str


def test_a_row_of_a_frame_is_one_text_and_a_list_of_one_is_a_list() -> None:
    assert read_texts(pandas().DataFrame(ROWS).iloc[0], "text") == Texts([A], single=True)
    assert read_texts([A], "text") == Texts([A], single=False)


@pytest.mark.parametrize("none", [[], (), np.array([]), {"text": []}, pl.DataFrame(ROWS)[:0], pl.Series([])])
def test_no_texts(none: Any) -> None:
    assert read_texts(none, "text") == Texts([], single=False)


def test_files(tmp_path: Path) -> None:
    lines, table = tmp_path / "lines.txt", tmp_path / "table.csv"
    lines.write_text(f"{A}\n\n{B}\n")
    (tmp_path / "lines.en").write_text(f"{A}\n\n{B}\n")
    table.write_text(f"label,text\nx,{A}\ny,\n")
    assert read_texts(lines).texts == read_texts(tmp_path / "lines.en").texts == [A, "", B]
    assert read_texts(table) == Texts([A, ""], single=False)
    with pytest.raises(DataError, match=r"lost\.de does not exist"):
        read_texts(tmp_path / "lost.de")
    with pytest.raises(DataError, match="no column 'words'"):
        read_texts(table, "words")


def test_a_blank_text_is_a_text_and_a_missing_one_is_not() -> None:
    assert read_texts({"text": [" ", ""]}).texts == [" ", ""]
    with pytest.raises(DataError, match=r"row 1 .*: column 'text' is empty"):
        read_texts({"text": [A, None]})
    with pytest.raises(DataError, match="holds lists"):
        read_texts({"text": [[A], [B]]})


WRONG = {
    "None": None,
    "number": 3,
    "nan": float("nan"),
    "bool": True,
    "bytes": b"a",
    "bytearray": bytearray(b"a"),
    "set": {A},
    "number of numpy": np.float64(1),
    "tensor": torch.tensor(1.0),
    "numbers": [1, 2],
    "array": np.array([1, 2]),
    "nested": [[A]],
    "nested array": np.array([[A, B]]),
    "None among texts": [A, None],
    "bytes among texts": [A, b"b"],
    "missing": pl.Series([A, None]),
    "object": object(),
    "function": len,
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_text(kind: str) -> None:
    with pytest.raises(UsageError, match=r"data(: text \d)? must be a (text|string).*, not \w+"):
        read_texts(WRONG[kind], "text")


@pytest.mark.parametrize("task", ["classify", "generate", "translate", "chat"])
@pytest.mark.parametrize("kind", WRONG)
def test_every_task_refuses_what_is_no_text_and_its_stream_goes_on(task: str, kind: str) -> None:
    model = elman.load(SAVED / task)
    with pytest.raises(UsageError, match="data"):
        model.predict(WRONG[kind])
    stream, other = model.stream(), model.stream()
    stream.push("some words ")
    other.push("some words ")
    with pytest.raises(UsageError, match="text must be a string"):
        stream.push(WRONG[kind])
    assert stream.result() == other.result()


@pytest.mark.parametrize("task", ["classify", "generate", "translate", "chat"])
def test_every_task_answers_frames_as_it_answers_lists(task: str) -> None:
    model = elman.load(SAVED / task)
    texts = ["some words", "more of them"]
    column = "source" if task == "translate" else "text"
    expected = model.predict(texts)
    assert [*model.predict(pl.DataFrame({column: texts}))] == expected
    assert model.predict({column: texts}) == expected
    assert model.predict(np.array(texts)) == expected
    assert [*map(str, model.answers(pl.Series(texts)))] == [*map(str, model.answers(texts))]
    assert model.predict(texts[:1]) == expected[:1]
    assert model.predict(np.str_(texts[0])) == model.predict({column: texts[0]}) == expected[0]
    assert model.predict([]) == []


@pytest.mark.parametrize(
    ("task", "name"), [("classify", "label"), ("translate", "target"), ("chat", "reply")]
)
def test_frames_are_answered_by_columns_with_their_index(task: str, name: str) -> None:
    model = elman.load(SAVED / task)
    pd = pandas()
    texts = ["some words", "more of them"]
    frame = pd.DataFrame({"source" if task == "translate" else "text": texts}, index=["x", "y"])
    expected = pd.Series(model.predict(texts), index=["x", "y"], name=name)
    for data in (frame, frame.iloc[:, 0]):
        pd.testing.assert_series_equal(model.predict(data), expected)
    assert model.predict(pl.from_pandas(frame)).equals(pl.Series(name, [*expected]))
    assert model.predict(frame.iloc[0]) == expected.iloc[0]
    assert model.predict(frame[:0]).empty


@pytest.mark.parametrize("task", ["classify", "generate", "translate", "chat"])
@pytest.mark.parametrize("text", ["a\0b", "😀😀", "\x1b[31m", "\ufeff", "\uffff", "ξψζ", "\u202eabc", "\r"])
def test_odd_characters_have_an_answer_or_a_sentence(task: str, text: str) -> None:
    model = elman.load(SAVED / task)
    stream = model.stream()
    for answer in (model.predict, stream.push):
        try:
            answer(text)
        except ElmanError as error:
            assert task == "chat" and not text.strip(), error


def test_single_arguments() -> None:
    assert type(check_text(np.str_("a"), "text")) is str
    for wrong in (None, 1, b"a", ["a"]):
        with pytest.raises(UsageError, match="stop must be a string, not"):
            check_text(wrong, "stop")
    check_count(1)
    for count in (0, -1, 1.0, True, "8", None, 11):
        with pytest.raises(UsageError, match=r"count must be a whole number from 1 to 10, not"):
            check_count(count, most=10)
    check_seed(2**63 - 1)
    for seed in (-1, 2**63, 1.0, True, None):
        with pytest.raises(UsageError, match="seed must be a whole number from 0"):
            check_seed(seed)


def test_lines_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=("one\r\n\ntwo\n",))
    writer.start()
    assert read_texts(tmp_path / "pipe") == Texts(["one", "", "two"], single=False)
    writer.join()
