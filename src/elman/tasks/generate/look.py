"""What the lens sees of a language model: the network, as it reads texts and predicts what follows."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.text.vocabulary import AnyVocabulary
from elman.lens.view import View
from elman.tasks.generate.network import LanguageNet

CONTEXT: Final = 32  # tokens that are shuffled, before one that is predicted
MAX_SCORED, BATCH = 1000, 100
MAX_STEPS: Final = 512  # the last of each text
SHOWN: Final = str.maketrans({" ": "·", "\n": "⏎", "\t": "⇥"})
DOCUMENT: Final = "(start)"  # the end of a document, which precedes the first token


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


def order_scores(
    network: LanguageNet, ids: Sequence[int]
) -> tuple[Callable[[list[list[int]]], tuple[float, None]], list[list[int]]]:
    """Return what scores shuffled contexts, and contexts of a text: the mean log-probability of the token
    after each."""
    starts = range(0, len(ids) - CONTEXT, CONTEXT)[:MAX_SCORED]
    contexts = [list(ids[start : start + CONTEXT]) for start in starts]
    following = torch.tensor([ids[start + CONTEXT] for start in starts])

    def score(each: list[list[int]]) -> tuple[float, None]:
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(each), BATCH):
                batch = torch.tensor(each[start : start + BATCH]).T
                log_probs = network.log_probs(network(batch)[0][-1])
                total += float(log_probs.gather(1, following[start : start + BATCH, None]).sum())
        return total / max(len(each), 1), None

    return score, contexts
