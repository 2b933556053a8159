"""Texts as categories: which are frequent, spellings of one text, codes of another table, truth values."""

import logging
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.data.series.categories import (
    MAX_CATEGORIES,
    Categories,
    are_categories,
    code,
    read_codes,
    recoded,
    truth,
)
from elman.data.table.table import read_table
from elman.errors import DataError


def fit(cells: list[str | None]) -> Categories:
    codes, texts = read_codes(read_table({"sky": cells}), "sky", None)
    return Categories.fit(codes, texts, "sky")


def test_the_most_frequent_texts_are_categories() -> None:
    cells = ["sun", "Sun", "sun ", "rain", None, "rain", "", "fog", "hail"]
    assert fit(cells) == Categories(("sun", "rain", ""), rest=2)
    assert str(fit(cells)) == "'sun', 'rain', empty, 2 other"
    many = [f"k{i}" for i in range(MAX_CATEGORIES + 3) for _ in range(2 + i % 5)] + [""] * 2
    categories = fit(many)
    assert len(categories.texts) == MAX_CATEGORIES + 1
    assert "" in categories.texts, "an empty cell is never among the others"
    assert (categories.rest, categories.width) == (3, MAX_CATEGORIES + 2)


def test_an_accent_may_be_a_character_of_its_own() -> None:
    assert fit(["caf\u00e9", "caf\u00e9", "cafe\u0301", "CAFE\u0301"]).texts == ("caf\u00e9",)
    assert code("Cafe\u0301", ("tea", "caf\u00e9")) == 1


def test_an_input_for_each_category_and_one_for_the_rest() -> None:
    codes = np.array([0.0, 2.0, np.nan, 1.0])
    expected = [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(Categories(("a", "b"), rest=4).inputs(codes), expected)
    # An input that was never 1 in training is left out.
    np.testing.assert_array_equal(Categories(("a", "b"), rest=0).inputs(codes), np.array(expected)[:, :2])


def test_identifiers_and_free_text_are_refused() -> None:
    notes: list[str | None] = [f"delivery {i}" for i in range(60)]
    with pytest.raises(
        DataError, match=r"column 'sky' holds 60 different texts in 60 rows, as an identifier"
    ):
        fit(notes)
    assert fit([*notes, *[None] * 61]) == Categories(("",), rest=60), "rare events are none"
    assert fit(notes[:12]) == Categories((), rest=12), "nor are the months of a year"


words = st.lists(st.sampled_from(["sun", "SUN", " rain", "rain", "yes", "TRUE", "no", "fog", "é", "", "  "]))


@given(old=words.filter(bool), new=words)
def test_codes_of_another_table(old: list[str], new: list[str]) -> None:
    codes, texts = read_codes(read_table({"sky": old}), "sky", None)
    others = tuple(dict.fromkeys(text.strip() for text in new))
    np.testing.assert_array_equal(recoded(codes, texts, others), [code(text, others) for text in old])
    for row, text in zip(recoded(codes, texts, others), old, strict=True):
        alike = [one for one in others if one.casefold() == text.strip().casefold()]
        if alike:
            assert others[int(row)].casefold() == alike[0].casefold()


def test_no_codes_of_other_texts() -> None:
    for wrong in (3.0, -1.0, 0.5):
        with pytest.raises(ValueError, match="none from 0 to 2"):
            recoded(np.array([wrong]), ("a", "b"), ("a", "b"))
    np.testing.assert_array_equal(recoded(np.array([2.0, np.nan]), ("a", "b"), ("b",)), [1, np.nan])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["sun", "rain", None], True),
        (["yes", "no"], True),
        (["0", "0", "A", "B", "C"], True),
        (["0", "1", "1O"], False),  # a typo
        (["1", "", "n/a"], False),
        ([None, None], False),
        ([True, False], False),
        ([1.5, 2.5], False),
    ],
)
def test_which_columns_are_texts(cells: list[Any], expected: bool) -> None:
    assert are_categories(pl.Series(cells)) is expected
    if expected:
        assert are_categories(pl.Series(cells, dtype=pl.Categorical))


def test_words_of_truth_are_numbers_where_numbers_are_asked_for() -> None:
    assert truth(pl.Series(["Yes", "no", None, "TRUE"])).to_list() == ["1", "0", None, "1"]
    for other in (["yes", "maybe"], ["1", "0"], [None, ""]):
        assert truth(pl.Series(other, dtype=pl.String)).to_list() == other
    # and numbers are texts where categories are
    for cells in ([True, False], ["yes", "no"], ["True", "False"]):
        assert read_codes(read_table({"open": cells}), "open", ("no", "yes"))[0].tolist() == [1, 0]
    assert read_codes(read_table({"kind": [1.0, 2.0]}), "kind", ("2", "A", "1"))[0].tolist() == [2, 0]


def test_new_texts_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        codes, texts = read_codes(read_table({"sky": ["fog", "sun", ""]}), "sky", ("sun",))
    np.testing.assert_array_equal(codes, [1, 0, np.nan])
    assert texts == ("sun",)
    note = "dict: column 'sky' holds 'fog', which is no category of the model and counts as other"
    assert [record.message for record in caplog.records] == [note]
    with pytest.raises(DataError, match="column 'sky' of dict holds lists or bytes; give texts"):
        read_codes(read_table({"sky": [["a"], ["b"]]}), "sky", ("sun",))
