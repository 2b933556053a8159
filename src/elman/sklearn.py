"""A text classifier as an estimator of scikit-learn: for pipelines, cross-validation and grid search.

`pip install elman` brings scikit-learn, which is imported only with this module.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from elman.errors import UsageError, suggestion
from elman.settings import rows
from elman.tasks.classify.settings import Settings
from elman.tasks.inputs import read_texts
from elman.training.plan import Plan

# scikit-learn's names of what elman calls `seed` and `progress`.
RENAMED: Final = {"random_state": "seed", "verbose": "progress"}
PARAMETERS: Final = (*(name for name in rows(Settings) | rows(Plan) if name != "seed"), *RENAMED)
MAX_SEED: Final = 2**31


def _with_parameters(init: Callable[..., None]) -> Callable[..., None]:
    """Give a constructor the parameters in its signature, where scikit-learn looks for their names."""
    kind = inspect.Parameter.KEYWORD_ONLY
    named = [inspect.Parameter(name, kind, default=None) for name in PARAMETERS]
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    init.__signature__ = inspect.Signature([me, *named])  # type: ignore[attr-defined]
    return init


class ElmanClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """`elman.Classifier` with scikit-learn's interface. X is a list, an array (n,) or a column of texts; y
    has one label for each.

    Args:
        parameters: the settings of a classifier and of its training, by their names (`hidden`, `epochs`,
            `dropout`, ...); each is None by default, for elman's own. Two have scikit-learn's names:
            `random_state`, a number or a generator (None: 0, so that fits repeat), and `verbose`, whether to
            show progress.

    Attributes:
        classes_: the labels, ascending (K,).
        model_: the trained `elman.Classifier`, with `evaluate`, `stream`, `save` and more.
    """

    @_with_parameters
    def __init__(self, **parameters: Any) -> None:
        for name in parameters:
            if name not in PARAMETERS:
                raise TypeError(f"ElmanClassifier has no parameter {name!r}{suggestion(name, PARAMETERS)}")
        for name in PARAMETERS:
            setattr(self, name, parameters.get(name))

    def fit(self, X: Any, y: Any) -> Self:
        """Train on texts X and their labels y.

        Raises UsageError or DataError, which are ValueErrors, for what is no text or no label, for fewer than
        10 texts or two labels, a label with a single text, or a setting out of its range.
        """
        from elman.tasks import Classifier

        texts = _texts(X)
        if y is None:
            raise UsageError("the classifier requires y to be passed, but the target y is None")
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise UsageError(f"y holds only one class, {self.classes_[0]!r}; a classifier needs two or more")
        settings = {name: value for name in PARAMETERS if (value := getattr(self, name)) is not None}
        if "random_state" in settings:
            settings["random_state"] = _seed(self.random_state)
        settings = {"progress": False} | {RENAMED.get(name, name): value for name, value in settings.items()}
        self.model_ = Classifier.fit(texts, labels.tolist(), **settings)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of every class (n, K), in the order of `classes_`."""
        check_is_fitted(self)
        answers = self.model_.predict(_texts(X), probabilities=True)
        shares = np.array([[row[label] for label in self.classes_.tolist()] for row in answers])
        return np.asarray(shares / shares.sum(1, keepdims=True))  # they are rounded to float32

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class of each text (n,)."""
        likeliest = self.predict_proba(X).argmax(1)
        return np.asarray(self.classes_[likeliest])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _texts(data: Any) -> list[str]:
    """Return texts as a list. Raises UsageError for a single one or none."""
    if getattr(data, "ndim", 1) == 2 and data.shape[1] == 1 and isinstance(data, np.ndarray):
        data = data[:, 0]  # as a column transformer hands it on
    texts, single = read_texts(data)
    if single:
        raise UsageError("X must be a list of texts, not a single text")
    if not texts:
        raise UsageError("X holds no texts: 0 sample(s), while at least 1 is required")
    return texts


def _seed(state: Any) -> Any:
    """Return the seed for a `random_state`: a number as it is, or one that a generator draws."""
    if isinstance(state, np.random.RandomState):
        return int(state.randint(MAX_SEED))
    return int(state.integers(MAX_SEED)) if isinstance(state, np.random.Generator) else state
