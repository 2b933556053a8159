"""The talk: its data and the verdict."""

from elman.demo import talk
from elman.demo.part import rows_of


def test_no_answer_is_set_for_a_question_that_contradicts_another() -> None:
    ours = rows_of("our_talks.tsv")
    assert len({question for question, _ in ours}) == len(ours)


def test_the_verdict_names_chance() -> None:
    said = talk.verdict({"elman": {"hits": 0.25}, "retrieval": {"hits": 0.125}})
    assert "25%" in said and "12%" in said and "chance for 5%" in said
