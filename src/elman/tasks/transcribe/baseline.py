"""The plain baseline of a transcriber: the text of the nearest training recording by dynamic time warping.

Sakoe, Chiba, "Dynamic programming algorithm optimization for spoken word recognition", IEEE ASSP 1978: how
speech was recognised before there were models of it. Where the same few texts are said again and again it
answers well; elsewhere the baseline is the text that was said most often.
"""

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elman.typed import typed

MAX_TEXTS: Final = 200  # different ones
MIN_COUNT: Final = 3  # recordings of each text on average
MAX_TEMPLATES: Final = 200
MAX_FRAMES: Final = 300  # of a template, 3 s
USUAL_FRAMES: Final = 10_000  # of all templates; there is one of each text, all the same
BLOCK_FRAMES: Final = 16  # whose distances to all templates are computed at once
DTW, COMMONEST = "nearest recording", "commonest text"


@dataclass(frozen=True, eq=False)
class Templates:
    """Recordings to compare with. If there are none, the answer is the first of `texts`.

    Attributes:
        texts: those that can be answered.
        features: of all templates, one after another, (frames, features), normalised.
        lengths: (templates,) the frames of each.
        rows: (templates,) the number of each one's text.
    """

    texts: tuple[str, ...]
    features: Tensor
    lengths: Tensor
    rows: Tensor

    @classmethod
    def of(
        cls, texts: Sequence[str], features: Sequence[Tensor], normaliser: Callable[[Tensor], Tensor]
    ) -> "Templates":
        """Choose templates, as many of each text, of all lengths alike, and fewer of long ones: a comparison
        takes time."""
        counts = Counter(texts)
        common = [text for text, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
        width = features[0].shape[1]
        none = torch.zeros(0, dtype=torch.int64)
        if len(common) > MAX_TEXTS or len(texts) < MIN_COUNT * len(common):
            return cls((common[0],), torch.zeros(0, width), none, none)
        each = defaultdict[str, list[int]](list)
        for row, text in enumerate(texts):
            if len(features[row]) <= MAX_FRAMES:
                each[text].append(row)
        chosen = list[tuple[int, int]]()
        typical = statistics.median([len(features[row]) for rows in each.values() for row in rows] or [1])
        share = max(min(MAX_TEMPLATES, int(USUAL_FRAMES / typical)) // len(common), 1)
        for k, text in enumerate(common):
            rows = sorted(each[text], key=lambda row: len(features[row]))
            spread = sorted({int((i + 0.5) * len(rows) / share) for i in range(share)}) if rows else []
            chosen += [(k, rows[i]) for i in spread]
        if not chosen:
            return cls((common[0],), torch.zeros(0, width), none, none)
        return cls(
            tuple(common),
            torch.cat([normaliser(features[row]) for _, row in chosen]),
            torch.tensor([len(features[row]) for _, row in chosen]),
            torch.tensor([k for k, _ in chosen]),
        )

    @property
    def name(self) -> str:
        return DTW if len(self.lengths) else COMMONEST

    def answer(self, features: Tensor) -> str:
        """Return the text of the template nearest to normalised features (frames, features)."""
        if not len(self.lengths):
            return self.texts[0]
        if len(features) > 2 * MAX_FRAMES:
            features = features[:: -(-len(features) // MAX_FRAMES)]
        costs = warped_distances(features, self.features, self.lengths)
        return self.texts[int(self.rows[int(costs.argmin())])]

    def tensors(self) -> dict[str, Tensor]:
        return {
            "template_features": self.features,
            "template_lengths": self.lengths,
            "template_rows": self.rows,
        }

    @classmethod
    def restore(cls, texts: Any, tensors: Mapping[str, Tensor], width: int) -> "Templates":
        """Raises ValueError for what doesn't fit together."""
        texts = typed(tuple[str, ...], texts, "template texts")
        features, lengths, rows = (tensors[f"template_{name}"] for name in ("features", "lengths", "rows"))
        valid = features.dtype == torch.float32 and features.dim() == 2 and features.shape[1] == width
        valid = valid and bool(features.isfinite().all())
        for numbers in (lengths, rows):
            valid = valid and numbers.dtype == torch.int64 and numbers.dim() == 1
        valid = valid and len(lengths) == len(rows) <= 2 * MAX_TEMPLATES and len(texts) > 0
        valid = valid and bool((lengths > 0).all()) and bool((lengths <= MAX_FRAMES).all())
        valid = valid and int(lengths.sum()) == len(features)
        if not valid or not bool(((rows >= 0) & (rows < len(texts))).all()):
            raise ValueError("the templates of the baseline don't fit each other")
        return cls(texts, features, lengths, rows)


def warped_distances(features: Tensor, templates: Tensor, lengths: Tensor) -> NDArray[np.float64]:
    """Return the distance of features (T, F) to each template: the cost of the cheapest alignment, steps to
    both counting twice (Sakoe and Chiba's symmetric form), over the sum of both lengths."""
    count, longest = len(lengths), int(lengths.max())
    inside = (torch.arange(longest) < lengths.unsqueeze(1)).numpy()  # in the order of the templates' frames
    before = np.full((count, longest + 1), np.inf)
    before[:, 0] = 0.0
    cost = np.full((count, longest), np.inf)
    features, templates = features.double(), templates.double()
    starts = range(0, len(features), BLOCK_FRAMES)
    blocks = (torch.cdist(features[start : start + BLOCK_FRAMES], templates) for start in starts)
    for distances in itertools.chain.from_iterable(blocks):
        cost[inside] = distances
        # from above (+1) and diagonally (+2); then along the row, a sum that a running minimum gives
        best = np.minimum(before[:, 1:] + cost, before[:, :-1] + 2 * cost)
        along = np.where(np.isfinite(cost), cost, 0.0).cumsum(1)
        row = np.minimum.accumulate(best - along, axis=1) + along
        before = np.concatenate([np.full((count, 1), np.inf), row], axis=1)
    ends = before[np.arange(count), lengths.numpy()]
    return np.asarray(ends / (len(features) + lengths.numpy()))
