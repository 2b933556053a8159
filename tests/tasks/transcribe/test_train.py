"""What is derived from recordings before a network learns from them."""

from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from audio_files import encoded, noise, save
from elman.data.audio.recordings import Recording, Recordings, read_recordings
from elman.data.table.bad_rows import BadRows
from elman.errors import DataError
from elman.tasks.transcribe.decoder import FUSED, Decoder, Lexicon, Weights
from elman.tasks.transcribe.fusion import LanguageWords
from elman.tasks.transcribe.text import Alphabet
from elman.tasks.transcribe.train import (
    best_decoder,
    divided,
    fused_weights,
    read_corpus,
    usual_rate,
    utterances,
)
from tones import RATE, sentence


def listed(texts: list[str], rate: int = RATE, speakers: int = 0) -> Recordings:
    rows = [
        Recording(
            encoded(sentence("one two", k), rate), text, f"r{k}", k, f"s{k % speakers}" if speakers else None
        )
        for k, text in enumerate(texts)
    ]
    return Recordings(rows, "the data", BadRows(False))


@pytest.mark.parametrize(("rate", "wanted"), [(8_000, 8_000), (11_025, 16_000), (44_100, 16_000)])
def test_the_rate_is_the_lowest_that_keeps_all(rate: int, wanted: int) -> None:
    assert usual_rate(listed(["a"] * 3, rate)) == wanted


def test_speakers_are_held_out_where_there_are_many() -> None:
    texts = [f"text {k}" for k in range(60)]
    many = listed(texts, speakers=12)
    train, held_out = divided(many, texts, 0)
    speakers = [{many.all[row].speaker for row in rows} for rows in (train, held_out)]
    assert not speakers[0] & speakers[1] and held_out
    train, held_out = divided(listed(texts, speakers=3), texts, 0)
    assert len(train) == 54 and len(held_out) == 6
    texts = [f"text {k % 6}" for k in range(60)]
    _, held_out = divided(listed(texts), texts, 0)
    assert {texts[row] for row in held_out} == set(texts)


def test_settings_follow_from_the_recordings(tmp_path: Path) -> None:
    for k in range(12):
        for text in ("yes", "no"):
            save(tmp_path, f"{text}_{k}.wav", noise(3_000, k))
    corpus = read_corpus(read_recordings(tmp_path, pattern="{label}_{n}.wav"), None, {})
    chosen = corpus.defaults({})
    assert chosen["unit"] == "word" and chosen["stride"] == 4 and chosen["joined"] > 1
    assert chosen["rate"] == 8_000 and chosen["epochs"] >= 15
    spelled = read_corpus(read_recordings(tmp_path, pattern="{label}_{n}.wav"), None, {"unit": "character"})
    assert spelled.defaults({})["joined"] == 1


def test_fast_speech_gets_short_steps() -> None:
    corpus = read_corpus(listed(["a text of thirty characters or so"] * 12), None, {"unit": "character"})
    frames = len(corpus.train.features[0])
    assert corpus.train.ids[0] and len(corpus.train.ids[0]) * 1.25 * corpus.defaults({})["stride"] <= frames


def test_a_text_without_a_letter_is_refused() -> None:
    with pytest.raises(DataError, match=r"r1: its text '\.\.\.' holds no letter or digit"):
        read_corpus(listed(["a", "...", "b"]), None, {})


def test_what_no_label_writes_stays_in_the_text_that_is_scored() -> None:
    features = [torch.zeros(5, 3)] * 2
    kept = utterances(features, ["a", "za"], Alphabet("character", (" ", "a")))
    assert kept.texts == ["a", "za"] and kept.ids == [[2], [2]]


class Words:
    """A language model that has read one text only."""

    words = ("call", "me", "mum", "now")

    def start(self) -> tuple[np.ndarray, int]:
        return self._scores("call"), 0

    def step(self, states: list[int], tokens: list[int]) -> tuple[np.ndarray, list[int]]:
        return np.stack([self._scores("mum")] * len(states)), states

    def end(self, state: int) -> float:
        return 0.0

    def _scores(self, expected: str) -> np.ndarray:
        return np.log([0.997 if word == expected else 0.001 for word in self.words])


def test_a_language_model_gets_the_weight_of_fewest_errors() -> None:
    alphabet, language = Alphabet.of(["call mum now me"], "word"), cast(LanguageWords, Words())
    plain = Decoder(alphabet, Lexicon.of([]))

    def said(share: float) -> Tensor:
        """Return log-probabilities of "call", and of "now" or, by a share of that, "mum"."""
        rows = torch.full((3, len(alphabet)), 1e-4)
        rows[0, alphabet.encode("call")] = rows[1, 0] = rows[2, alphabet.encode("now")] = 1.0
        rows[2, alphabet.encode("mum")] = share
        return (rows / rows.sum(1, keepdim=True)).log()

    assert fused_weights(plain, language, [said(0.001)], ["call now"]) == FUSED
    assert fused_weights(plain, language, [said(0.02)], ["call mum"]).weight > FUSED.weight


def test_a_language_model_is_taken_only_where_it_helps() -> None:
    texts = ["call mum now", "call me now", "call mum"] * 4
    alphabet = Alphabet.of(texts, "word")
    plain = Decoder(alphabet, Lexicon.of(texts))

    def said(first: str, second: str) -> Tensor:
        rows = torch.full((4, len(alphabet)), 0.01)
        rows[1::2, 0] = 1.0
        rows[0, alphabet.encode(first)], rows[2, alphabet.encode(second)] = 1.0, 1.0
        rows[2, alphabet.encode("mum")] += 0.9
        return (rows / rows.sum(1, keepdim=True)).log()

    sure = [said("call", "mum")]
    assert best_decoder(plain, sure, ["call mum"]) is plain
    unsure = [said("call", "now"), said("call", "call")]
    assert isinstance(best_decoder(plain, unsure, ["call mum", "call mum"]).weights, Weights)
