"""Classifiers trained once for all tests of classification."""

import pytest

from elman.tasks.classify.classifier import Classifier
from labelled_texts import QUICK, order_matters


@pytest.fixture(scope="session")
def model() -> Classifier:
    return Classifier.fit(order_matters(500), **QUICK, epochs=12, learning_rate=1e-2, stream=True)


@pytest.fixture(scope="session")
def subwords() -> Classifier:
    return Classifier.fit(
        order_matters(60), **QUICK, epochs=1, tokenizer="subword", vocabulary=300, layers=2, stream=True
    )
