"""BLEU and chrF against their formulas; an evaluation as text and as JSON."""

import json
import logging
import math

import pytest

from elman.errors import UsageError
from elman.tasks.translate.scores import TranslationEvaluation, corpus_scores

SIGNATURES = ("nrefs:1|case:mixed", "nrefs:1|nc:6")
FULL = TranslationEvaluation(
    scores={"bleu": 31.25, "chrf": 55.5, "perplexity": 6.5},
    baselines={"dictionary": {"bleu": 20.0, "chrf": 45.0, "perplexity": None}},
    pairs=1000,
    signatures=SIGNATURES,
    notes=("mind this",),
)
BARE = TranslationEvaluation(
    scores={"bleu": 1.0, "chrf": 2.0, "perplexity": None}, baselines={}, pairs=3, signatures=SIGNATURES
)


def test_bleu_by_hand() -> None:
    translations = ["the cat sat on the mat", "a dog runs fast now"]
    references = ["the cat sat on a mat", "a dog runs very fast today now"]
    # n-grams in common, of those translated: the cat sat on . mat | a dog runs fast now
    hits = (5 + 5, 3 + 2, 2 + 1, 1 + 0)
    totals = (6 + 5, 5 + 4, 4 + 3, 3 + 2)
    precision = math.exp(sum(math.log(h / w) for h, w in zip(hits, totals, strict=True)) / 4)
    brevity = math.exp(1 - (6 + 7) / (6 + 5))
    assert corpus_scores(translations, references)[0]["bleu"] == pytest.approx(100 * brevity * precision)


def test_chrf_by_hand() -> None:
    translation, reference = "abcd", "abd"
    precisions, recalls = (3 / 4, 1 / 3, 0.0), (3 / 3, 1 / 2, 0.0)  # letters, pairs, triples
    p, r = sum(precisions) / 3, sum(recalls) / 3
    assert corpus_scores([translation], [reference])[0]["chrf"] == pytest.approx(
        100 * 5 * p * r / (4 * p + r)
    )


def test_best_and_worst() -> None:
    text = ["A man rides a horse.", "Two dogs play in the snow."]
    (best, signatures), (worst, _) = corpus_scores(text, text), corpus_scores(["", ""], text)
    assert best == {"bleu": pytest.approx(100), "chrf": pytest.approx(100)}
    assert worst == {"bleu": 0, "chrf": 0}
    assert "tok:13a" in signatures[0] and "case:mixed" in signatures[0] and "nc:6" in signatures[1]
    assert corpus_scores([t.lower() for t in text], text)[0]["bleu"] < 100


def test_several_references() -> None:
    translations = ["a man rides a horse", "two dogs play outside"]
    rows = [["no such thing at all", "a man rides a horse"], ["two dogs play outside"]]
    scores, signatures = corpus_scores(translations, rows)
    assert scores == {"bleu": pytest.approx(100), "chrf": pytest.approx(100)}
    assert "nrefs:var" in signatures[0]
    single = [row[-1] for row in rows]
    assert corpus_scores(translations, [[one] for one in single]) == corpus_scores(translations, single)
    assert "nrefs:2" in corpus_scores(translations, [row * 2 for row in (["a"], ["b"])])[1][0]


def test_silence(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG):
        corpus_scores(["spaced ."] * 200, ["spaced ."] * 200)
    assert not caplog.records and capfd.readouterr() == ("", "")


def test_nothing_to_score_by() -> None:
    with pytest.raises(UsageError, match="0 translations"):
        corpus_scores([], [])
    with pytest.raises(UsageError, match="2 translations and 1"):
        corpus_scores(["a", "b"], ["a"])
    with pytest.raises(UsageError, match="translation 2 has no reference"):
        corpus_scores(["a", "b"], [["a"], []])


def test_note_on_a_weak_network() -> None:
    references, weak = ["a man rides a horse"], ["a man sits"]
    for network, baseline, notes in ((references, weak, 0), (weak, references, 1), (weak, weak, 1)):
        result = TranslationEvaluation.of(network, {"dictionary": baseline}, references, 3.0, ("first",))
        assert result.notes[0] == "first" and len(result.notes) == 1 + notes
        assert all("no better than the word-for-word dictionary" in note for note in result.notes[1:])
    assert TranslationEvaluation.of(weak, {}, references, None).notes == ()


def test_scores_by_name() -> None:
    references = ["a man rides a horse"]
    result = TranslationEvaluation.of(references, {"dictionary": ["a man"]}, references, 3.0)
    assert result.scores == {"bleu": pytest.approx(100), "chrf": pytest.approx(100), "perplexity": 3.0}
    assert result.baseline == {**corpus_scores(["a man"], references)[0], "perplexity": None}
    assert result.pairs == 1


@pytest.mark.parametrize("value", [FULL, BARE])
def test_round_trip(value: TranslationEvaluation) -> None:
    text = json.dumps(value.to_dict(), allow_nan=False)
    assert TranslationEvaluation.from_dict(json.loads(text)) == value


def test_scores_of_0_1_0() -> None:
    saved = {
        "scores": {"bleu": 31.25, "chrf": 55.5},
        "baseline": {"bleu": 20.0, "chrf": 45.0},
        "perplexity": 6.5,
        "pairs": 1000,
        "signatures": list(SIGNATURES),
        "notes": ["mind this"],
    }
    assert str(TranslationEvaluation.from_dict(saved)) == str(FULL)
    again = TranslationEvaluation.from_dict(saved | {"baseline": None, "perplexity": None})
    assert again.baselines == {} and again.scores == {"bleu": 31.25, "chrf": 55.5, "perplexity": None}


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
    text = str(BARE)
    assert "dictionary" not in text and "perplexity" not in text and "network\nBLEU" in text
