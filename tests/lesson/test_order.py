"""A recurrent network beside a bag of words: only one of them may notice a shuffle."""

from pathlib import Path

from elman.demo.memory import Budget
from elman.lesson import order


def test_a_bag_of_words_does_not_notice(tmp_path: Path) -> None:
    budget = Budget(max_gap=2, epochs=1, steps=2, hidden=4, test_blocks=3)
    ordered = order.beside("Elman", budget)
    assert ordered.within == (1, 2, 4, 8, 0)
    assert len({*ordered.feed_forward}) == 1
    assert ordered.ceiling == 0.75
    head, recurrent, plain = str(ordered).splitlines()
    assert head.split() == ["words", "shuffled", "among", "none", "2", "4", "8", "all"]
    assert recurrent.split()[0] == "Elman"
    assert plain.startswith("bag of words ")
    assert ordered.to_dict()["within"] == ordered.within
    ordered.plot(tmp_path / "order.svg")
    assert (tmp_path / "order.svg").stat().st_size
