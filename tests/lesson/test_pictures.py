"""The lesson's own pictures have the labels that a reader needs."""

from pathlib import Path

import torch

from elman.lesson import pictures


def test_counts_beside_states(tmp_path: Path) -> None:
    counts = {"b a": {"a": 1, "b": 1}, "a b": {"a": 1, "b": 1}}
    figure = pictures.beside(counts, {text: torch.rand(3) for text in counts}, tmp_path / "beside.svg")
    left, right = figure.axes
    assert [label.get_text() for label in left.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["“b a”", "“a b”"]
    assert len(right.patches) == 6
    assert (tmp_path / "beside.svg").stat().st_size


def test_gates_over_words() -> None:
    figure = pictures.gates({"f": torch.rand(2, 3), "i": torch.rand(2, 3)}, ["not", "good"])
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["not", "good"]
    assert figure.axes[0].get_ylabel() == "f\nunit"


def test_panels_stand_side_by_side() -> None:
    _, axes = pictures.panels(2)
    assert len(axes) == 2
