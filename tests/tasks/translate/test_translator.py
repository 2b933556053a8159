"""A translator of a made-up language whose words have the opposite order."""

import json
from pathlib import Path
from typing import Any

import pytest

import elman
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks import Translator
from made_up_language import language


def test_learns_order_and_copies_numbers_that_it_never_saw(model: Translator) -> None:
    assert model.validation.scores["bleu"] > 90
    assert model.validation.baseline["bleu"] < 60
    assert model.predict("libron portas la viro 7654321.") == "man 7654321 carries a book."


def test_n_best(model: Translator) -> None:
    best = model.predict("pomon vidas la kato 12345.", count=5)
    assert len(best) == 5 and best[0][0] == model.predict("pomon vidas la kato 12345.")
    assert all(isinstance(text, str) and score <= 0 for text, score in best)
    for count in (0, 2.5, "3", 101):
        with pytest.raises(UsageError, match="count"):
            model.predict("pomon", count=count)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="text 1 must be a string"):
        model.predict(["pomon", 3])


@pytest.mark.parametrize(
    "text", ["", "  \n ", "東京", "🙂" * 50, "x" * 2000, "\ud800", "a\0b", "pomon " * 300]
)
def test_odd_texts_have_a_sound_result(model: Translator, text: str) -> None:
    translation = model.predict(text)
    assert isinstance(translation, str) and (translation == "" or text.strip())
    assert "".join(model.generate(text)) is not None


def test_saved_model_translates_the_same(model: Translator, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert isinstance(again, Translator)
    text = "pomon vidas la kato 12345."
    assert again.predict(text, count=3) == model.predict(text, count=3)
    assert again.validation == model.validation
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["elman"]["settings"]["hidden"] = 50
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="don't fit"):
        elman.load(tmp_path / "m")


def test_evaluate_knows_what_was_trained_on(model: Translator, tmp_path: Path) -> None:
    source, target = language(5)
    (tmp_path / "t.x").write_text("\n".join(source[:6]) + "\n")
    (tmp_path / "t.y").write_text("\n".join(target[:6]) + "\n")
    result = model.evaluate((tmp_path / "t.x", tmp_path / "t.y"))
    assert result.pairs == 6 and result.scores["bleu"] > 80
    assert result.notes == ("only 6 different sentences were scored, too few to rely on",)
    trained = language()
    overlap = model.evaluate({"source": trained[0], "target": trained[1]})
    assert any("were trained on" in note for note in overlap.notes)
    with pytest.raises(DataError, match="lines"):
        (tmp_path / "t.y").write_text("only one\n")
        model.evaluate((tmp_path / "t.x", tmp_path / "t.y"))


def test_evaluate_takes_the_columns_of_the_training(tmp_path: Path) -> None:
    source, target = language()
    table = {"n": list(range(60)), "a": source[:60], "b": target[:60], "note": ["x"] * 60}
    small = {"vocabulary": 320, "hidden": 8, "embedding": 8, "epochs": 1}
    model = Translator.fit(table, source="b", target="a", progress=False, **small)
    same = model.evaluate(table)
    assert same == model.evaluate(table, source="b", target="a")
    assert same != model.evaluate(table, source="a", target="b")
    files = (tmp_path / "x", tmp_path / "y")
    for file, side in zip(files, (target, source), strict=True):
        file.write_text("\n".join(side[:60]))
    assert model.evaluate(files).scores == same.scores


def test_endless_pairs_have_no_perplexity(model: Translator) -> None:
    result = model.evaluate({"source": ["pomon vidas la kato 1.", "la " * 500], "target": ["a", "b " * 500]})
    assert "1 pair of more than 400 tokens is left out of the perplexity" in result.notes
    alone = model.evaluate({"source": ["la " * 500], "target": ["b " * 500]})
    assert alone.scores["perplexity"] is None and json.dumps(alone.to_dict(), allow_nan=False)


def test_every_line_has_an_answer(model: Translator, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("pomon\n\nla kato\n")
    assert len(list(model.answers(tmp_path / "t"))) == 3
    assert json.dumps(next(model.answers("\udcff")).to_dict())
    with pytest.raises(UsageError, match="model needs input"):
        next(model.answers(None))


def test_answers_as_text_and_as_values(model: Translator, tmp_path: Path) -> None:
    text = "pomon vidas la kato 12345."
    (answer,) = model.answers(text)
    values = answer.to_dict()
    assert str(answer) == values["translation"] == model.predict(text)
    attention = values["attention"]
    assert [len(attention["target"]), len(attention["source"])] == [
        len(attention["weights"]),
        len(attention["weights"][0]),
    ]
    (three,) = model.answers(text, count=3)
    best = model.predict(text, count=3)
    assert str(three) == "\t".join(f"{translation} {score:.3f}" for translation, score in best)
    assert [(one["translation"], one["score"]) for one in three.to_dict()] == best
    (tmp_path / "t").write_text("pomon vidas\nla kato 12345.\n")
    (drawn,) = model.answers(tmp_path / "t", plot=tmp_path / "p.png")
    assert str(drawn) == str(answer) and (tmp_path / "p.png").exists()


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ({"source": ["a"] * 3, "target": ["b"] * 3}, {}, "all hold the same"),
        (
            {"source": ["a b " * 200] * 12, "target": ["b"] * 12},
            {"valid": {"source": ["a"], "target": ["b"]}},
            "more than 100",
        ),
        ({"source": ["a"], "target": ["b"]}, {"hidden": 33}, "even"),
        ({"source": ["a"], "target": ["b"]}, {"input_feeding": "yes"}, "input_feeding"),
        ({"source": ["a"], "target": ["b"]}, {"label_smoothing": 1}, "label_smoothing"),
        ({"source": ["a"], "target": ["b"]}, {"length_penalty": -1}, "length_penalty"),
        ({"source": ["a"], "target": ["b"]}, {"vocabulary": 10}, "from 258 to 10000000"),
        ({"source": ["a"], "target": ["b"]}, {"width": 3}, "'beam_width' now"),
    ],
)
def test_wrong_data_and_settings(data: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, DataError), match=message):
        Translator.fit(data, progress=False, **settings)


def test_answers_to_long_texts_leave_the_attention_out(model: Translator) -> None:
    short, long = (next(model.answers("la kato dormas. " * count)).to_dict() for count in (2, 400))
    assert short["attention"] and long["attention"] is None
