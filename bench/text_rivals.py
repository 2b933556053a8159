"""What a person would use instead of a network for texts: two linear models of scikit-learn, fitted as an
expert would in ten minutes, by cross-validation over the n-grams and the regularisation."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

FOLDS: Final = 3
MANY: Final = 10  # classes, with more than which logistic regression is fitted one against the rest
TOKEN: Final = r"(?u)\b\w+\b|[!?]"


class NaiveBayesWeighted(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression on n-grams weighted by naive Bayes log-count ratios, one against the rest. Wang,
    Manning, ACL 2012, with a logistic loss in place of the hinge, for probabilities."""

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, counts: Any, labels: Any) -> "NaiveBayesWeighted":
        self.classes_ = np.unique(labels)
        targets = self.classes_ if len(self.classes_) > 2 else self.classes_[1:]
        self.ratios_, self.models_ = [], []
        for target in targets:
            inside = labels == target
            shares = [np.asarray(counts[rows].sum(0)).ravel() + 1 for rows in (inside, ~inside)]
            ratios = np.log(shares[0] / shares[0].sum()) - np.log(shares[1] / shares[1].sum())
            model = LogisticRegression(C=self.C, solver="liblinear", dual=True, max_iter=300)
            self.models_.append(model.fit(counts.multiply(ratios).tocsr(), inside))
            self.ratios_.append(ratios)
        return self

    def predict_proba(self, counts: Any) -> Any:
        columns = [
            model.predict_proba(counts.multiply(ratios).tocsr())[:, 1]
            for model, ratios in zip(self.models_, self.ratios_, strict=True)
        ]
        table = np.stack(columns, 1)
        table = np.hstack([1 - table, table]) if len(columns) == 1 else table
        return table / table.sum(1, keepdims=True)

    def predict(self, counts: Any) -> Any:
        return self.classes_[self.predict_proba(counts).argmax(1)]


def tfidf(texts: Sequence[str], labels: Sequence[str]) -> Any:
    """Return TF-IDF values with logistic regression."""
    many = len(set(labels)) > MANY
    binary = len(set(labels)) == 2
    model: Any = LogisticRegression(max_iter=300, solver="liblinear" if many or binary else "lbfgs")
    name = "logisticregression__C"
    if many:
        model, name = OneVsRestClassifier(model), "onevsrestclassifier__estimator__C"
    grid = {"tfidfvectorizer__ngram_range": [(1, 1), (1, 2)], name: [1, 10, 100]}
    return _fitted(TfidfVectorizer(sublinear_tf=True, token_pattern=TOKEN), model, grid, texts, labels)


def nbsvm(texts: Sequence[str], labels: Sequence[str]) -> Any:
    """Return NB-SVM on the presence of n-grams."""
    grid = {"countvectorizer__ngram_range": [(1, 2), (1, 3)], "naivebayesweighted__C": [0.01, 0.1, 1]}
    vectorizer = CountVectorizer(binary=True, token_pattern=TOKEN)
    return _fitted(vectorizer, NaiveBayesWeighted(), grid, texts, labels)


def _fitted(vectorizer: Any, model: Any, grid: dict[str, Any], texts: Any, labels: Any) -> Any:
    search = GridSearchCV(make_pipeline(vectorizer, model), grid, cv=FOLDS)
    return search.fit(texts, np.array(labels))


RIVALS: Final = {"TF-IDF + LR": tfidf, "NB-SVM": nbsvm}
