"""What the lens sees of a transcriber: its network, as it reads recordings; steps are those of the recurrent
layers, behind the convolutions."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.lens.view import View
from elman.tasks.transcribe.examples import EDGE_FRAMES, pad_features
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.text import BLANK

MAX_FRAMES: Final = 2_000  # of each recording, the first


def view(
    network: TranscriberNet, each: Sequence[Tensor], frame_seconds: float, answers: Sequence[str]
) -> View:
    """Return the view of normalised recordings (frames, features) with edges."""
    features, lengths = pad_features([one[:MAX_FRAMES] for one in each])
    with torch.no_grad():
        log_probs, steps = network(features, lengths)
    best = [_collapsed(log_probs[: int(n), k]) for k, n in enumerate(steps)]
    step = network.stride * frame_seconds
    start = -EDGE_FRAMES * frame_seconds
    labels = tuple(tuple(f"{start + k * step:.2f} s" for k in range(int(n))) for n in steps)
    long = any(len(one) > MAX_FRAMES for one in each)
    return View(
        module=network,
        input=(features, lengths),
        score=_score(best),
        last=_last(log_probs, steps),
        scored="log-probability of the likeliest labels",
        answers=tuple(answers),
        labels={"": labels},
        unit="ms",
        scale=1000 * step,
        notes=(f"only the first {MAX_FRAMES * frame_seconds:.0f} s of a recording are shown",)
        if long
        else (),
    )


def _collapsed(log_probs: Tensor) -> list[int]:
    """Return the labels of the likeliest path, without repeats and blanks."""
    path = torch.unique_consecutive(log_probs.argmax(1)).tolist()
    return [label for label in path if label != BLANK]


def _last(log_probs: Tensor, steps: Tensor) -> Callable[[Any], Tensor]:
    """Return the score of the last step of each recording with a label, or else of its last."""
    labels = log_probs.argmax(2)
    spoken = (labels != BLANK) & (torch.arange(len(labels))[:, None] < steps)
    numbers = torch.arange(len(labels))[:, None].where(spoken, -1).amax(0)
    at = torch.where(numbers < 0, steps - 1, numbers)
    rows = torch.arange(len(at))
    last = labels[at, rows]
    return lambda result: result[0][at, rows, last]


def _score(each: Sequence[Sequence[int]]) -> Callable[[Any], Tensor]:
    targets = torch.tensor([label for labels in each for label in labels], dtype=torch.int64)
    sizes = torch.tensor([len(labels) for labels in each])

    def score(result: Any) -> Tensor:
        """Return the log-probabilities of the labels, over all their alignments, (B,)."""
        log_probs, steps = result
        return -F.ctc_loss(log_probs, targets, steps, sizes, blank=BLANK, reduction="none")

    return score
