"""Language models of toy texts; how good they are is measured in bench/."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import elman
from elman.data.text.vocabulary import END
from elman.errors import DataError, UsageError
from elman.tasks.generate.language_model import LanguageModel
from toy_language import SMALL, sentences, stepped


def test_the_next_word(words: LanguageModel, letters: LanguageModel) -> None:
    for model in (words, letters):
        best = model.predict("they love deep")
        assert best[0][0] == "learning" and best[0][1] > 0.3
        assert [w for w, _ in model.predict("I love")[:3]] != [w for w, _ in best[:3]]
        assert sum(p for _, p in best) < 1.0001
        assert model.predict(["they love deep", "I"], count=2)[0] == best[:2]


def test_probabilities_are_those_of_the_whole_text_read_step_by_step(
    model: LanguageModel, text: Path
) -> None:
    """The evaluation reads chunks; a stream reads tokens. Both must give the same nats."""
    ids = model.vocabulary.encode(sentences(30, seed=2))
    stream = model.stream()
    total, last, state = 0.0, int(ids[0]), stream._state
    for token in ids[1:].tolist():
        logits, state = stepped(stream, [last], state)
        total, last = total - float(logits[0].log_softmax(0)[token]), token
    other = text.with_name("new.txt")
    other.write_text(sentences(30, seed=2))
    result = model.evaluate(other)
    assert result.scores["nats"] == pytest.approx(total / (len(ids) - 1), rel=1e-5)
    assert result.scores["perplexity"] == pytest.approx(np.exp(result.scores["nats"]))
    characters = len(sentences(30, seed=2))
    assert result.scores["bits"] == pytest.approx(total / np.log(2) / characters, rel=0.05)
    assert result.baseline is not None and result.tokens == len(ids) - 1


def test_no_half_characters_among_the_next_words(subwords: LanguageModel) -> None:
    best = [word for word, _ in subwords.predict("I love ", 2000)]
    assert len(best) > 40 and not any("\ufffd" in word for word in best)


def test_odd_prompts(model: LanguageModel) -> None:
    for odd in ("", " ", "\n\n", "ωλ 漢字 \U0001f600", "x" * 3000, "\x00\ud800"):
        assert len("".join(model.generate(odd, 20, seed=1))) <= 20
        assert all(0 <= p <= 1 for _, p in model.predict(odd))


@pytest.mark.parametrize(("data", "count", "message"), [("a", 0, "count"), (["a", 3], 1, "text 1")])
def test_wrong_predictions(letters: LanguageModel, data: Any, count: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        letters.predict(data, count)


def test_an_answer_for_every_line(words: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("they love deep\n\nI\n")
    answers = list(words.answers(tmp_path / "lines.txt", count=2))
    assert [answer.words for answer in answers] == words.predict(["they love deep", "", "I"], 2)
    (word, p), _ = answers[0].words
    assert answers[0].to_dict()["next"][0] == {"word": word, "probability": p}
    assert str(answers[0]).split("\t")[0] == f"learning {p:.4f}"
    (answer,) = words.answers("they love deep")
    assert answer.words == words.predict("they love deep")
    with pytest.raises(UsageError, match="model needs input"):
        next(words.answers(None))


# ---- on disk


def test_a_saved_model_is_the_same(model: LanguageModel, tmp_path: Path, text: Path) -> None:
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert isinstance(again, LanguageModel)
    assert again.predict("they love deep") == model.predict("they love deep")
    assert again.validation == model.validation and again.blend == model.blend
    assert again.evaluate(text).to_dict() == model.evaluate(text).to_dict()
    card = (tmp_path / "m" / "README.md").read_text()
    assert str(model.validation) in card and "Kneser-Ney" in card and "which this folder holds" in card
    assert elman.load(tmp_path / "m", int8=True).predict("they love deep")[0][0] == "learning"


def test_a_model_without_its_text(text: Path, tmp_path: Path) -> None:
    model = LanguageModel.fit(text, folder=tmp_path / "m", tokenizer="word", keep_baseline=False, **SMALL)
    assert model.validation.baseline is not None
    again = elman.load(tmp_path / "m")
    assert isinstance(again, LanguageModel) and not len(again.ngram_tokens) and again.baseline is None
    assert again.evaluate(text).baseline is None
    assert "which this folder holds" not in (tmp_path / "m" / "README.md").read_text()


def test_a_tables_column_is_remembered(tmp_path: Path) -> None:
    rows = [json.dumps({"body": line}) for line in sentences(300).splitlines()]
    (tmp_path / "d.jsonl").write_text("\n".join(rows))
    options = {"tokenizer": "character", "folder": tmp_path / "m"}
    model = LanguageModel.fit(tmp_path / "d.jsonl", text="body", **options, **SMALL)
    again = elman.load(tmp_path / "m")
    assert isinstance(again, LanguageModel)
    assert again.evaluate(tmp_path / "d.jsonl").scores == model.evaluate(tmp_path / "d.jsonl").scores
    (tmp_path / "plain.txt").write_text(sentences(9))
    assert again.evaluate(tmp_path / "plain.txt").tokens > 100


# ---- training


def test_wrong_data_and_settings(text: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("too little")
    with pytest.raises(DataError, match=r"short\.txt"):
        LanguageModel.fit(short, **SMALL)
    for wrong, word in (
        ({"tokenizer": "letters"}, "tokenizer"),
        ({"hidden": 0}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"temporal_penalty": -1}, "temporal_penalty"),
        ({"cell": "lstn"}, "cell"),
        ({"cell": {"a": 1}}, "cell"),
        ({"keep_baseline": 1}, "keep_baseline"),
        ({"temperature": 1}, "temperature"),
    ):
        with pytest.raises(UsageError, match=word):
            LanguageModel.fit(text, **(SMALL | wrong))
    with pytest.raises(DataError, match="nope"):
        LanguageModel.fit(tmp_path / "nope.txt", **SMALL)


# ---- evaluation


def test_a_text_that_was_trained_on_is_named(letters: LanguageModel, text: Path, tmp_path: Path) -> None:
    assert any("trained on" in note for note in letters.evaluate(text).notes)
    table = pl.DataFrame({name: [f"{name} {k}" for k in range(99)] for name in ("text", "other")})
    options = SMALL | {"epochs": 1, "tokenizer": "character"}
    model = LanguageModel.fit(table, text="text", **options)
    assert any("trained on" in note for note in model.evaluate(table).notes)
    assert not any("trained on" in note for note in model.evaluate(table, text="other").notes)
    (tmp_path / "other.txt").write_text(sentences(40))
    assert not any("trained on" in note for note in letters.evaluate(tmp_path / "other.txt").notes)


def test_a_hundred_thousand_characters_on_one_line(letters: LanguageModel, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("I love tea " * 10_000)
    result = letters.evaluate(long)
    assert result.tokens == 110_000 - 1
    assert END not in letters.vocabulary.encode("I love tea")


def test_a_text_of_one_token_has_no_score(letters: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("I")
    with pytest.raises(DataError, match="at least 2"):
        letters.evaluate(tmp_path / "one.txt")


def test_a_note_tells_of_unknown_words(words: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("they love unheard words.\n" * 9)
    assert "unknown words" in words.evaluate(tmp_path / "new.txt").notes[0]
