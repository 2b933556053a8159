"""Made-up data: right labels, right translations, sound that can be told apart."""

import numpy as np

from elman.lesson import examples


def test_reviews_are_labelled_by_their_meaning() -> None:
    rows = examples.reviews()
    label = dict(zip(rows["text"], rows["label"], strict=True))
    assert len(label) == len(rows["text"]) == 1000
    assert label["The movie was good"] == label["The movie was not bad"] == "good"
    assert label["The movie which I watched last year in London was not good"] == "bad"
    assert rows["label"].count("good") == 500
    words = {word for text in label for word in text.split()}
    assert words == set(" ".join(label).split())


def test_deep_learning_is_loved_most() -> None:
    lines = examples.sentences_of_love()
    after = [line.split("deep ")[1].rstrip(".") for line in lines if "love" in line]
    assert max(set(after), key=after.count) == "learning"
    assert lines == examples.sentences_of_love()


def test_translations_and_talks() -> None:
    rows = examples.translations()
    pairs = dict(zip(rows["german"], rows["english"], strict=True))
    assert pairs["Ein Hund rennt im Park."] == "A dog runs in the park."
    assert len(pairs) == 48
    assert ["Hello!", "Hello, how are you?"] in examples.talks(1)
    assert all(len(turns) == 2 for turns in examples.talks(2))


def test_words_sound_in_their_bands() -> None:
    for word, bands in examples.TONES.items():
        loud = examples.spoken(word, 1)[12:20].mean(0)
        assert {*np.argsort(loud)[-2:].tolist()} == {*bands}
    rows = examples.recordings(6)
    assert [row["text"] for row in rows] == [*examples.TONES] * 2
    assert rows[0]["frames"].shape[1] == examples.BANDS
