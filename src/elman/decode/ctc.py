"""Connectionist temporal classification (CTC): from log-probabilities of frames to tokens with times.

Graves et al., "Connectionist temporal classification", ICML 2006. A path names one label a frame: a token, or
the blank. Its text is what is left when repeated labels are merged and blanks removed; a text's probability
is the sum over its paths. T frames, V labels, the blank among them.

`greedy` and `GreedyStream` read the likeliest path; `elman.decode.ctc_beam` searches for the likeliest text,
with a language model, a lexicon or hot words if wanted. `align` finds when the tokens of a text were said,
`log_likelihoods` how likely texts are, `agreement` how sure an answer is. Everything is computed in float64
on the CPU. To train, use `torch.nn.functional.ctc_loss`: its loss is infinite for a text that doesn't fit
into its frames, which `frames_needed` tells before.
"""

import math
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from elman.decode.loop import require
from elman.settings import is_whole, plain

Array = NDArray[np.float64]

# By which the probabilities of a frame may miss a sum of 1, as a logarithm: 16-bit numbers miss it by 0.02.
SUM_TOLERANCE: Final = 0.05


class Token(NamedTuple):
    """A token and the frames in which it was said, from `start` up to, not including, `end`."""

    token: int
    start: int
    end: int
    confidence: float  # the highest probability of the token in these frames


class Scores(NamedTuple):
    """Log-probabilities (T, V) that were checked, and the likeliest label of each frame (T), the lowest of
    equals."""

    log_probs: Array
    labels: list[int]

    def part(self, rows: slice) -> "Scores":
        """Return those of some frames."""
        return Scores(self.log_probs[rows], self.labels[rows])


LogProbs = Tensor | NDArray[Any] | Scores


def greedy(log_probs: Tensor | NDArray[Any], *, blank: int = 0) -> list[Token]:
    """Return the tokens of the likeliest path through log-probabilities (T, V).

    Raises UsageError for values that aren't log-probabilities or a blank outside the labels.
    """
    stream = GreedyStream(blank=blank)
    return stream.push(log_probs) + stream.finish()


class GreedyStream:
    """Greedy decoding of frames that arrive in pieces: the same tokens as for the whole."""

    def __init__(self, *, blank: int = 0) -> None:
        self._frames = Frames(blank)
        self._open: Token | None = None  # whose run of frames may go on

    def push(self, log_probs: LogProbs) -> list[Token]:
        """Read log-probabilities (T, V) of the next frames; return the tokens that ended.

        Raises UsageError as `greedy` does.
        """
        first, frames = self._frames.read(log_probs)
        labels = log_probs.labels if isinstance(log_probs, Scores) else frames.argmax(1).tolist()
        ended: list[Token] = []
        for t, label in enumerate(labels):
            if label == self._frames.blank:
                if self._open is not None:
                    ended += self.finish()
                continue
            at, peak = first + t, math.exp(frames[t, label])
            if self._open is not None and self._open.token == label:
                self._open = self._open._replace(end=at + 1, confidence=max(self._open.confidence, peak))
                continue
            ended += self.finish()
            self._open = Token(label, at, at + 1, peak)
        return ended

    def tentative(self) -> list[Token]:
        """Return the token that is being said: none or one."""
        return [] if self._open is None else [self._open]

    def finish(self) -> list[Token]:
        """End the utterance and return its last token if that is still open. Frames go on being counted."""
        tail, self._open = self.tentative(), None
        return tail


class Frames:
    """Checks and counts the frames of a stream."""

    def __init__(self, blank: int) -> None:
        require(is_whole(blank) and blank >= 0, f"blank must be the number of a label, not {blank!r}")
        self.blank = blank
        self.count = 0
        self.labels: int | None = None  # V, once frames came

    def read(self, log_probs: Any) -> tuple[int, Array]:
        """Return the number of the first of these frames, and (T, V) in float64."""
        frames = _checked(log_probs)
        labels = frames.shape[1]
        require(self.blank < labels, f"blank must be below {labels}, the number of labels, not {self.blank}")
        fits = self.labels in (None, labels)
        require(fits, f"every frame must have {self.labels} labels, as the first had, not {labels}")
        first, self.labels = self.count, labels
        self.count += len(frames)
        return first, frames


def _checked(log_probs: Any) -> Array:
    if isinstance(log_probs, Scores):
        return log_probs.log_probs
    if isinstance(log_probs, Tensor):
        require(log_probs.is_floating_point(), f"log_probs must be floats, not {log_probs.dtype}")
        log_probs = log_probs.detach().cpu().double().numpy()
    valid = isinstance(log_probs, np.ndarray) and log_probs.dtype.kind == "f" and log_probs.ndim == 2
    require(valid, "log_probs must be an array or tensor (frames, labels) of floats")
    frames: Array = np.asarray(log_probs, np.float64)
    require(frames.shape[1] > 0, "log_probs must have at least one label, the blank")
    with np.errstate(over="ignore", invalid="ignore"):
        wrong = ~(np.abs(np.log(np.exp(np.minimum(frames, 1)).sum(1) + 1e-300)) <= SUM_TOLERANCE)
    if wrong.any():
        t = int(wrong.argmax())
        what = "holds NaN" if np.isnan(frames[t]).any() else "does not hold log-probabilities"
        require(False, f"frame {t} of log_probs {what}: the exponentials of a frame must sum to 1")
    return frames


