"""The contract of a transcriber: train, save, load, answer, refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import elman
from audio_files import encoded, save
from elman.errors import DataError, UsageError
from elman.tasks.transcribe.text import Word
from elman.tasks.transcribe.transcriber import Transcriber
from tones import PATTERN, RATE, SMALL, sentence, write_words


def test_it_learns_what_words_sound_like(live: Transcriber, words: Path) -> None:
    scored = live.evaluate(words, pattern=PATTERN)
    assert scored.scores["wer"] <= 0.05 and "trained on" in str(scored)
    assert live.validation.baselines["nearest recording"]["wer"] == 0
    assert live.alphabet.labels == ("one", "three", "two")


def test_a_saved_model_answers_the_same(live: Transcriber, tmp_path: Path) -> None:
    live.save(tmp_path / "model")
    loaded, samples = elman.load(tmp_path / "model"), sentence("two three one", 1)
    assert loaded.predict(samples, RATE, words=True) == live.predict(samples, RATE, words=True)
    assert loaded.settings == live.settings and loaded.validation == live.validation
    assert "recordings of" in (tmp_path / "model/README.md").read_text()


def test_subwords_and_apostrophes_are_saved(tmp_path: Path) -> None:
    texts = {"it's one": "one", "it's two": "two"}
    rows = [
        {"audio": encoded(sentence(said, k), RATE), "text": text}
        for k in range(12)
        for text, said in texts.items()
    ]
    model = Transcriber.fit(rows, unit="subword", live=True, epochs=1, **SMALL)
    assert {"'", "it's"} <= {*model.alphabet.labels} and model.settings.unit == "subword"
    model.save(tmp_path / "model")
    again, samples = elman.load(tmp_path / "model"), sentence("one two", 1)
    assert again.alphabet == model.alphabet
    options = {"phrases": [*texts]}
    assert again.predict(samples, RATE, **options) == model.predict(samples, RATE, **options)
    words = (stream := again.stream(RATE, **options)).push(samples) + stream.finish()
    assert " ".join(word.text for word in words) == model.predict(samples, RATE, **options) != ""


@pytest.mark.parametrize("kind", ["live", "both_ways"])
def test_every_form_of_a_recording_has_the_same_answer(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model, samples = request.getfixturevalue(kind), sentence("one two", 2)
    samples = np.round(samples * 2**15) / np.float32(2**15)  # as a file holds them
    path = save(tmp_path, "a.wav", samples, RATE)
    answer = model.predict(path)
    for form in (str(path), encoded(samples, RATE)):
        assert model.predict(form) == answer
    assert model.predict(samples, rate=RATE) == answer == model.predict(samples.tolist(), RATE)
    assert model.predict([path, tmp_path]) == [answer, answer]
    spoken_words = model.predict(path, words=True)
    assert " ".join(word.text for word in spoken_words) == answer
    assert all(isinstance(word, Word) and 0 <= word.confidence <= 1 for word in spoken_words)
    (one,), (named,) = model.answers(str(path)), model.answers(str(tmp_path))
    assert str(one) == answer and str(named) == f"{path}\t{answer}"
    json.dumps(one.to_dict())


def test_options_of_the_search(live: Transcriber) -> None:
    samples = sentence("one two three", 3)
    assert set(live.predict(samples, RATE, phrases=["two", "three"]).split()) <= {"two", "three"}
    assert "three" in live.predict(samples, RATE, hot_words=["three"])
    with pytest.raises(UsageError, match="never heard"):
        live.predict(samples, RATE, phrases=["four"])


def test_bad_input_is_one_sentence(live: Transcriber, tmp_path: Path) -> None:
    save(tmp_path, "a.wav")
    with pytest.raises(DataError, match="holds 1 recordings but no texts"):
        Transcriber.fit(tmp_path, **SMALL)
    with pytest.raises(UsageError, match="give it, in samples per second"):
        live.predict(np.zeros(100, np.float32))
    with pytest.raises(UsageError, match="leave out live or bidirectional"):
        Transcriber.fit(tmp_path, live=True, bidirectional=True, **SMALL)
    with pytest.raises(UsageError, match="there is no setting"):
        Transcriber.fit(tmp_path, units=3, **SMALL)


def test_texts_that_cannot_be_written_are_counted(live: Transcriber, tmp_path: Path) -> None:
    for text in ("one", "four"):
        save(tmp_path, f"{text}_s_1.wav", sentence("one", 1), RATE)
    scored = live.evaluate(tmp_path, pattern=PATTERN)
    assert "1 of 2 texts hold words that training had not" in str(scored)


@pytest.mark.parametrize("column", [{"audio": "file", "text": "said"}, {}])
def test_tables(tmp_path: Path, column: dict[str, str]) -> None:
    folder = write_words(tmp_path / "words", 4)
    names = ("file", "said") if column else ("audio", "text")
    rows = [f"{path.name},{path.name.split('_')[0]}" for path in sorted(folder.glob("*.wav"))]
    table = folder / "table.csv"
    table.write_text("\n".join([",".join(names), *rows]) + "\n")
    model = Transcriber.fit(table, valid=table, epochs=1, **column, **SMALL)
    assert model.source["rows"] == 12
    Transcriber.check_data(table, **column)
    shutil.rmtree(folder)
    with pytest.raises(DataError):
        Transcriber.check_data(table, **column)
