"""Models of a toy text, trained once for all tests of language models."""

from pathlib import Path

import pytest

from elman.tasks.generate.language_model import LanguageModel
from toy_language import SMALL, sentences


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "toy.txt"
    file.write_text(sentences(600))
    return file


@pytest.fixture(scope="session")
def letters(text: Path) -> LanguageModel:
    return LanguageModel.fit(text, tokenizer="character", **SMALL)


@pytest.fixture(scope="session")
def words(text: Path) -> LanguageModel:
    return LanguageModel.fit(text, tokenizer="word", **(SMALL | {"epochs": 10}))


@pytest.fixture(scope="session")
def subwords(text: Path) -> LanguageModel:
    options = SMALL | {"epochs": 12, "vocabulary": 290, "cell": "gru"}
    return LanguageModel.fit(text, tokenizer="subword", **options)


@pytest.fixture(scope="session", params=["letters", "words"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    trained: LanguageModel = request.getfixturevalue(request.param)
    return trained
