"""Pairs to train on and to hold out; losses against cross entropy token by token."""

import math
from array import array
from functools import partial

import pytest
import torch

from elman.data.text.pairs import Pairs
from elman.errors import DataError
from elman.tasks.translate.codec import Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.problem import (
    MAX_SCORED_TOKENS,
    MAX_TRAIN_CHARACTERS,
    MAX_TRAIN_TOKENS,
    EncodedPair,
    TranslationProblem,
    at_most,
    encode_pairs,
    evenly_spaced,
    nats_per_token,
    perplexity,
    split_pairs,
    teacher_forced_logits,
    trainable,
    without_long_texts,
)
from elman.tasks.translate.settings import Settings
from elman.training.plan import Plan


def pairs_of(source: list[str], target: list[str]) -> Pairs:
    return Pairs(source, target, "x", "y", None)


def encoded(source_length: int, target_length: int) -> EncodedPair:
    return EncodedPair(*(array("i", [*range(2, n + 1), 0]) for n in (source_length, target_length)))


def network() -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(Settings(hidden=4, embedding=4), 12, 12).eval()


def test_split_keeps_a_source_on_one_side() -> None:
    source = [f"Satz {i // 3}" for i in range(300)]
    train, held_out = split_pairs(pairs_of(source, [str(i) for i in range(300)]), 0)
    assert not set(train.source) & set(held_out.source)
    assert len(train) + len(held_out) == 300 and len(held_out) == pytest.approx(30, abs=6)
    with pytest.raises(DataError, match="all hold the same"):
        split_pairs(pairs_of(["a", "a", "a"], ["x", "x", "x"]), 0)


def test_long_pairs() -> None:
    long = "a" * (MAX_TRAIN_CHARACTERS + 1)
    pairs = pairs_of(["a", long, "c", long[1:]], ["x", "y", long, "z"])
    assert without_long_texts(pairs).target == ["x", "z"]
    scorable = partial(at_most, tokens=MAX_SCORED_TOKENS)
    for limit, kept in ((MAX_TRAIN_TOKENS, lambda p: trainable(p, "x")), (MAX_SCORED_TOKENS, scorable)):
        short = [encoded(limit, 1), encoded(1, limit)]
        assert kept([encoded(limit + 1, 1), *short, encoded(1, limit + 1)]) == short
    with pytest.raises(DataError, match="all pairs are of more than"):
        trainable([encoded(MAX_TRAIN_TOKENS + 1, 1)], "x")


def test_evenly_spaced_pairs() -> None:
    pairs = pairs_of([str(i) for i in range(10)], ["x"] * 10)
    assert evenly_spaced(pairs, 4).source == ["0", "2", "5", "7"]
    assert evenly_spaced(pairs, 10) is pairs


def test_slots_are_the_same_on_both_sides() -> None:
    codec = Codec.fit(["ein Haus"] * 5, ["a house"] * 5, 300, shared=False)
    (pair,) = encode_pairs(codec, pairs_of(["Haus 4711"], ["house 4711"]))
    assert len(codec.source) in pair.source and len(codec.target) in pair.target


def test_loss_is_the_cross_entropy_of_every_target_token() -> None:
    net, pairs = network(), [encoded(3, 5), encoded(6, 2), encoded(1, 1)]
    problem = TranslationProblem(pairs, pairs, 0.0, Plan(), lambda network: 7.0)
    total, count, state = problem.loss(net, [0, 1, 2], None)
    by_hand = 0.0
    for pair in pairs:
        source, lengths = torch.tensor(pair.source)[:, None], torch.tensor([len(pair.source)])
        features = net(source, lengths, torch.tensor([0, *pair.target[:-1]])[:, None])
        log_probs = net.logits(features)[:, 0].log_softmax(1).detach()
        by_hand -= sum(float(row[token]) for row, token in zip(log_probs, pair.target, strict=True))
    assert (count, state) == (8, None) and total.item() == pytest.approx(by_hand, rel=1e-5)
    assert nats_per_token(net, pairs) == pytest.approx(by_hand / 8, rel=1e-5)
    assert perplexity(net, pairs) == pytest.approx(math.exp(by_hand / 8), rel=1e-5)
    assert problem.validate(net) == {"nats": nats_per_token(net, pairs), "chrf": 7.0}
    logits, target = teacher_forced_logits(net, pairs)
    assert logits.shape == (8, 12) and sorted(target.tolist()) == sorted(i for p in pairs for i in p.target)


def test_label_smoothing_raises_the_loss_of_a_certain_network() -> None:
    net, pairs = network(), [encoded(3, 5)]
    with torch.no_grad():
        net.bias[0] = 50
    certain = [EncodedPair(pairs[0].source, array("i", [0]))]
    losses = [
        TranslationProblem(certain, certain, smoothing, Plan(), lambda network: 0.0).loss(net, [0], None)[0]
        for smoothing in (0.0, 0.1)
    ]
    assert losses[0] < 1e-3 < losses[1]


def test_without_pairs_there_is_no_perplexity() -> None:
    assert math.isnan(nats_per_token(network(), [])) and perplexity(network(), []) is None


def test_batches_hold_every_pair_once() -> None:
    pairs = [encoded(1 + i % 5, 2) for i in range(21)]
    problem = TranslationProblem(pairs, pairs, 0.0, Plan(batch_size=4), lambda network: 0.0)
    rows = [row for rank in (0, 1) for batch in problem.batches(0, rank, 2) for row in batch]
    assert len(set(rows)) == len(rows) >= 20
