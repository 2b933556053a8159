"""What the lens sees of a translator: encoder and decoder, as they translate a sentence."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.batches import pad
from elman.lens.view import View
from elman.tasks.translate.codec import END, Codec, Source
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.search import Translation

START, END_LABEL = "(start)", "(end)"  # of one token, which ends a sentence and precedes the first
ATTENTION: Final = (
    "The attention of each part of the translation (rows) to the parts of the source (columns)."
)
SHOWN: Final = str.maketrans({" ": "·"})


def view(
    network: EncoderDecoder, codec: Codec, texts: Sequence[str], best: Sequence[Translation], parts: bool
) -> View:
    """Return the view of texts that the network translates at once; `parts` of longer ones, if so."""
    sources = [codec.encode_source(text) for text in texts]
    targets = [[*one.ids, END] for one in best]
    (source, lengths), (target, steps) = pad([one.ids for one in sources]), pad(targets)
    before = torch.cat([torch.full_like(target[:1], END), target[:-1]])
    never = _never(codec, sources)
    pieces = [codec.source_pieces(text, one.slots) for text, one in zip(texts, sources, strict=True)]
    return View(
        module=network,
        input=(source, lengths, before),
        score=_score(network, target, torch.arange(len(target))[:, None] < steps, never),
        last=_score(network, target, torch.arange(len(target))[:, None] == steps - 1, never),
        scored="log-probability of the translation",
        answers=tuple(one.text for one in best),
        labels={
            "encoder": tuple((*map(_shown, one[:-1]), END_LABEL) for one in pieces),
            "": tuple((START, *map(_shown, one.target)) for one in best),
        },
        unit="tokens",
        extras=(("attention", "Where did it look?", ATTENTION, lambda number: _attention(best[number])),),
        notes=("only the first part of a text that is translated in parts is shown",) if parts else (),
    )


def _attention(one: Translation) -> Any:
    from elman.lens.plot import attention

    return attention(one.source, one.target, lambda: one.attention.numpy())


def _never(codec: Codec, sources: Sequence[Source]) -> Tensor:
    """Return which tokens (B, V) the translation of each source can't hold: slots without a word."""
    size = codec.sizes[1]
    filled = torch.tensor([len(codec.target) + len(one.slots) for one in sources])
    return torch.arange(size) >= filled[:, None]


def _score(
    network: EncoderDecoder, target: Tensor, counted: Tensor, never: Tensor
) -> Callable[[Tensor], Tensor]:
    def score(features: Tensor) -> Tensor:
        """Return the log-probabilities of those tokens of the translations that are counted, (B,)."""
        log_probs = network.logits(features).masked_fill(never, -torch.inf).log_softmax(-1)
        return log_probs.gather(2, target[..., None]).squeeze(2).masked_fill(~counted, 0).sum(0)

    return score


def _shown(piece: str) -> str:
    return piece.translate(SHOWN)
