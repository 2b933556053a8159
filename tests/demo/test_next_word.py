"""The next word: what the model is trained on, and the verdict."""

import pytest

from elman.demo import next_word


def test_the_sentence_that_is_asked_for_is_not_in_the_text() -> None:
    sentences = next_word.sentences()
    assert not [text for text in sentences if text.startswith("I love deep")]
    assert sum("deep learning" in text.lower() for text in sentences) > 10
    assert any("deep water" in text for text in sentences) and any("deep snow" in text for text in sentences)


@pytest.mark.parametrize(("ours", "sentence"), [(10.0, "network predicts"), (30.0, "counting predicts")])
def test_the_verdict_is_about_the_perplexities(ours: float, sentence: str) -> None:
    assert sentence in next_word.verdict({"elman": {"perplexity": ours}, "5-gram": {"perplexity": 20.0}})
