"""A transcriber of three made-up words, and recordings of them."""

from pathlib import Path

import pytest

from elman.tasks.transcribe.transcriber import Transcriber
from tones import PATTERN, SMALL, write_words


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_words(tmp_path_factory.mktemp("words"), 40)


@pytest.fixture(scope="session")
def live(words: Path) -> Transcriber:
    """Reads forwards, and has learned words with pauses between them."""
    settings = {"epochs": 44, "batch_size": 8, "learning_rate": 3e-3, "joined": 3, "augment": False}
    return Transcriber.fit(words, pattern=PATTERN, live=True, **SMALL, **settings)


@pytest.fixture(scope="session")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Transcriber:
    """Hardly trained: what it answers is of no interest."""
    folder = write_words(tmp_path_factory.mktemp("few"), 6)
    return Transcriber.fit(folder, pattern=PATTERN, epochs=1, unit="character", **SMALL)
