"""What the lens sees of a language model: the network, as it reads texts and predicts what follows."""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.text.vocabulary import AnyVocabulary
from elman.lens.view import View
from elman.tasks.generate.network import LanguageNet

MAX_STEPS: Final = 512  # the last of each text
SHOWN: Final = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})
DOCUMENT: Final = "▷"  # the end of a document, which precedes the first token


def view(
    network: LanguageNet, vocabulary: AnyVocabulary, texts: Sequence[str], likeliest: Sequence[str]
) -> View:
    """Return the view of texts, after which words follow likeliest, by `predict`.

    Sequences of a batch are equally long: of a longer text, its end.
    """
    ids = [torch.tensor([0, *vocabulary.encode(text).tolist()]) for text in texts]
    pieces = [[DOCUMENT, *(piece.translate(SHOWN) for piece in vocabulary.pieces(text))] for text in texts]
    steps = min(MAX_STEPS, *map(len, ids))
    batch = torch.stack([one[-steps:] for one in ids], 1)
    cut = any(len(one) > steps for one in ids)
    with torch.no_grad():
        next_ids = network.log_probs(network(batch)[0][-1]).argmax(-1)

    def score(result: Any) -> Tensor:
        """Return the log-probability of the likeliest next token of each text, (B,)."""
        features, _, _ = result
        log_probs: Tensor = network.log_probs(features[-1])
        return log_probs.gather(1, next_ids[:, None]).squeeze(1)

    return View(
        module=network,
        input=(batch,),
        score=score,
        scored="log-probability of the likeliest next token",
        answers=tuple(likeliest),
        labels={"": tuple(tuple(one[-steps:]) for one in pieces)},
        unit="characters" if vocabulary.kind == "character" else "tokens",
        notes=(f"only the last {steps} tokens of each text are shown",) if cut else (),
        cut=lambda count: (batch[:count],),
    )