def frames_needed(tokens: Sequence[int]) -> int:
    """Return the fewest frames in which the tokens can be said: equal neighbours need a blank between."""
    return len(tokens) + sum(a == b for a, b in pairwise(tokens))


def align(log_probs: Tensor | NDArray[Any], tokens: Sequence[int], *, blank: int = 0) -> list[Token]:
    """Return the tokens of a text with the times of its likeliest path through log-probabilities (T, V).

    Raises UsageError for a text that doesn't fit into the frames or has probability 0, and as `greedy` does.
    """
    _, frames = (reader := Frames(blank)).read(log_probs)
    text = check_tokens(tokens, frames.shape[1], blank, "tokens")
    require(len(frames) >= frames_needed(text), f"{len(frames)} frames can't hold {len(text)} such tokens")
    if not text:
        return []
    path = _best_path(frames, text, reader.blank)
    starts, ends = (np.searchsorted(path, 2 * np.arange(len(text)) + 1, side) for side in ("left", "right"))
    runs = zip(text, starts.tolist(), ends.tolist(), strict=True)
    return [Token(token, a, b, float(np.exp(frames[a:b, token].max()))) for token, a, b in runs]


def _best_path(frames: Array, text: Sequence[int], blank: int) -> NDArray[np.int64]:
    """Return for every frame (T) its place among the 2 L + 1 labels: blank, first token, blank, …"""
    labels = np.full(2 * len(text) + 1, blank)
    labels[1::2] = text
    no_skip = np.ones(len(labels), bool)  # a blank is not skipped to, nor a token that equals the one before
    no_skip[3::2] = labels[3::2] == labels[1:-2:2]
    scores = np.full(len(labels), -math.inf)
    scores[0] = 0.0
    ways = np.full((3, len(labels)), -math.inf)  # to stay, to come from the place before, to skip one
    back = np.zeros((len(frames), len(labels)), np.int8)
    for t, frame in enumerate(frames):
        ways[0], ways[1, 1:], ways[2, 2:] = scores, scores[:-1], scores[:-2]
        ways[2, no_skip] = -math.inf
        back[t] = ways.argmax(0)
        scores = ways.max(0) + frame[labels]
    place = len(labels) - 1 - int(scores[-2] > scores[-1])
    require(scores[place] > -math.inf, "the tokens have probability 0 in these frames")
    path = np.empty(len(frames), np.int64)
    for t in range(len(frames) - 1, -1, -1):
        path[t] = place
        place -= int(back[t, place])
    return path


def log_likelihoods(
    log_probs: Tensor | NDArray[Any], texts: Sequence[Sequence[int]], *, blank: int = 0
) -> list[float]:
    """Return ln p of every text given log-probabilities (T, V): all paths summed, -inf if there is none.

    Raises UsageError as `align` does for tokens, and as `greedy` does.
    """
    _, frames = Frames(blank).read(log_probs)
    ids = [check_tokens(text, frames.shape[1], blank, f"texts[{i}]") for i, text in enumerate(texts)]
    if not len(frames) or not ids:
        return [-math.inf if text else 0.0 for text in ids]
    lengths = torch.tensor([len(text) for text in ids])
    targets = torch.tensor([token for text in ids for token in text], dtype=torch.int64)
    rows = torch.from_numpy(frames)[:, None].expand(-1, len(ids), -1)
    frame_counts = torch.full_like(lengths, len(frames))
    losses = F.ctc_loss(rows, targets, frame_counts, lengths, blank, reduction="none")
    return [-loss for loss in losses.tolist()]


def agreement(answers: Sequence[Sequence[Hashable]], scores: Sequence[float]) -> list[float]:
    """Return how likely every entry of the first answer is: the share of the answers that have it, too.

    Args:
        answers: one or more, the one to judge first, each a sequence of tokens or words.
        scores: their log-probabilities, up to a constant.

    Raises UsageError if there is no answer, or not one score an answer.
    """
    require(0 < len(answers) == len(scores), "there must be at least one answer, and a score for each")
    best = max(scores)
    valid = -math.inf < best < math.inf and not any(math.isnan(score) for score in scores)
    require(valid, "scores must be numbers below +inf, at least one of them above -inf")
    shares = np.exp(np.array(scores) - best)
    sums = np.zeros(len(answers[0]))
    for answer, share in zip(answers, shares, strict=True):
        same = SequenceMatcher(None, answers[0], answer, autojunk=False).get_matching_blocks()
        for at, _, size in same:
            sums[at : at + size] += share
    return [float(p) for p in sums / shares.sum()]


def check_tokens(tokens: Any, labels: int, blank: int | None, name: str) -> tuple[int, ...]:
    """Return tokens as a tuple of ints. Raises UsageError for any that is no label, or is the blank."""
    values = tokens.tolist() if isinstance(tokens, Tensor | np.ndarray) else tokens
    values = [plain(token) for token in values] if isinstance(values, list | tuple) else [None]
    valid = all(is_whole(token) and 0 <= token < labels and token != blank for token in values)
    other = "" if blank is None else f", none of them {blank}"
    require(valid, f"{name} must be a list of labels, numbers from 0 to {labels - 1}{other}")
    return tuple(values)
