"""The loss and validation of a translator, and the pairs that it trains on and is scored on."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.batches import HELD_OUT_SHARE, length_batches, normalize, pad, split_groups
from elman.data.text.pairs import Pairs
from elman.errors import DataError, counted
from elman.tasks import evaluation
from elman.tasks.translate.codec import END, Codec, Ids
from elman.tasks.translate.network import EncoderDecoder
from elman.training.plan import Plan
from elman.training.problem import device_of, share, unwrapped

MAX_HELD_OUT_PAIRS: Final = 2000
MIN_PAIRS: Final = 2  # one to learn from and one to score
MAX_TRAIN_TOKENS: Final = 100  # of a sentence; pairs with longer ones are not trained on
MAX_TRAIN_CHARACTERS: Final = 32 * MAX_TRAIN_TOKENS  # longer ones are hardly of fewer tokens
MAX_SCORED_TOKENS: Final = 400  # of a sentence; attention over longer ones would need too much memory
MAX_BATCH_TOKENS: Final = 8192  # of both sides, scored at once, padding included


class EncodedPair(NamedTuple):
    """A sentence and its translation as ids, END last."""

    source: Ids
    target: Ids


def encode_pairs(codec: Codec, pairs: Pairs) -> list[EncodedPair]:
    sources = [codec.encode_source(text) for text in pairs.source]
    return [
        EncodedPair(source.ids, codec.encode_target(translation, source.slots))
        for source, translation in zip(sources, pairs.target, strict=True)
    ]


def split_pairs(pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """Return pairs to train on and to hold out; a sentence with several translations stays on one side.
    Raises DataError for too few pairs."""
    if len(pairs) < MIN_PAIRS:
        raise DataError(
            f"{pairs.name} holds {counted(len(pairs), 'pair')}; a translator needs at least {MIN_PAIRS}."
        )
    part = min(HELD_OUT_SHARE, MAX_HELD_OUT_PAIRS / len(pairs))
    train, held_out = split_groups([normalize(text) for text in pairs.source], part, seed, name=pairs.name)
    return pairs.take(train), pairs.take(held_out)


def without_long_texts(pairs: Pairs) -> Pairs:
    """Return the pairs that are worth encoding: of at most MAX_TRAIN_CHARACTERS a side."""
    sides = enumerate(zip(pairs.source, pairs.target, strict=True))
    return pairs.take([i for i, texts in sides if max(map(len, texts)) <= MAX_TRAIN_CHARACTERS])


def trainable(pairs: list[EncodedPair], name: str) -> list[EncodedPair]:
    """Return the pairs of at most MAX_TRAIN_TOKENS a side. Raises DataError if there is none; `name` is what
    the message calls the data."""
    short = at_most(pairs, MAX_TRAIN_TOKENS)
    if not short:
        raise DataError(
            f"{name}: all pairs are of more than {MAX_TRAIN_TOKENS} tokens: cut the texts into sentences."
        )
    return short


def at_most(pairs: list[EncodedPair], tokens: int) -> list[EncodedPair]:
    """Return the pairs of at most `tokens` tokens a side."""
    return [pair for pair in pairs if max(len(pair.source), len(pair.target)) <= tokens]


def evenly_spaced(pairs: Pairs, count: int) -> Pairs:
    """Return at most `count` pairs, evenly spaced over all."""
    return pairs if len(pairs) <= count else pairs.take([k * len(pairs) // count for k in range(count)])


@dataclass
class TranslationProblem:
    """Cross entropy of the target tokens; the model with the best chrF of its own translations wins."""

    train: list[EncodedPair]
    held_out: list[EncodedPair]
    label_smoothing: float  # probability spread over all tokens: Szegedy et al., arXiv:1512.00567
    plan: Plan
    chrf: Callable[[EncoderDecoder], float]  # scores the network's translations of held-out sentences
    score: str = "chrf"
    maximize: bool = True

    def batches(self, epoch: int, rank: int, world: int) -> list[list[int]]:
        lengths = [len(pair.source) + len(pair.target) for pair in self.train]
        batches = length_batches(lengths, self.plan.batch_size, seed=self.plan.seed, epoch=epoch)
        return share([batch for batch in batches if len(batch) >= world], rank, world)

    def loss(self, model: nn.Module, batch: list[int], state: Any) -> tuple[Tensor, float, None]:
        """Return the sum over the batch's target tokens, and their number."""
        logits, target = teacher_forced_logits(model, [self.train[i] for i in batch])
        total = F.cross_entropy(logits, target, reduction="sum", label_smoothing=self.label_smoothing)
        return total, float(len(target)), None

    def validate(self, model: nn.Module) -> dict[str, float]:
        chrf = self.chrf(unwrapped(model, EncoderDecoder))
        return {"nats": nats_per_token(model, self.held_out), "chrf": chrf}


def teacher_forced_logits(model: nn.Module, pairs: Sequence[EncodedPair]) -> tuple[Tensor, Tensor]:
    """Return logits (N, V) of all target tokens, each from the source and the target tokens before it, and
    the tokens (N,)."""
    device, network = device_of(model), unwrapped(model, EncoderDecoder)
    source, source_lengths = pad([pair.source for pair in pairs])
    target, target_lengths = pad([pair.target for pair in pairs])
    previous = F.pad(target[:-1], (0, 0, 1, 0), value=END)
    inside = (torch.arange(len(target))[:, None] < target_lengths).to(device)
    # Fabric's wrapper returns float32 for weights of any precision
    features = model(source.to(device), source_lengths.to(device), previous.to(device))[inside]
    logits = network.logits(features.to(network.target.weight.dtype))
    return logits.float(), target.to(device)[inside]


@torch.no_grad()
def nats_per_token(model: nn.Module, pairs: Sequence[EncodedPair]) -> float:
    """Return the mean cross entropy of the target tokens; NaN without pairs."""
    total, count = 0.0, 0
    lengths = [len(pair.source) + len(pair.target) for pair in pairs]
    batch = max(1, MAX_BATCH_TOKENS // max(lengths, default=1))
    order = sorted(range(len(pairs)), key=lengths.__getitem__)
    for start in range(0, len(order), batch):
        logits, target = teacher_forced_logits(model, [pairs[i] for i in order[start : start + batch]])
        total += float(F.cross_entropy(logits, target, reduction="sum"))
        count += len(target)
    return total / count if count else math.nan


def perplexity(model: nn.Module, pairs: Sequence[EncodedPair]) -> float | None:
    """Return the perplexity per target token; None without pairs."""
    return evaluation.perplexity(nats_per_token(model, pairs)) if pairs else None
