"""What the lens sees of a classifier: its first network, as it reads texts."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.batches import pad
from elman.data.text.tokenizers import Tokenizer
from elman.lens.view import View
from elman.tasks.classify.baseline import BagOfWords
from elman.tasks.classify.blend import Blend
from elman.tasks.classify.examples import Examples, encode
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.network import CHUNK_STEPS, Ensemble
from elman.tasks.classify.problem import class_log_probabilities

START: Final = "(start)"  # the token before the first word
MAX_SCORED: Final = 1000  # texts that are shuffled
MAX_STEPS: Final = CHUNK_STEPS  # read in one pass


def view(
    network: Ensemble,
    blend: Blend | None,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    rows: Sequence[int],
    answers: Sequence[str],
) -> View:
    """Return the view of texts, to which the model answers `answers`, the classes `rows`."""
    member = network.members[0]
    ids, lengths = pad([encode(tokenizer, text)[:MAX_STEPS] for text in texts])
    labels = tuple((START, *tokenizer.tokens(text)[: MAX_STEPS - 1]) for text in texts)
    return View(
        module=member,
        input=(ids, lengths),
        score=_score(torch.tensor(rows)),
        scored="the network's log-odds of the answer",
        answers=tuple(answers),
        labels={"": labels},
        unit="words",
        notes=_notes(network, blend, labels),
        cut=lambda steps: (ids[:steps], lengths.clamp(max=steps)),
    )


def _score(rows: Tensor) -> Callable[[Any], Tensor]:
    def score(logits: Tensor) -> Tensor:
        """Return the log-odds of the answers (B,), of logits (B, K) or (B, K, 2)."""
        if logits.dim() == 3:  # no and yes to each label
            log_odds: Tensor = logits[..., 1] - logits[..., 0]
            return log_odds.gather(1, rows[:, None]).squeeze(1)
        chosen = logits.gather(1, rows[:, None])
        others = logits.scatter(1, rows[:, None], -torch.inf).logsumexp(1)
        return chosen.squeeze(1) - others

    return score


def _notes(network: Ensemble, blend: Blend | None, labels: Sequence[Sequence[str]]) -> tuple[str, ...]:
    notes = list[str]()
    if (count := len(network.members)) > 1:
        notes.append(f"this is the first of {count} networks whose probabilities are averaged")
    if blend is not None and not blend.network:
        notes.append(
            "the network has no part in the answer, which is a linear model's; this shows the network"
        )
    elif blend is not None:
        weights = f"{blend.network:.2f} times the network's and {blend.linear:.2f} times a linear model's"
        notes.append(f"the answer's log-probabilities are {weights}; this shows the network")
    if any(len(one) == MAX_STEPS for one in labels):
        notes.append(f"only the first {MAX_STEPS - 1} words of each text are shown")
    return tuple(notes)


def order_scores(
    network: Ensemble, baseline: LinearModel | BagOfWords, tokenizer: Tokenizer, examples: Examples
) -> tuple[Callable[[list[list[str]]], tuple[float, float]], list[list[str]]]:
    """Return what scores shuffled texts, and the words of the texts: the accuracy of the network and that of
    the baseline."""
    labels = examples.labels[:MAX_SCORED]

    def score(texts: list[list[str]]) -> tuple[float, float]:
        joined = [" ".join(words) for words in texts]
        ids = [encode(tokenizer, text) for text in joined]
        plain = (
            class_log_probabilities(baseline, ids)
            if isinstance(baseline, BagOfWords)
            else baseline.log_probabilities(joined)
        )
        each = class_log_probabilities(network, ids), plain
        recurrent, linear = (float((one.argmax(-1) == labels).double().mean()) for one in each)
        return recurrent, linear

    return score, [text.split() for text in examples.texts[:MAX_SCORED]]
