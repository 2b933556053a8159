"""A language model of words in the search."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.decode.scorers import Weighted
from elman.errors import UsageError
from elman.tasks.transcribe.decoder import Decoder, Lexicon
from elman.tasks.transcribe.fusion import LanguageWords
from elman.tasks.transcribe.text import Alphabet
from elman.tasks.transcribe.transcriber import Transcriber
from tones import PATTERN, RATE, sentence, write_words
from tones import SMALL as TINY

TEXT = "one three\ntwo three\none two\nOne three.\n" * 30
SMALL: dict[str, Any] = {"hidden": 12, "embedding": 8, "epochs": 1, "progress": False, "min_count": 1}


@pytest.fixture(scope="module", params=["word", "space"])
def language(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return elman.LanguageModel.fit(path, tokenizer=request.param, **SMALL)


def test_the_score_of_a_text_is_that_of_the_language_model(language: Any) -> None:
    alphabet = Alphabet.of(["one two three"], "character")
    words = LanguageWords.of(language, alphabet)
    assert set(words.words) <= {"one", "two", "three"} and "three" in words.words
    numbers = [words.words.index(word) for word in ("three", "three")]
    scores, state = words.start()
    total = scores[numbers[0]]
    rows, (state,) = words.step([state], numbers[:1])
    total += rows[0, numbers[1]]
    _, (state,) = words.step([state], numbers[1:])
    total += words.end(state)
    first, inside = words.first_ids[numbers[0]], words.ids[numbers[0]]
    end = int(language.vocabulary.encode("\n")[0])
    ids = torch.tensor([end, int(first), int(inside), end])
    with torch.no_grad():
        features, _, _ = language.network(ids[:-1, None])
        log_probs = language.network.log_probs(features)[:, 0].double().log_softmax(1)
    assert total == pytest.approx(float(log_probs[torch.arange(3), ids[1:]].sum()), abs=1e-3)


def test_the_likelier_of_two_texts_that_sound_alike_is_found(language: Any) -> None:
    alphabet = Alphabet.of(["one two three"], "word")
    decoder = Decoder(alphabet, Lexicon.of([]))
    rows = torch.full((3, len(alphabet)), 0.01)
    rows[0, alphabet.known("one")] = 1.0
    rows[1, 0] = 1.0
    rows[2, alphabet.known("three")] = rows[2, alphabet.known("two")] = 0.5
    log_probs = (rows / rows.sum(1, keepdim=True)).log()
    words = LanguageWords.of(language, alphabet)
    fused = decoder.with_options(language_model=language, language_weight=1.0)
    text = alphabet.decode(token.token for token in fused.tokens(log_probs))
    scores, state = words.start()
    rows_after, _ = words.step([state], [words.words.index("one")])
    likelier = max(("two", "three"), key=lambda word: ends(words, word))
    assert text in ("one two", "one three") and scores.shape == rows_after[0].shape
    assert text == f"one {likelier}"


def ends(words: LanguageWords, word: str) -> float:
    _, state = words.start()
    first, second = words.words.index("one"), words.words.index(word)
    rows, (state,) = words.step([state], [first])
    _, (state,) = words.step([state], [second])
    return float(rows[0, second] + words.end(state))


def test_a_transcriber_answers_with_it(live: Transcriber, language: Any, tmp_path: Path) -> None:
    samples = sentence("one three", 2)
    heard = live.predict(samples, rate=RATE, language_model=language, language_weight=0.1)
    assert set(heard.split()) <= {"one", "two", "three"}
    language.save(tmp_path / "language")
    again = live.predict(samples, rate=RATE, language_model=tmp_path / "language", language_weight=0.1)
    assert again == heard
    stream = live.stream(rate=RATE, language_model=language, language_weight=0.1)
    words = stream.push(samples) + stream.finish()
    assert " ".join(word.text for word in words) == heard


def test_a_training_that_gets_it_chooses_how_much_it_counts(language: Any, tmp_path: Path) -> None:
    folder, settings = write_words(tmp_path / "words", 6), {"epochs": 1, "unit": "word", "live": True}
    language.save(tmp_path / "language")
    model = Transcriber.fit(folder, pattern=PATTERN, language_model=tmp_path / "language", **settings, **TINY)
    chosen = model.decoder.fused_weights
    assert chosen is not None and model.decoder.with_options(language_model=language).weights == chosen
    model.save(tmp_path / "model")
    again = elman.load(tmp_path / "model").decoder
    assert again.fused_weights == chosen and again.weights == model.decoder.weights
    file = again.to_json() | {"fused_weights": {"weight": -1.0, "bonus": 0.0}}
    with pytest.raises(ValueError, match="out of range"):
        Decoder.restore(again.alphabet, again.lexicon, file, 8)
    assert Decoder.restore(again.alphabet, again.lexicon, {"weights": None}, 8).fused_weights is None


def test_what_is_no_language_model_is_refused(live: Transcriber, language: Any, tmp_path: Path) -> None:
    samples = np.zeros(RATE, np.float32)
    text = tmp_path / "text.txt"
    text.write_text("zwei drei vier " * 200)
    other = elman.LanguageModel.fit(text, tokenizer="character", **SMALL)
    with pytest.raises(UsageError, match="tokens are characters, not words"):
        live.predict(samples, RATE, language_model=other)
    other = elman.LanguageModel.fit(text, tokenizer="word", **SMALL)
    with pytest.raises(UsageError, match="has no word that this transcriber can write"):
        live.predict(samples, RATE, language_model=other)
    with pytest.raises(UsageError, match="must be one or the folder of one, not int"):
        live.predict(samples, RATE, language_model=3)
    with pytest.raises(UsageError, match="must be one or the folder of one, not Transcriber"):
        live.predict(samples, RATE, language_model=live)
    with pytest.raises(UsageError, match="give both"):
        live.predict(samples, RATE, language_weight=1.0)
    with pytest.raises(UsageError, match="language_weight must be a number from 0"):
        live.predict(samples, RATE, language_model=language, language_weight=-1)


def test_a_weight_of_nothing_changes_no_score(language: Any) -> None:
    words = LanguageWords.of(language, Alphabet.of(["one two three"], "word"))
    scores, _ = Weighted(words, 0.0).start()
    assert not scores.any()
