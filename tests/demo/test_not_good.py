"""The memory test as a part: what it says of several trainings."""

import re

import pytest

from elman.demo import not_good
from elman.demo.part import Part


@pytest.fixture(scope="module")
def part() -> Part:
    return not_good.run(progress=False, quick=True)


def test_the_explanation_gives_spread_and_chance() -> None:
    network = {
        "accuracy": {"0": 0.9, "10": 0.8},
        "lowest": {"0": 0.85, "10": 0.7},
        "highest": {"0": 0.95, "10": 0.9},
        "mean": 0.8,
    }
    said = not_good.explanation({"networks": {"Elman": network}, "tested_on": 160})
    assert "up to 20 points apart" in said
    assert "up to 6 points (two standard errors)" in said  # 2 sqrt(0.8 * 0.2 / 160) = 0.063


def test_the_table_has_mean_lowest_and_highest(part: Part) -> None:
    assert [row[0] for row in part.table.rows] == ["Elman", "GRU", "LSTM", "bag of words"]
    for _, *cells in part.table.rows:
        for cell in cells:
            match = re.fullmatch(r"(\d+) \((\d+)–(\d+)\)", str(cell))
            assert match
            mean, low, high = map(int, match.groups())
            assert low <= mean <= high


def test_seeds_differ(part: Part) -> None:
    networks = part.scores["networks"].values()
    assert any(one["lowest"][gap] < one["highest"][gap] for one in networks for gap in one["accuracy"])
