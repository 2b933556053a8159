"""Pairs of sentences as the problem that the network solves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import length_batches, normal, pad, split_groups
from elman.data.text.pairs import Pairs
from elman.errors import DataError
from elman.tasks.translate.codec import END, Codec, Ids
from elman.tasks.translate.network import EncoderDecoder
from elman.training.loop import Plan, device_of, share

HELD_OUT: Final = 0.1  # share of the pairs on which the best model is chosen,
MOST_HELD_OUT: Final = 2000  # but not many more pairs than this
FEWEST: Final = 10
LONGEST: Final = 100  # tokens of a sentence; longer ones are left out of the training
FAR: Final = 400  # tokens of a sentence; longer ones have no perplexity
TOGETHER: Final = 8192  # tokens of both sides that are scored at once, padding included


class Pair(NamedTuple):
    """A sentence and its translation as ids, END last."""

    source: Ids
    target: Ids


def encoded(codec: Codec, pairs: Pairs) -> list[Pair]:
    """Pairs as ids."""
    reads = [codec.read(text) for text in pairs.source]
    return [
        Pair(read.ids, codec.wanted(translation, read.slots))
        for read, translation in zip(reads, pairs.target, strict=True)
    ]


def divided(pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """Pairs to train on and to hold out: a source sentence with several translations stays on one side."""
    if len(pairs) < FEWEST:
        raise DataError(f"{pairs.name} holds {len(pairs)} pairs; a translator needs at least {FEWEST}.")
    part = min(HELD_OUT, MOST_HELD_OUT / len(pairs))
    train, held_out = split_groups([normal(text) for text in pairs.source], part, seed)
    return pairs.take(train), pairs.take(held_out)


def not_endless(pairs: Pairs) -> tuple[Pairs, int]:
    """Without the pairs that are too long whatever their tokens are, for a token is seldom so many letters;
    and how many these are."""
    most = 32 * LONGEST
    rows = [
        i
        for i, pair in enumerate(zip(pairs.source, pairs.target, strict=True))
        if max(map(len, pair)) <= most
    ]
    return pairs.take(rows), len(pairs) - len(rows)


def short_enough(pairs: list[Pair], name: str) -> tuple[list[Pair], int]:
    """The pairs short enough to train on, and how many were not; `name` is what messages call the data."""
    kept = [pair for pair in pairs if max(len(pair.source), len(pair.target)) <= LONGEST]
    if not kept:
        raise DataError(f"{name}: all pairs are of more than {LONGEST} tokens: cut the texts into sentences.")
    return kept, len(pairs) - len(kept)


def spread(pairs: Pairs, count: int) -> Pairs:
    """At most so many, evenly spread over all."""
    return pairs if len(pairs) <= count else pairs.take([k * len(pairs) // count for k in range(count)])


def finite(pairs: list[Pair]) -> list[Pair]:
    """Without those that attention would need too much memory for, all at once."""
    return [pair for pair in pairs if max(len(pair.source), len(pair.target)) <= FAR]


@dataclass
class Translation:
    """Cross entropy of the translation's tokens; the model whose translations score best wins.

    Attributes:
        smoothing: share of the probability that is spread over all tokens (Szegedy et al., arXiv:1512.00567).
        translations: gives the score of the network's own translations of held-out sentences.
    """

    train: list[Pair]
    held_out: list[Pair]
    smoothing: float
    plan: Plan
    translations: Callable[[EncoderDecoder], float]
    score: str = "chrf"
    maximize: bool = True

    def batches(self, epoch: int, rank: int, world: int) -> list[list[int]]:
        """Pairs; those of similar length stand together."""
        lengths = [len(pair.source) + len(pair.target) for pair in self.train]
        batches = length_batches(lengths, self.plan.batch_size, seed=self.plan.seed, epoch=epoch)
        return share([batch for batch in batches if len(batch) >= world], rank, world)

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, None]:
        """Sum over the batch's tokens, and their number."""
        logits, wanted = foretold(model, [self.train[i] for i in batch])
        total = F.cross_entropy(logits, wanted, reduction="sum", label_smoothing=self.smoothing)
        return total, float(len(wanted)), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Nats a token, and the score of translations, on the held-out pairs."""
        return {"nats": nats(model, self.held_out), "chrf": self.translations(network_of(model))}


def foretold(model: nn.Module, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Logits (N, V) of all tokens of the translations, and the tokens (N); each is foretold from the source
    and the tokens before it."""
    device = device_of(model)
    source, lengths = pad([pair.source for pair in pairs])
    target, ends = pad([pair.target for pair in pairs])
    before = F.pad(target[:-1], (0, 0, 1, 0), value=END)
    there = (torch.arange(len(target))[:, None] < ends).to(device)
    network = network_of(model)
    # Fabric's wrapper hands out float32, whatever the weights are
    features = model(source.to(device), lengths.to(device), before.to(device))[there]
    logits = network.logits(features.to(network.target.weight.dtype))
    return logits.float(), target.to(device)[there]


@torch.no_grad()
def nats(model: nn.Module, pairs: Sequence[Pair]) -> float:
    """Mean over all tokens of the translations; NaN if there is none."""
    total, count = 0.0, 0
    lengths = [len(pair.source) + len(pair.target) for pair in pairs]
    batch = max(1, TOGETHER // max(lengths, default=1))
    order = sorted(range(len(pairs)), key=lengths.__getitem__)
    for begin in range(0, len(order), batch):
        logits, wanted = foretold(model, [pairs[i] for i in order[begin : begin + batch]])
        total += float(F.cross_entropy(logits, wanted, reduction="sum"))
        count += len(wanted)
    return total / count if count else math.nan


def network_of(model: nn.Module) -> EncoderDecoder:
    """The network itself, where Fabric has wrapped it."""
    inner = getattr(model, "module", model)
    assert isinstance(inner, EncoderDecoder)
    return inner
