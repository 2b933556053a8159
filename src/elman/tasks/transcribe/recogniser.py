"""Whole recordings → words."""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from elman.data.audio.voice import VoiceActivity
from elman.decode.ctc import Token
from elman.tasks.transcribe.confidence import Confidence
from elman.tasks.transcribe.decoder import Decoder
from elman.tasks.transcribe.examples import EDGE_FRAMES, pad_features
from elman.tasks.transcribe.features import Features
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.problem import by_length
from elman.tasks.transcribe.text import Word
from elman.training.problem import device_of

# A recording is read in parts of at most so many frames, cut where it is quietest in the second half.
PART_FRAMES: Final = 2_000
VOICE_MARGIN: Final = 0.3  # seconds around a word in which there must be a voice


def log_probabilities(network: TranscriberNet, each: Sequence[Tensor]) -> list[Tensor]:
    """Return log-probabilities (steps, labels) of normalised recordings (frames, features), on the CPU."""
    results: dict[int, Tensor] = {}
    device = device_of(network)
    with torch.no_grad():
        for rows in by_length([len(one) for one in each]):
            features, lengths = pad_features([each[row] for row in rows])
            log_probs, steps = network(features.to(device), lengths.to(device))
            for k, row in enumerate(rows):
                results[row] = log_probs[: int(steps[k]), k].float().cpu()
    return [results[row] for row in range(len(each))]


def parts_of(features: Tensor, loudness: Tensor) -> Iterator[Tensor]:
    """Yield a recording's features (frames, features) in parts that a network reads at once, cut where the
    loudness (frames,) is low."""
    while len(features) > PART_FRAMES:
        half = PART_FRAMES // 2
        # the quietest third of a second
        quiet = torch.nn.functional.avg_pool1d(loudness[None, None, half:PART_FRAMES], 33, 1)[0, 0]
        cut = half + int(quiet.argmin()) + 16
        yield features[:cut]
        features, loudness = features[cut:], loudness[cut:]
    yield features


def transcribed(
    network: TranscriberNet, features: Tensor, of: Features, decoder: Decoder, confidence: Confidence
) -> list[Word]:
    """Return the words of a recording's normalised features (frames, features), with edges."""
    seconds = of.seconds
    step, start, words = network.stride * seconds, -EDGE_FRAMES * seconds, list[Word]()
    parts = [part for part in parts_of(features, of.loudness(features)) if len(part)]
    for part, log_probs in zip(parts, log_probabilities(network, parts), strict=True):
        words += words_of(decoder.tokens(log_probs), decoder, confidence, step, start)
        start += len(part) * seconds
    return words


def words_of(
    tokens: Sequence[Token], decoder: Decoder, confidence: Confidence, step: float, start: float = 0.0
) -> list[Word]:
    """Return the words of a whole recording's labels; a step lasts `step` seconds, the first from `start`."""
    complete, rest = decoder.alphabet.split(tokens)
    return [as_word(one, decoder, confidence, step, start) for one in [*complete, rest] if one]


def as_word(
    tokens: Sequence[Token], decoder: Decoder, confidence: Confidence, step: float, start: float = 0.0
) -> Word:
    """Return the word that labels spell."""
    text = decoder.alphabet.decode([token.token for token in tokens])
    begin, end = (round(max(start + at * step, 0.0), 3) for at in (tokens[0].start, tokens[-1].end))
    least = min(token.confidence for token in tokens)
    return Word(text, begin, end, confidence.of(least, decoder.edge))


def voiced(words: Sequence[Word], voice: VoiceActivity) -> list[Word]:
    """Return the words of a recording that a voice has said, which has followed all of it."""
    return [word for word in words if has_voice(word, voice)]


def has_voice(word: Word, voice: VoiceActivity) -> bool:
    """Whether there is a voice where a word was found, which noise may have been."""
    return voice.heard(word.start - VOICE_MARGIN, word.end + VOICE_MARGIN)
