"""What a part hands back."""

import pytest

from elman.demo.part import Measure, Part, Table, Word, divided, rows_of, score_table


def test_the_best_score_of_a_row_is_marked() -> None:
    columns = {"elman": {"error": 2.0, "right": 0.5, "size": 3.0}, "plain": {"error": 1.0, "right": None}}
    measures = {
        "error": Measure("error ↓", "{:.1f}", min),
        "right": Measure("right", "{:.0%}", max),
        "size": Measure("size", "{:.0f}"),
    }
    table = score_table(columns, measures)
    assert table.head == ["", "elman", "plain"]
    assert table.rows == [
        ["error ↓", ("2.0", False), ("1.0", True)],
        ["right", ("50%", True), ("", False)],
        ["size", ("3", False), ("", False)],
    ]


def test_a_part_as_json_holds_its_examples_and_words() -> None:
    examples = Table(["in", "out"], [["a", ("b", True)]])
    read = [[Word("not", 0.25)]]
    part = Part("T", "about", Table([], []), "so", {"scores": {"a": 1.0}}, examples, read, ["note"])
    assert part.to_dict() == {
        "title": "T",
        "about": "about",
        "verdict": "so",
        "scores": {"a": 1.0},
        "notes": ["note"],
        "examples": [{"in": "a", "out": "b"}],
        "read": [[{"word": "not", "good": 0.25}]],
    }


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5])
def test_rows_are_divided_without_losing_or_sharing_one(share: float) -> None:
    rows = [*range(40)]
    train, test = divided(rows, share)
    assert sorted(train + test) == rows
    assert len(test) == max(1, round(share * 40))
    assert divided(rows, share) == (train, test)


@pytest.mark.parametrize("name", ["reviews.tsv", "french_english.tsv", "talks.tsv", "our_talks.tsv"])
def test_rows_of_the_data_have_two_filled_fields(name: str) -> None:
    rows = rows_of(name)
    assert len(rows) > 40
    assert all(len(row) == 2 and all(field.strip() for field in row) for row in rows)
