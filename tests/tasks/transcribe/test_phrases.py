"""A list of phrases becomes a corpus, and a model that knows only them."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import elman
from audio_files import save
from elman.data.audio.recordings import read_recordings
from elman.errors import DataError, UsageError
from elman.tasks.transcribe import phrases as module
from elman.tasks.transcribe.phrases import MAX_PHRASES, Phrases, phrase_corpus
from elman.tasks.transcribe.spotting import Spotter, Spotting
from elman.tasks.transcribe.train import NONE, Corpus, scored, utterances
from elman.tasks.transcribe.transcriber import Transcriber
from speaking import SILENT, Chords
from tones import RATE, SMALL, sentence

PHRASES = ["Turn left!", "turn right", "stop"]


@pytest.fixture(autouse=True)
def chords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EspeakNG", Chords)
    monkeypatch.setattr(module, "RECORDINGS", 36)
    monkeypatch.setattr(module, "OTHER_HELD_OUT", 10)


def own(folder: Path, each: int, texts: tuple[str, ...] = ("turn left", "stop")) -> Path:
    draw, speaker = np.random.default_rng(0), Chords()
    for text in texts:
        for k in range(each):
            pitch = int(draw.integers(90))
            save(
                folder,
                f"{text}_{k}.wav",
                speaker.say(text, speaker.voices("en")[0], 200, pitch),
                speaker.rate,
            )
    return folder


def test_phrases_from_a_list_and_a_file(tmp_path: Path) -> None:
    path = tmp_path / "commands.txt"
    path.write_text("Turn left!\n\n  turn   left\nstop\n[[stop]] <b>now</b>\n")
    listed = Phrases.of(path)
    assert listed.texts == ("turn left", "stop", "stop b now b")
    assert listed.written == ("Turn left!", "stop", "[[stop]] <b>now</b>")
    assert Phrases.of(["Turn\0 left\ud800!"]).texts == ("turn left",)
    assert listed.each == 12 and Phrases.of([f"go {k}" for k in range(MAX_PHRASES)]).each == 12


@pytest.mark.parametrize(
    ("phrases", "message"),
    [
        ([], "phrases holds 0 phrases; give 1 to 1,000"),
        ([f"phrase {k}" for k in range(10_000)], "holds 10,000 phrases"),
        (["go", "!?"], r"phrases\[1\]: '!\?' holds no letter or digit"),
        (["a" * 5_000], r"phrases\[0\] has 5,000 characters; a phrase has 200 at most"),
        ([1], "phrases must be a list of texts"),
        (5, "phrases must be a list of texts"),
        (None, "phrases must be a list of texts"),
    ],
)
def test_a_list_that_cannot_be_used(phrases: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Phrases.of(phrases)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty|holds 0 phrases"),
        (b"go\nst\0op\n", "binary"),
        (b"go\n\xff\xfe\n", "UTF-8"),
        (b"go\n***\n", r"commands.txt, line 2: '\*\*\*' holds no letter"),
        (b"go\n" + b"a" * 201, "line 2 has 201 characters"),
    ],
)
def test_a_file_that_cannot_be_used(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "commands.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        Phrases.of(path)
    with pytest.raises(DataError, match="does not exist"):
        Phrases.of(tmp_path / "other.txt")


def test_the_corpus() -> None:
    corpus = phrase_corpus(Phrases.of(PHRASES), "en", None, None, {})
    counts = Counter(corpus.train.texts)
    assert counts == {"turn left": 12, "turn right": 12, "stop": 12}
    assert Counter(corpus.held_out.texts) == dict.fromkeys(counts, 2)
    assert corpus.alphabet.labels == ("left", "right", "stop", "turn") and corpus.settings.rate == 16_000
    others, elsewhere = corpus.others
    assert len(others) == 36 and len(elsewhere) == 10
    words = {word for text in others.texts for word in text.split()}
    assert words == {"turn", "left", "right", "stop"} and any(not ids for ids in others.ids)
    assert not any("turn left" in text or "stop" in text.split() for text in elsewhere.texts)
    again = phrase_corpus(Phrases.of(PHRASES), "en", None, None, {})
    assert again.source == corpus.source
    assert phrase_corpus(Phrases.of(PHRASES), "en", None, None, {"seed": 1}).source != corpus.source


@pytest.mark.parametrize("progress", [True, False])
def test_the_corpus_says_how_many_recordings_it_makes(
    progress: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = phrase_corpus(Phrases.of(PHRASES), "en", None, None, {}, progress)
    parts = (corpus.train, corpus.held_out, *corpus.others)
    line = f"synthesising {sum(map(len, parts))} recordings, of 3 phrases and of other speech\n"
    assert capsys.readouterr().err == (line if progress else "")


@pytest.mark.parametrize("each", [3, 30])
def test_own_recordings_are_a_third(each: int, tmp_path: Path) -> None:
    adapt = read_recordings(own(tmp_path, each), pattern="{label}_{n}.wav")
    corpus = phrase_corpus(Phrases.of(PHRASES), "en", adapt, None, {})
    added = len(corpus.train) - 36
    assert added % (6 if each == 3 else 54) == 0 and 0.25 < added / len(corpus.train) <= 0.6
    assert len(corpus.held_out) == (6 if each == 3 else 12) and corpus.settings.rate == 16_000
    valid = read_recordings(tmp_path, pattern="{label}_{n}.wav")
    assert len(phrase_corpus(Phrases.of(PHRASES), "en", None, valid, {}).held_out) == 2 * each


def test_recordings_of_something_else_are_refused(tmp_path: Path) -> None:
    own(tmp_path, 1, ("stop", "hello"))
    with pytest.raises(DataError, match=r"hello_0\.wav: its text 'hello' holds words that no phrase has"):
        Transcriber.fit(phrases=PHRASES, adapt=tmp_path, pattern="{label}_{n}.wav", **SMALL)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "there is nothing to learn from"),
        ({"data": "a.csv", "phrases": ["a"]}, "add recordings of them with adapt"),
        ({"data": "a.csv", "adapt": "b.csv"}, "adapt applies only to training from phrases"),
        ({"data": "a.csv", "language": "de"}, "language applies only to training from phrases"),
        ({"phrases": ["a"], "language_model": "model"}, "leave language_model out"),
        ({"phrases": ["a"], "language": "xx"}, "no voice for the language 'xx'"),
        ({"phrases": ["a"], "language": ""}, "no voice for the language ''"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Transcriber.fit(**arguments, **SMALL)


def test_a_phrase_that_voices_are_silent_on() -> None:
    with pytest.raises(DataError, match="is silent on 'hush'"):
        Transcriber.fit(phrases=[SILENT, "go"], **SMALL)


def test_a_model_of_phrases_alone(tmp_path: Path) -> None:
    model = Transcriber.fit(phrases=PHRASES, language="de", live=True, epochs=1, **SMALL)
    model.save(tmp_path / "model")
    loaded = elman.load(tmp_path / "model")
    assert loaded.spotting == model.spotting and loaded.validation == model.validation
    assert loaded.decoder.closed and model.decoder.closed
    assert loaded.spotting.phrases == ("turn left", "turn right", "stop")
    assert model.validation.scores["missed"] is not None and model.validation.scores["false_alarms"] >= 0
    assert "synthesised recordings of phrases" in model.card().data
    replace(model, spotting=Spotting(("halt",))).save(tmp_path / "other")
    with pytest.raises(elman.ArtifactError, match="never heard"):
        elman.load(tmp_path / "other")


def test_other_speech_counts_as_wrong(live: Transcriber) -> None:
    phrases, bank = ("one two", "three"), live._features.bank

    def other(k: int, seed: int) -> NDArray[np.float32]:
        """Phrases in a voice so high or low that they are none."""
        samples = sentence(phrases[k % 2], seed + k)
        pitch = (0.7, 0.8, 1.2, 1.3, 1.4)[k % 5]
        return np.interp(np.arange(0, len(samples), pitch), np.arange(len(samples)), samples).astype(
            np.float32
        )

    texts = [*phrases] * 10
    said = [bank.features(sentence(text, 50 + k)) for k, text in enumerate(texts)]
    held_out = utterances(said, texts, live.alphabet)
    elsewhere = utterances([bank.features(other(k, 70)) for k in range(20)], [""] * 20, live.alphabet)
    corpus = Corpus(live.settings, held_out, held_out, live.alphabet, {}, (NONE, elsewhere), phrases)
    of = (live.network, live.settings, live.normaliser, live._features, ())
    decoder, confidence, _, evaluation, false = scored(corpus, *of)
    alone = scored(replace(corpus, others=(NONE, NONE)), *of)[1]
    spotting = Spotting.measure(phrases, false, 1.0)
    model = replace(live, decoder=decoder, confidence=confidence, spotting=spotting)
    spotter = Spotter(phrases, spotting.threshold(4.0))
    heard = [phrase for words in false for phrase in spotter.push(words, complete=True)]
    surest = [model.predict(sentence(text, 50 + k), RATE, words=True) for k, text in enumerate(texts)]
    right = [word.confidence for words in surest for word in words]
    assert decoder.closed and evaluation.scores["exact"] > 0.8 and any(false)
    assert confidence.of(0.7) < alone.of(0.7) and confidence.of(0.7) < confidence.of(0.999)
    assert len(set(spotting.alarms)) == len(spotting.alarms) > 4 == len(heard)
    assert sum(right) / len(right) > sum(spotting.alarms) / len(spotting.alarms) + 0.1


def test_spotting(live: Transcriber) -> None:
    phrases, samples = ("one two", "three"), sentence("three one two three two one", 5)
    spotting = Spotting(phrases, 1.0, (0.9, 1e-6))
    model = replace(live, spotting=spotting, decoder=live.decoder.of_phrases(phrases))
    assert set(model.predict(samples, RATE).replace("one two", "").split()) == {"three"}
    heard = model.predict(samples, RATE, words=True, false_alarms=1.0)
    assert [word.text for word in heard][:3] == ["three", "one two", "three"]
    stream = model.stream(RATE, false_alarms=1.0)
    pieces = [samples[at : at + 800] for at in range(0, len(samples), 800)]
    live_words = [word for piece in pieces for word in stream.push(piece)] + stream.finish()
    assert [word[:3] for word in live_words] == [word[:3] for word in heard]
    assert stream.result() == "" and stream.tentative == ""
    assert "one two" not in model.predict(samples, RATE, phrases=["three"])
    assert "three" in model.predict(samples, RATE, hot_words=["three"])
    with pytest.raises(UsageError, match="for all of them"):
        model.predict(samples, RATE, phrases=["three"], false_alarms=1)
    for ask in (live.stream, partial(live.predict, samples)):
        with pytest.raises(UsageError, match="false_alarms is for a model that was trained with phrases"):
            ask(RATE, false_alarms=1.0)
