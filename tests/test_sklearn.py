"""The estimator in scikit-learn's own tools, and through scikit-learn's own checks."""

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted, validate_data

import elman
from elman.errors import DataError, UsageError
from elman.sklearn import ElmanClassifier
from labelled_texts import order_matters

TINY: dict[str, Any] = {"epochs": 1, "networks": 1, "hidden": 4, "embedding": 4, "phrase": 0}
ROWS = order_matters(60)
X, Y = [row["text"] for row in ROWS], [row["label"] for row in ROWS]


class FromNumbers(ElmanClassifier):
    """Reads the numbers of a row as words: scikit-learn's checks know only rows of numbers, and pass over an
    estimator of texts."""

    def fit(self, X: Any, y: Any) -> "FromNumbers":
        return super().fit(_words(validate_data(self, X)), y)

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict_proba(_words(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


def _words(rows: Any) -> list[str]:
    return [" ".join(f"c{i}is{2 * x // 1:g} c{i}near{9 * x // 1:g}" for i, x in enumerate(r)) for r in rows]


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{number} {check.func.__name__}")
        for number, (estimator, check) in enumerate(estimator_checks_generator(FromNumbers(**TINY)))
    ],
)
def test_scikit_learns_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    """None is left out; the one for other array libraries skips itself unless SCIPY_ARRAY_API is set."""
    with warnings.catch_warnings():
        # scikit-learn's own warning of its own data
        warnings.filterwarnings("ignore", "invalid value encountered in cast", RuntimeWarning)
        check(estimator)


def test_scikit_learn_knows_that_it_reads_texts() -> None:
    with pytest.warns(match="Can't test estimator ElmanClassifier"):
        checks = [check.func.__name__ for _, check in estimator_checks_generator(ElmanClassifier())]
    assert checks == ["check_estimator_cloneable"]
    tags = ElmanClassifier().__sklearn_tags__().input_tags
    assert tags.string
    assert not tags.two_d_array


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (X, Y),
        (np.array(X), np.array(Y)),
        (np.array(X, object)[:, None], np.array(Y, object)),
        (pd.Series(X, index=range(5, 65)), pd.Series(Y).astype("category")),
        (pd.DataFrame({"words": X}), pd.Series([label == "good" for label in Y])),
        (X, np.array([{"good": 10, "bad": 9}[label] for label in Y])),
    ],
)
def test_texts_and_labels_of_all_kinds(texts: Any, labels: Any) -> None:
    model = ElmanClassifier(**TINY).fit(texts, labels)
    answers = model.predict(texts)
    assert isinstance(answers, np.ndarray)
    assert answers.dtype == model.classes_.dtype
    assert model.classes_.tolist() == sorted(set(np.asarray(labels).tolist()))
    shares = model.predict_proba(texts)
    assert shares.shape == (60, 2)
    assert np.allclose(shares.sum(1), 1, rtol=1e-12)
    assert (answers == model.classes_[shares.argmax(1)]).all()
    assert model.score(texts, labels) == np.mean(answers == np.asarray(labels))
    inner = model.model_.predict(X[:5], probabilities=True)
    for row, share in zip(inner, shares, strict=False):
        assert [row[label] for label in model.classes_.tolist()] == pytest.approx(share.tolist())


def test_it_is_the_classifier_of_the_same_settings() -> None:
    theirs = ElmanClassifier(**TINY, random_state=3).fit(X, Y)
    ours = elman.Classifier.fit({"text": X, "label": Y}, **TINY, seed=3, progress=False)
    assert theirs.predict(X).tolist() == ours.predict(X)
    assert theirs.model_.predict(X, probabilities=True) == ours.predict(X, probabilities=True)


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
def test_a_generator_draws_the_seed(make: Any) -> None:
    generator = make(3)
    fits = [ElmanClassifier(**TINY, random_state=generator).fit(X, Y) for _ in range(2)]
    again = ElmanClassifier(**TINY, random_state=make(3)).fit(X, Y)
    first, second, same = (fit.predict_proba(X).tolist() for fit in (*fits, again))
    assert first == same != second


def test_clone_and_pickle() -> None:
    model = ElmanClassifier(**TINY, dropout=0.2).fit(X, Y)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "model_")
    thawed = pickle.loads(pickle.dumps(model))
    assert thawed.predict_proba(X).tolist() == model.predict_proba(X).tolist()


def test_in_a_pipeline_and_a_grid_search() -> None:
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    search = GridSearchCV(
        make_pipeline(lower, ElmanClassifier(**TINY)), {"elmanclassifier__dropout": [0.0, 0.6]}, cv=2
    )
    search.fit([text.upper() for text in X], Y)
    assert search.best_params_["elmanclassifier__dropout"] in (0.0, 0.6)
    assert set(search.predict(X)) <= {"good", "bad"}


def test_cross_validation() -> None:
    scores = cross_val_score(ElmanClassifier(**TINY), np.array(X), np.array(Y), cv=2, scoring="neg_log_loss")
    assert np.isfinite(scores).all()
    assert set(cross_val_predict(ElmanClassifier(**TINY), X, Y, cv=2)) <= {"good", "bad"}


@pytest.mark.parametrize(
    ("texts", "labels", "sentence"),
    [
        ("a text", ["good"], "X must be a list of texts, not a single text"),
        ([], [], "X holds no texts"),
        (X, None, "requires y to be passed"),
        (X, ["good"] * 60, "only one class, .*'good'"),
        (X, Y[:-1], "there are 60 texts but 59 labels; give one label for each text"),
        (X, np.linspace(0, 1, 60), "continuous"),
        (np.zeros((60, 2)), Y, "text 0 must be a string, not list"),
        (X[:3], Y[:3], "needs at least 4"),
        ([*X[:-1], None], Y, "text 59 must be a string, not None"),
    ],
)
def test_what_it_cannot_learn_from(texts: Any, labels: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ElmanClassifier(**TINY).fit(texts, labels)


def test_wrong_parameters_and_calls() -> None:
    with pytest.raises(TypeError, match="no parameter 'hiden'; did you mean 'hidden'"):
        ElmanClassifier(hiden=3)
    with pytest.raises(UsageError, match="hidden must be a whole number"):
        ElmanClassifier(hidden=-3).fit(X, Y)
    with pytest.raises(UsageError, match="seed must be"):
        ElmanClassifier(random_state="x").fit(X, Y)
    with pytest.raises(NotFittedError):
        ElmanClassifier().predict(X)
    with pytest.raises(DataError, match="occurs only here"):
        ElmanClassifier(**TINY).fit(X, [*Y[:-1], "odd"])


def test_elman_alone_does_not_import_scikit_learn() -> None:
    program = "import elman, elman.cells, sys; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
