"""Answers in print and for machines."""

from elman.tasks.classify.answers import make_answer
from elman.tasks.classify.labels import Labels


def test_one_label_or_several() -> None:
    row = {"a": 0.75, "b": 0.5, "c": 0.25}
    one = make_answer(Labels(("a", "b", "c")), row, None)
    assert str(one) == "a\t0.7500" and one.to_dict() == {"label": "a", "probabilities": row}
    several = make_answer(Labels(("a", "b", "c"), True, ";"), row, None)
    assert str(several) == "a;b\t0.7500;0.5000"
    assert several.to_dict() == {"labels": ["a", "b"], "probabilities": row}
    assert str(make_answer(Labels(("a", "b", "c"), True), row, 0.9)) == "none\t0.7500"
