"""One of several phrases, where it is known that one of them was said: the likeliest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from elman.decode.ctc import align, log_likelihoods
from elman.tasks.transcribe.confidence import Confidence
from elman.tasks.transcribe.decoder import Decoder
from elman.tasks.transcribe.examples import EDGE_FRAMES
from elman.tasks.transcribe.recogniser import words_of
from elman.tasks.transcribe.text import BLANK, Word


@dataclass(frozen=True, eq=False)
class OneOf:
    """Phrases of which each recording holds one, and nothing else.

    Attributes:
        sequences: the labels of each phrase.
    """

    decoder: Decoder
    sequences: Sequence[Sequence[int]]

    @classmethod
    def of(cls, decoder: Decoder, phrases: Any) -> "OneOf":
        """Raises UsageError for phrases that the network can't write."""
        return cls(decoder, decoder.labels(phrases, "one_of"))

    def words(self, log_probs: Tensor, frame_seconds: float, stride: int) -> list[Word]:
        """Return the words of the likeliest phrase, all paths summed, in a recording's log-probabilities
        (steps, labels), with edges. Their confidence is its share of the likelihoods of all phrases. A
        recording too short for any phrase has no words."""
        scores = np.array(log_likelihoods(log_probs, self.sequences, blank=BLANK))
        best = int(scores.argmax())
        if scores[best] == -math.inf:
            return []
        share = 1 / float(np.exp(scores - scores[best]).sum())
        tokens = align(log_probs, self.sequences[best], blank=BLANK)
        words = words_of(
            tokens, self.decoder, Confidence(), stride * frame_seconds, -EDGE_FRAMES * frame_seconds
        )
        return [word._replace(confidence=share) for word in words]
