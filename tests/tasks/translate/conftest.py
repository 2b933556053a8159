"""A trained translator for all tests of this folder."""

import pytest

from elman.tasks.translate.translator import Translator
from made_up_language import language


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    source, target = language()
    return Translator.fit(
        {"source": source, "target": target},
        folder=tmp_path_factory.mktemp("runs") / "t",
        progress=False,
        vocabulary=320,
        hidden=48,
        embedding=32,
        dropout=0.1,
        epochs=14,
        batch_size=8,
        learning_rate=5e-3,
        patience=14,
        beam_width=3,
    )
