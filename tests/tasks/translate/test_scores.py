"""BLEU and chrF against their formulas; how an evaluation is written and read back."""

import json
import logging
import math

import pytest

from elman.errors import UsageError
from elman.tasks.translate.scores import Evaluation, Scores, notes_for, scored

SIGNATURES = ("nrefs:1|case:mixed", "nrefs:1|nc:6")
FULL = Evaluation(Scores(31.25, 55.5), Scores(20.0, 45.0), 6.5, 1000, SIGNATURES, ("mind this",))


def test_bleu_by_hand() -> None:
    found = ["the cat sat on the mat", "a dog runs fast now"]
    references = ["the cat sat on a mat", "a dog runs very fast today now"]
    # n-grams found, of those written: the cat sat on . mat | a dog runs fast now
    hits = (5 + 5, 3 + 2, 2 + 1, 1 + 0)
    written = (6 + 5, 5 + 4, 4 + 3, 3 + 2)
    precision = math.exp(sum(math.log(h / w) for h, w in zip(hits, written, strict=True)) / 4)
    brevity = math.exp(1 - (6 + 7) / (6 + 5))
    assert scored(found, references)[0].bleu == pytest.approx(100 * brevity * precision)


def test_chrf_by_hand() -> None:
    found, wanted = "abcd", "abd"
    precisions, recalls = (3 / 4, 1 / 3, 0.0), (3 / 3, 1 / 2, 0.0)  # letters, pairs, triples
    p, r = sum(precisions) / 3, sum(recalls) / 3
    assert scored([found], [wanted])[0].chrf == pytest.approx(100 * 5 * p * r / (4 * p + r))


def test_best_and_worst() -> None:
    text = ["A man rides a horse.", "Two dogs play in the snow."]
    (best, signatures), (worst, _) = scored(text, text), scored(["", ""], text)
    assert (best.bleu, best.chrf) == (pytest.approx(100), pytest.approx(100))
    assert (worst.bleu, worst.chrf) == (0, 0)
    assert "tok:13a" in signatures[0] and "case:mixed" in signatures[0] and "nc:6" in signatures[1]
    assert scored([t.lower() for t in text], text)[0].bleu < 100


def test_several_references() -> None:
    found = ["a man rides a horse", "two dogs play outside"]
    rows = [["no such thing at all", "a man rides a horse"], ["two dogs play outside"]]
    scores, signatures = scored(found, rows)
    assert scores == Scores(pytest.approx(100), pytest.approx(100))
    assert "nrefs:var" in signatures[0]
    assert scored(found, [[row[-1]] for row in rows]) == scored(found, [row[-1] for row in rows])
    assert "nrefs:2" in scored(found, [row * 2 for row in (["a"], ["b"])])[1][0]


def test_silence(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        scored(["spaced ."] * 200, ["spaced ."] * 200)
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_nothing_to_score_by() -> None:
    with pytest.raises(UsageError, match="0 translations"):
        scored([], [])
    with pytest.raises(UsageError, match="2 translations and 1"):
        scored(["a", "b"], ["a"])
    with pytest.raises(UsageError, match="translation 2 has no reference"):
        scored(["a", "b"], [["a"], []])


def test_note_on_a_weak_network() -> None:
    plain = Scores(10, 40)
    assert notes_for(Scores(5, 40.1), plain) == () and notes_for(Scores(0, 0), None) == ()
    for chrf in (40.0, 30.0):
        (note,) = notes_for(Scores(50, chrf), plain)
        assert "no better than the word-for-word dictionary" in note


@pytest.mark.parametrize("value", [FULL, Evaluation(Scores(1, 2), None, None, 3, SIGNATURES)])
def test_round_trip(value: Evaluation) -> None:
    plain = value.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert Evaluation.from_dict(json.loads(json.dumps(plain))) == value


def test_as_text() -> None:
    assert str(FULL).splitlines() == [
        "                         network  dictionary",
        "BLEU                       31.25          20",
        "chrF                        55.5          45",
        "perplexity per token         6.5",
        "",
        "1000 sentence pairs",
        "BLEU|nrefs:1|case:mixed",
        "chrF2|nrefs:1|nc:6",
        "Note: mind this",
    ]


def test_as_text_without_baseline() -> None:
    text = str(Evaluation(Scores(1, 2), None, None, 3, SIGNATURES))
    assert "dictionary" not in text and "perplexity" not in text and "network\nBLEU" in text
