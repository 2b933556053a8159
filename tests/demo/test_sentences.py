"""The *not … good* sentences."""

import pytest
import torch

from elman.demo import sentences


@pytest.mark.parametrize("gap", [0, 5, 12, 80])
def test_half_of_the_sentences_are_good_and_counting_words_does_not_tell(gap: int) -> None:
    words, good = sentences.sentences(gap, 50, torch.Generator().manual_seed(gap))
    assert good.float().mean() == 0.5
    answers: dict[tuple[int, ...], list[bool]] = {}
    for column, label in zip(words.T, good, strict=True):
        answers.setdefault(tuple(sorted(column.tolist())), []).append(bool(label))
    best = sum(max(found.count(True), found.count(False)) for found in answers.values())
    assert best / len(good) == sentences.bag_ceiling() == 0.75


def test_the_movie_is_good_unless_its_own_clause_says_not() -> None:
    words, good = sentences.sentences(30, 20, torch.Generator().manual_seed(0))
    for column, label in zip(words.T, good, strict=True):
        assert ("the movie was not good" in sentences.written(column)) == (not label)


def test_the_table_labels_each_sentence_by_the_movie() -> None:
    table = sentences.examples(100, longest=4)
    assert len(table["text"]) == len(table["label"]) == 104
    for text, label in zip(table["text"], table["label"], strict=True):
        assert label == ("not good" if "movie was not good" in text else "good")
    assert {text.count(" ") for text in table["text"]} == {18, 19, 20, 21, 22}
