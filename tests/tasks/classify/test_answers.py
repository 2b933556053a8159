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


def test_a_familiar_text_says_so() -> None:
    row = {"a": 0.75, "b": 0.25}
    for labels in (Labels(("a", "b")), Labels(("a", "b"), True)):
        answer = make_answer(labels, row, None, 0.5)
        assert answer.to_dict() == make_answer(labels, row, None).to_dict() | {"familiar": 0.5}
        assert str(answer) == str(make_answer(labels, row, None))
