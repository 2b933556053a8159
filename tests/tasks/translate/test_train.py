"""Pairs that are trained on, and networks of other settings."""

from pathlib import Path

import elman
from elman.data.text.pairs import read_pairs
from elman.tasks.translate.train import TrainingData
from elman.tasks.translate.translator import Translator
from made_up_language import language


def test_the_vocabulary_is_that_of_the_training_pairs() -> None:
    source, target = language()
    pairs = read_pairs({"source": source, "target": target})
    data = TrainingData.of(pairs, None, {"vocabulary": 320, "hidden": 8, "embedding": 8})
    assert data.pairs is not pairs and len(data.pairs) + len(data.held_out) == len(pairs)
    assert not {*data.pairs.source} & {*data.held_out.source}
    assert len(data.encoded) == len(data.short) == len(data.pairs)
    given = TrainingData.of(pairs, pairs.take([0, 1]), {"vocabulary": 320})
    assert given.pairs is pairs and given.held_out.source == source[:2]


def test_a_trial_of_another_size_begins_with_the_same_seed() -> None:
    source, target = language()
    pairs = read_pairs({"source": source[:60], "target": target[:60]})
    data = TrainingData.of(pairs, None, {"vocabulary": 320, "embedding": 8})
    small, again = (data.trial({"hidden": 8}) for _ in range(2))
    assert small.settings.hidden == 8
    for one, other in zip(small.model.parameters(), again.model.parameters(), strict=True):
        assert one.equal(other)


def test_input_feeding_and_a_shared_vocabulary_train(tmp_path: Path) -> None:
    source, target = language()
    model = Translator.fit(
        {"source": source[:60], "target": target[:60]},
        progress=False,
        vocabulary=320,
        hidden=16,
        embedding=16,
        epochs=1,
        batch_size=16,
        input_feeding=True,
        shared_vocabulary=True,
        cell="gru",
    )
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert again.predict(source[:3]) == model.predict(source[:3])


def test_long_pairs_are_left_out_with_a_note() -> None:
    source, target = language()
    source, target = source[:40], target[:40]
    source[3] = source[3] * 200  # too long to be encoded at all
    source[5] = " ".join([source[5]] * 20)
    model = Translator.fit(
        {"source": source, "target": target},
        progress=False,
        vocabulary=320,
        hidden=8,
        embedding=8,
        epochs=1,
        valid={"source": source[:2], "target": target[:2]},
    )
    assert "2 pairs of more than 100 tokens were not trained on" in model.validation.notes
