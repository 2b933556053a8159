"""The translation: the verdict."""

import pytest

from elman.demo.translation import verdict


@pytest.mark.parametrize(
    ("ours", "sentence"), [(30.0, "translates better than"), (10.0, "does not translate better")]
)
def test_the_verdict_is_about_bleu(ours: float, sentence: str) -> None:
    assert sentence in verdict({"elman": {"bleu": ours}, "dictionary": {"bleu": 20.0}})
