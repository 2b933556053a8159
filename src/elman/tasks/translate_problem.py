"""Pairs of sentences as the problem that the network solves."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import length_batches, pad
from elman.tasks.translate_net import EncoderDecoder
from elman.tasks.translate_text import END, Codec, Ids
from elman.training import Plan, device_of, share

LONGEST: Final = 100  # tokens of a sentence; longer ones are left out of the training
FAR: Final = 400  # tokens of a sentence; longer ones have no perplexity
TOGETHER: Final = 8192  # tokens of both sides that are scored at once, padding included


class Pair(NamedTuple):
    """A sentence and its translation as ids, END last."""

    source: Ids
    target: Ids


def encoded(codec: Codec, source: Sequence[str], target: Sequence[str]) -> list[Pair]:
    """Pairs as ids."""
    pairs = []
    for text, translation in zip(source, target, strict=True):
        read = codec.read(text)
        pairs.append(Pair(read.ids, codec.wanted(translation, read.slots)))
    return pairs


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
