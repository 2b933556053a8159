"""The linear model against scikit-learn's TF-IDF values and dense products; and what a folder may hold."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.ngrams import WORDS, build, split
from elman.tasks.task import Parts

TEXTS = ["The cat sat on the mat .", "the dog sat", "a cat , a dog , a cat", "sat sat sat sat the mat"]


def linear(texts: list[str], classes: int = 3, longest: int = 2) -> LinearModel:
    torch.manual_seed(0)
    model = LinearModel(build([WORDS.tokens(text) for text in texts], longest, 1, 1000), classes)
    for parameter in model.parameters():
        parameter.data = torch.rand_like(parameter) + 0.5
    return model


MODEL = linear(TEXTS)


def phrases(text: str) -> list[str]:
    tokens = WORDS.tokens(text)
    return tokens + [f"{a} {b}" for a, b in itertools.pairwise(tokens)]


def pieces(text: str) -> list[str]:
    return [piece for word in WORDS.tokens(text) for piece in split(word)]


def test_values_are_those_of_scikit_learn() -> None:
    model = linear(TEXTS)
    expected = model.bias.repeat(len(TEXTS), 1)
    for analyzer in (phrases, pieces):
        reference = TfidfVectorizer(analyzer=analyzer, sublinear_tf=True)
        values = torch.from_numpy(reference.fit_transform(TEXTS).toarray()).float()
        names = reference.get_feature_names_out().tolist()
        vocabulary = model.ngrams
        ours = [" ".join(vocabulary.words[i] for i in pair) for pair in _pairs(model)]
        numbers = {name: i for i, name in enumerate([*vocabulary.words, *ours])}
        if analyzer is pieces:
            numbers = {name: i for i, name in enumerate(vocabulary.pieces, start=vocabulary.first_piece)}
        rows = [numbers[name] for name in names]
        model.idf.data[rows] = torch.from_numpy(reference.idf_).float()
        expected = expected + values @ model.weights[rows]
    torch.testing.assert_close(model([WORDS.tokens(text) for text in TEXTS]), expected)
    torch.testing.assert_close(model.log_probabilities(TEXTS), expected.log_softmax(1))


def _pairs(model: LinearModel) -> list[tuple[int, int]]:
    return [divmod(key, len(model.ngrams.words)) for key in model.ngrams.phrases.tolist()]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
@settings(deadline=None)
def test_any_text_has_finite_logits_of_its_own(texts: list[str]) -> None:
    model = MODEL
    together = model.log_probabilities(texts)
    assert together.isfinite().all()
    for text, row in zip(texts, together, strict=True):
        torch.testing.assert_close(model.log_probabilities([text])[0], row)
    torch.testing.assert_close(model.log_probabilities([""])[0], model.bias.log_softmax(0))


def saved(model: LinearModel) -> Parts:
    parameters = {f"baseline.{name}": value for name, value in model.state_dict().items()}
    return Parts(tensors=parameters | model.tensors(), files=model.files())


def test_a_saved_model_is_the_same() -> None:
    model = linear(TEXTS, longest=3)
    loaded = LinearModel.restore(saved(model), 3)
    assert torch.equal(loaded.log_probabilities(TEXTS), model.log_probabilities(TEXTS))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, f: t.update(phrases=t["phrases"].flip(0)), "phrases must be numbers of words, in order"),
        (lambda t, f: t.update(phrases=t["phrases"] - 1000), "phrases must be"),
        (lambda t, f: t.update(phrases=t["phrases"] + 10**15), "phrases must be"),
        (lambda t, f: t.update(phrases=t["phrases"].float()), "tensor phrases must be torch.int64"),
        (lambda t, f: t.update(phrases=t["phrases"][1:]), "must have the shape"),
        (lambda t, f: t.update({"baseline.idf": t["baseline.idf"] * torch.nan}), "idf of the baseline must"),
        (lambda t, f: f["ngrams"].update(words=[]), "phrases must be|shape"),
        (lambda t, f: f["ngrams"].update(words=3), "ngrams.json.words must be a list"),
        (lambda t, f: f["ngrams"].update(pieces=["a", 1]), "must be a text"),
        (lambda t, f: f["ngrams"]["pieces"].append(f["ngrams"]["pieces"][0]), "must hold different"),
        (lambda t, f: f["ngrams"].update(more=[]), "unknown or missing"),
        (lambda t, f: f.update(ngrams=[]), "ngrams.json must be an object"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    parts = saved(linear(TEXTS))
    change(parts.tensors, parts.files)
    with pytest.raises(ValueError, match=message):
        LinearModel.restore(parts, 3)


def test_a_model_without_ngrams_knows_the_bias_alone() -> None:
    model = linear([""])
    assert len(model.ngrams) == 0
    np.testing.assert_allclose(model.log_probabilities(["a b"])[0], model.bias.log_softmax(0))
