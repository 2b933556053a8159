"""Whole recordings, in batches and in parts."""

import torch

from elman.decode.ctc import Token
from elman.tasks.transcribe import recogniser
from elman.tasks.transcribe.confidence import Confidence
from elman.tasks.transcribe.decoder import Decoder, Lexicon
from elman.tasks.transcribe.features import Sound
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.recogniser import log_probabilities, parts_of, transcribed, words_of
from elman.tasks.transcribe.settings import Settings
from elman.tasks.transcribe.text import Alphabet

ALPHABET = Alphabet("character", (" ", "a", "b"))
DECODER = Decoder(ALPHABET, Lexicon.of(["a b"]))


def network() -> TranscriberNet:
    torch.manual_seed(0)
    return TranscriberNet(Settings(hidden=6, front=5, layers=1, dropout=0.0), 8, len(ALPHABET)).eval()


def test_together_as_alone() -> None:
    each = [torch.randn(frames, 8) for frames in (30, 9, 50)]
    for together, one in zip(log_probabilities(network(), each), each, strict=True):
        torch.testing.assert_close(together, log_probabilities(network(), [one])[0], atol=1e-5, rtol=1e-5)


def test_a_long_recording_is_cut_where_it_is_quiet() -> None:
    features = torch.full((5_000, 8), 10.0)
    features[1_500:1_540] = 0.0
    parts = list(parts_of(features, features.mean(1)))
    assert torch.equal(torch.cat(parts), features)
    assert 1_500 < len(parts[0]) < 1_540 and all(len(part) <= recogniser.PART_FRAMES for part in parts)


def test_times_of_parts_go_on() -> None:
    features = torch.randn(4_100, 8)
    words = transcribed(network(), features, Sound(8_000, 8), DECODER, Confidence())
    starts = [word.start for word in words]
    assert starts == sorted(starts) and all(0 <= word.start < word.end <= 41.1 for word in words)


def test_a_word_lasts_from_its_first_label_to_its_last() -> None:
    tokens = [Token(2, 1, 2, 0.9), Token(3, 4, 6, 0.5), Token(1, 6, 7, 0.9), Token(2, 9, 10, 0.8)]
    first, second = words_of(tokens, DECODER, Confidence(), 0.04, 2.0)
    assert first.text == "ab" and second.text == "a"
    assert (first.start, first.end) == (2.04, 2.24) and abs(first.confidence - 0.5) < 1e-6
