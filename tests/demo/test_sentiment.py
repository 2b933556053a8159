"""Sentiment: the made-up sentences and the verdict."""

import pytest

from elman.demo import sentiment
from elman.demo.part import Word


def test_not_turns_praise_into_blame_and_blame_into_praise() -> None:
    truth = dict(sentiment.made())
    assert truth["The movie was good"] == truth["It was not dull"] == "good"
    assert truth["The movie was not good"] == truth["I found the song very dull"] == "bad"
    labels = list(truth.values())
    assert labels.count("good") == labels.count("bad")


def test_no_sentence_about_a_movie_is_trained_on() -> None:
    kept = [text for text, _ in sentiment.made() if sentiment.HELD_OUT not in text]
    assert not set(sentiment.SHOWN) & set(kept)
    assert len(kept) > sentiment.MADE


@pytest.mark.parametrize(("good", "wrong"), [(0.9, False), (0.1, True)])
def test_the_verdict_names_what_is_wrong(good: float, wrong: bool) -> None:
    columns = {name: {"real": 0.8, "movies": 0.9} for name in ("elman", "TF-IDF", "network")}
    said = sentiment.verdict(columns, [Word("not bad", good)])
    assert ("Wrong here: “not bad”." in said) == wrong
