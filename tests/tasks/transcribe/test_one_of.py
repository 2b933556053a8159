"""One of several phrases is always answered, and it is the likeliest."""

import itertools
import math

import numpy as np
import pytest
import torch

from elman.errors import UsageError
from elman.tasks.transcribe.decoder import Decoder, Lexicon
from elman.tasks.transcribe.one_of import OneOf
from elman.tasks.transcribe.problem import collapsed
from elman.tasks.transcribe.text import Alphabet
from elman.tasks.transcribe.transcriber import Transcriber
from tones import RATE, sentence

PHRASES = ["one", "one two", "two one", "two two"]
DECODER = Decoder(Alphabet.of(["one two"] * 10, "word"), Lexicon.of([]))


def test_the_likeliest_is_that_of_all_paths() -> None:
    choice = OneOf.of(DECODER, PHRASES)
    for seed in range(20):
        log_probs = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(1)
        sums = dict.fromkeys(map(tuple, choice.sequences), 0.0)
        for path in itertools.product(range(3), repeat=5):
            text = tuple(collapsed(path))
            if text in sums:
                sums[text] += math.exp(sum(float(log_probs[t, label]) for t, label in enumerate(path)))
        (best, most), total = max(sums.items(), key=lambda one: one[1]), sum(sums.values())
        words = choice.words(log_probs, 0.01, 4)
        assert [word.text for word in words] == [DECODER.alphabet.decode([label]) for label in best]
        assert all(word.confidence == pytest.approx(most / total) for word in words)


def test_a_recording_in_which_no_phrase_fits_has_no_words() -> None:
    assert OneOf.of(DECODER, ["one two one two"]).words(torch.zeros(3, 3).log_softmax(1), 0.01, 4) == []


def test_noise_has_an_answer_too(live: Transcriber, both_ways: Transcriber) -> None:
    noise = 0.01 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    for model in (live, both_ways):
        assert model.predict(noise, RATE, one_of=["two", "three"]) in ("two", "three")
    said = {text: sentence(text, 7) for text in ("one", "two", "three", "two three")}
    assert [live.predict(samples, RATE, one_of=list(said)) for samples in said.values()] == list(said)
    (word,) = live.predict(said["two"], RATE, words=True, one_of="two")
    assert word.confidence == 1 and 0 <= word.start < word.end <= len(said["two"]) / RATE


def test_it_stands_alone(live: Transcriber) -> None:
    samples = sentence("one", 1)
    with pytest.raises(UsageError, match="one_of: 'four' has the word 'four', which this model has never"):
        live.predict(samples, RATE, one_of=["one", "four"])
    with pytest.raises(UsageError, match="one_of must be a list of phrases"):
        live.predict(samples, RATE, one_of=[])
    for name, value in {"phrases": ["two"], "hot_words": ["two"], "vad": True}.items():
        with pytest.raises(UsageError, match=f"one_of is all that may be said: leave {name} out"):
            live.predict(samples, RATE, one_of=["one"], **{name: value})
