"""The classifier: what it learns and answers, its saved self, and every way to misuse it."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

import elman
import mutants
from elman import artifact
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks.classify.classifier import Classifier
from elman.tasks.classify.examples import encode
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.problem import class_log_probabilities
from elman.tasks.classify.settings import Settings
from elman.tasks.classify.train import make_tokenizer
from labelled_texts import FILLERS, QUICK, order_matters, rows_of, small

# ---- what it learns


def test_order_is_what_the_network_sees(model: Classifier) -> None:
    result = model.evaluate(order_matters(300, seed=1))
    assert result.scores["accuracy"] > 0.95
    assert list(result.baselines) == ["TF-IDF", "network"]
    assert min(scores["accuracy"] for scores in result.baselines.values()) > 0.95  # "not good" is a phrase
    assert model.predict("the plot was not bad it was good") == "good"
    assert model.predict(["the plot was not good it was bad"]) == ["bad"]


def test_texts_and_labels_apart_are_the_same_as_a_table() -> None:
    rows, others = small(), small(12)
    texts, labels = ([row[name] for row in rows] for name in ("text", "label"))
    pair = [row["text"] for row in others], [row["label"] for row in others]
    table = Classifier.fit(rows, valid=others, **QUICK, epochs=1)
    apart = Classifier.fit(texts, labels, valid=pair, **QUICK, epochs=1)
    assert apart.predict(texts, probabilities=True) == table.predict(texts, probabilities=True)
    assert apart.evaluate(*pair).scores == table.evaluate(others).scores == apart.validation.scores
    assert apart.columns == ("text", "label")


def test_same_seed_same_model() -> None:
    made = [Classifier.fit(small(), **QUICK, epochs=2, seed=s) for s in (3, 3, 4)]
    first, second, other = (m.predict("word1 and word2", probabilities=True) for m in made)
    assert first == second != other


def test_many_classes_stand_in_numeric_order() -> None:
    labels = ["10", "9", "2.5", "-1"]
    rows = rows_of(
        [f"sign{y} {w}" for y in labels for w in FILLERS * 4], [y for y in labels for _ in range(32)]
    )
    model = Classifier.fit(rows, **QUICK, epochs=8, learning_rate=1e-2)
    assert model.classes == ("-1", "2.5", "9", "10")
    assert model.predict([f"sign{y} film" for y in labels]) == labels
    assert sum(model.predict("sign9", probabilities=True).values()) == pytest.approx(1)


def test_rare_labels_are_found_when_classes_are_balanced() -> None:
    rows = rows_of([f"{w} {v} {i % 3}" for i in range(6) for w in FILLERS for v in FILLERS], ["many"] * 384)
    for row in rows[::16]:
        row |= {"text": f"rare {row['text']}", "label": "few"}
    model = Classifier.fit(rows, **QUICK, epochs=15, learning_rate=1e-2, class_weights="balanced")
    assert model.validation.scores["macro_f1"] > 0.9


@pytest.mark.parametrize(("kind", "tokens"), [("word", ["not", "good", "!"]), ("subword", None)])
def test_the_tokenizer_of_the_settings(kind: str, tokens: list[str] | None) -> None:
    settings = Settings(tokenizer=kind, vocabulary=300)
    tokenizer = make_tokenizer(settings, ["not good!", "not bad", "good!"])
    assert len(tokenizer) <= 300
    if tokens:
        assert tokenizer.tokens("not good!") == tokens
    assert "".join(tokenizer.tokens("not good!")).replace(" ", "") == "notgood!"


# ---- odd texts


@pytest.mark.parametrize("text", ["", " \n", "qwertz zxcvb", "\u200b", "👍🏽", "a" * 1000])
def test_odd_texts_have_an_answer(model: Classifier, subwords: Classifier, text: str) -> None:
    for each in (model, subwords):
        probabilities = each.predict(text, probabilities=True)
        assert sum(probabilities.values()) == pytest.approx(1)


def test_no_text_no_answer(model: Classifier) -> None:
    assert model.predict([]) == []


def test_predict_takes_strings_only(model: Classifier) -> None:
    with pytest.raises(UsageError, match="text 1 must be a string, not None"):
        model.predict(["fine", None])


def test_a_bidirectional_model_does_not_stream() -> None:
    model = Classifier.fit(small(), **QUICK, epochs=1)
    assert model.settings.bidirectional and set(model.predict("word1", probabilities=True)) == {"a", "b"}
    with pytest.raises(UsageError, match="stream=True"):
        model.stream()


def test_a_stream_and_both_ways_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="leave out stream or bidirectional"):
        Classifier.fit(small(), **QUICK, stream=True, bidirectional=True)


# ---- answers


def test_an_answer_that_is_not_likely_enough_is_none(model: Classifier) -> None:
    texts = ["the plot was not bad it was good", "zzz"]
    rows = model.predict(texts, probabilities=True)
    most = [max(row.values()) for row in rows]
    assert most[0] > most[1]
    between = sum(most) / 2
    assert model.predict(texts, at_least=between) == ["good", None]
    assert model.predict(texts[1], at_least=between) is None
    assert model.predict(texts[0], at_least=most[0]) == "good"
    assert [a.label for a in model.answers({"text": texts}, at_least=between)] == ["good", None]
    unsure = [*model.answers({"text": texts}, at_least=1)][1]
    assert str(unsure) == f"unsure\t{most[1]:.4f}\tzzz"
    assert unsure.to_dict() == {"label": None, "probabilities": rows[1], "familiar": 0.0, "text": "zzz"}
    stream = model.stream()
    stream.push(texts[1])
    assert stream.result(at_least=between) is None
    with pytest.raises(UsageError, match="at_least must be a probability from 0 to 1, not 2"):
        model.predict(texts, at_least=2)
    with pytest.raises(UsageError, match="at_least is for labels"):
        model.predict(texts, probabilities=True, at_least=0.5)


def test_the_answer_is_the_blend_of_its_parts(model: Classifier) -> None:
    assert isinstance(model.baseline, LinearModel) and model.blend is not None
    texts = ["the plot was not bad it was good", "zzz", ""]
    rows = [list(row.values()) for row in model.predict(texts, probabilities=True)]
    ids = [encode(model.tokenizer, text) for text in texts]
    parts = class_log_probabilities(model.network, ids), model.baseline.log_probabilities(texts)
    torch.testing.assert_close(torch.tensor(rows), model.blend.log_probabilities(*parts).exp())
    assert str(model.blend) in model.card().network


def test_a_text_or_a_file(model: Classifier, tmp_path: Path) -> None:
    long = "much to say " * 40 + "in a.txt"
    assert len(list(model.answers(long))) == 1
    plain, table = tmp_path / "notes", tmp_path / "A.CSV"
    plain.write_text("one\n\nthree\n")
    table.write_text("text\none\ntwo\n")
    assert [str(a) for a in model.answers(str(plain))] == [str(a) for a in model.answers(plain)]
    assert len(list(model.answers(str(plain)))) == 3
    assert len(list(model.answers(str(table)))) == 2
    with pytest.raises(DataError, match="does not exist"):
        next(model.answers("missing.TXT"))


def test_damaged_phrases_are_refused(model: Classifier, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    files = mutants.read(tmp_path / "model")
    tensors = safetensors.torch.load(files["model.safetensors"])
    phrases = tensors.pop("network_phrases")
    assert len(phrases) > 1
    for damaged in (None, phrases.flip(0), phrases[1:], phrases.float(), -phrases, phrases * 10**9):
        changed = tensors if damaged is None else tensors | {"network_phrases": damaged.contiguous()}
        folder = tmp_path / "damaged"
        mutants.write(files | {"model.safetensors": safetensors.torch.save(changed)}, folder)
        with pytest.raises(ArtifactError, match="can't be used"):
            elman.load(folder)


def test_familiar_texts(model: Classifier) -> None:
    texts = ["the plot was not bad", "bad", "the plot was zebra", "zebra quagga", ""]
    shares = model.familiar(texts)
    assert shares[:2] == [1, 0.5], "no training text begins with bad"
    assert 0 < shares[2] < 1 and shares[3:] == [0, 0]
    assert model.familiar({"text": texts}) == shares and model.familiar(texts[1]) == shares[1]
    with pytest.raises(UsageError):
        model.familiar(3)


def test_answers(model: Classifier, tmp_path: Path) -> None:
    text = "the plot was not bad it was good"
    (answer,) = model.answers(text)
    assert str(answer) == f"good\t{answer.probabilities['good']:.4f}"
    probabilities = answer.probabilities
    assert answer.to_dict() == {"label": "good", "probabilities": probabilities, "familiar": answer.familiar}
    assert answer.familiar == model.familiar(text)
    assert answer.probabilities == model.predict(text, probabilities=True)
    assert answer.heading == ""
    file = tmp_path / "texts.txt"
    file.write_text(f"{text}\n{text}\n")
    assert list(map(str, model.answers(str(file)))) == [f"{answer}\t{text}"] * 2
    assert list(model.answers({"text": [text], "other": [3]})) == [replace(answer, alone=False)]
    assert list(model.answers({"any": [text]})) == [replace(answer, alone=False)]
    with pytest.raises(UsageError, match="model needs input: a text"):
        next(model.answers(None))
    with pytest.raises(DataError, match="missing"):
        next(model.answers("missing.csv"))
    with pytest.raises(DataError, match="no column 'text'"):
        next(model.answers({"a": [text], "b": [text]}))


@pytest.mark.parametrize("name", ["texts.csv", "texts.csv.gz"])
def test_a_text_that_names_no_table_is_a_text(model: Classifier, name: str) -> None:
    (answer,) = model.answers(f"what is in {name}")
    assert answer.probabilities == model.predict(f"what is in {name}", probabilities=True)
    with pytest.raises(DataError, match=name):
        next(model.answers(name))


def test_a_file_without_header(model: Classifier, tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("it was good\nit was bad\n")
    assert len(list(model.answers(str(file)))) == 1
    assert len(list(model.answers(str(file), header=False))) == 2
    file.write_text("it was good,good\nit was bad,bad\n")
    result = model.evaluate(str(file), text="1", label="2", header=False)
    assert result.rows == 2


# ---- texts that were trained on


def test_texts_that_were_trained_on_are_counted(model: Classifier) -> None:
    known = order_matters(500)
    fresh = rows_of(["an unheard of good thing"] * 2, ["good", "bad"])
    assert model.evaluate(fresh).notes[:1] != ("2 of 2 texts were trained on, which flatters all scores",)
    note = next(n for n in model.evaluate(known + fresh).notes if "trained on" in n)
    assert int(note.split()[0]) == 500
    leaky = Classifier.fit(small(), valid=small()[:4], **QUICK, epochs=1)
    assert any(n.startswith("4 of 4 texts were trained on") for n in leaky.validation.notes)


# ---- on disk


def test_save_and_load_bit_for_bit(model: Classifier, subwords: Classifier, tmp_path: Path) -> None:
    texts = [row["text"] for row in order_matters(50, seed=2)]
    for name, each in {"words": model, "subwords": subwords}.items():
        each.save(tmp_path / name)
        loaded = Classifier.from_artifact(artifact.load(tmp_path / name))
        assert loaded.predict(texts, probabilities=True) == each.predict(texts, probabilities=True)
        assert loaded.validation == each.validation
        assert loaded.evaluate(order_matters(50)) == each.evaluate(order_matters(50))
    assert "macro-F1" in (tmp_path / "words" / "README.md").read_text()


def test_fit_saves_in_its_folder(tmp_path: Path) -> None:
    model = Classifier.fit(small(), **QUICK, epochs=1, folder=tmp_path / "run")
    loaded = Classifier.from_artifact(artifact.load(tmp_path / "run"))
    assert loaded.predict("word1", probabilities=True) == model.predict("word1", probabilities=True)
    assert (tmp_path / "run" / "metrics.jsonl").exists()
    assert not list((tmp_path / "run").glob("checkpoint*"))


def test_parts_that_do_not_fit_each_other(model: Classifier, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    saved = artifact.load(tmp_path / "m")
    saved.settings["hidden"] = 13
    with pytest.raises(ArtifactError, match="don't fit"):
        Classifier.from_artifact(saved)


# ---- what can be wrong


def test_no_word_twice() -> None:
    rows = rows_of([f"w{i}" for i in range(20)], ["a", "b"] * 10)
    with pytest.raises(DataError, match="no word occurs 2 times"):
        Classifier.fit(rows, **QUICK)


def test_bad_columns_and_validation_labels() -> None:
    with pytest.raises(DataError, match="has no column 'stars'"):
        Classifier.fit(small(), label="stars", **QUICK)
    with pytest.raises(DataError, match=r"row 1 .*: the label 'c' in column 'label' is not among"):
        Classifier.fit(small(), valid=rows_of(["x", "y"], ["a", "c"]), **QUICK)


@pytest.mark.parametrize("setting", [{"hiden": 3}, {"epochs": 0}, {"pooling": ""}, {"longest": 400}])
def test_wrong_settings_are_reported_before_the_data_are_read(setting: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        Classifier.fit("missing.csv", **(QUICK | setting))


def test_evaluate_names_the_row_of_an_unseen_label(model: Classifier) -> None:
    with pytest.raises(DataError, match=r"row 1 .*: the label 'soso' in column 'label' .*\(bad, good\)"):
        model.evaluate(rows_of(["x", "y"], ["good", "soso"]))


def test_a_place_that_is_taken_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        Classifier.fit(small(), **QUICK, folder=tmp_path)
