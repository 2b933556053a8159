"""A chatbot of a small world, trained once for all tests of chatbots."""

import pytest

from elman.tasks import Chatbot
from toy_language import world


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Chatbot:
    return Chatbot.fit(
        world(),
        valid=world(12, seed=1),
        folder=tmp_path_factory.mktemp("runs") / "c",
        progress=False,
        vocabulary=500,
        hidden=64,
        embedding=32,
        bptt=64,
        batch_size=8,
        dropout=0.0,
        weight_dropout=0.0,
        epochs=30,
        patience=30,
        learning_rate=5e-3,
        num_samples=4,
        beam_width=2,
        repetition_penalty=0.0,
        mmi_weight=0.0,
        temperature=0.3,
        ranker_units=16,
        ranker_epochs=6,
    )
