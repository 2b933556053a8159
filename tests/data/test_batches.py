"""Batches, padding and splits: nothing lost, nothing doubled, nothing leaked."""

import itertools
import random
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from elman.data.batches import length_batches, pad, split_groups
from elman.errors import DataError, UsageError

LENGTHS = st.lists(st.integers(0, 300), max_size=80)


@given(LENGTHS, st.integers(1, 20), st.integers(0, 3), st.integers(0, 3))
def test_every_index_is_in_one_batch(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    batches = length_batches(lengths, size, seed=seed, epoch=epoch)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    sizes = [len(batch) for batch in batches]
    assert sorted(sizes, reverse=True)[: len(lengths) // size] == [size] * (len(lengths) // size)
    assert len(batches) == -(-len(lengths) // size)
    assert batches == length_batches(lengths, size, seed=seed, epoch=epoch)


def test_lengths_in_a_batch_are_similar_and_the_order_is_mixed() -> None:
    lengths = [random.Random(i).randint(1, 500) for i in range(2000)]
    batches = length_batches(lengths, 32, seed=0, epoch=0)
    padded = sum(len(b) * max(lengths[i] for i in b) for b in batches)
    assert sum(lengths) / padded > 0.85
    longest = [max(lengths[i] for i in b) for b in batches]
    ups = sum(a < b for a, b in itertools.pairwise(longest))
    assert 0.3 < ups / len(longest) < 0.7


@pytest.mark.parametrize(
    "lengths", [[7] * 100, [0] * 100, list(range(100))], ids=["equal", "empty", "rising"]
)
def test_epochs_and_seeds_differ_in_order_and_company(lengths: list[int]) -> None:
    first = length_batches(lengths, 10, seed=0, epoch=0)
    for other in (length_batches(lengths, 10, seed=0, epoch=1), length_batches(lengths, 10, seed=1, epoch=0)):
        assert {frozenset(b) for b in first} != {frozenset(b) for b in other}


def test_batch_size_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="batch size is 0"):
        length_batches([1], 0, seed=0, epoch=0)


@given(st.lists(st.lists(st.integers(1, 9), max_size=12), min_size=1, max_size=8))
def test_pad_is_time_major_with_zeros_behind(sequences: list[list[int]]) -> None:
    ids, lengths = pad(sequences)
    assert ids.dtype == lengths.dtype == torch.int64
    assert ids.shape == (max(map(len, sequences)), len(sequences))
    assert ids.is_contiguous()
    assert lengths.tolist() == [len(s) for s in sequences]
    for column, sequence in zip(ids.T.tolist(), sequences, strict=True):
        assert column == sequence + [0] * (len(column) - len(sequence))


def test_pad_needs_a_sequence() -> None:
    with pytest.raises(UsageError, match="no sequences"):
        pad([])


KEYS = st.lists(
    st.text(max_size=2) | st.integers(0, 9) | st.tuples(st.integers(0, 3)), min_size=2, max_size=60
)
SHARES = st.floats(0.01, 0.99)


@given(KEYS.filter(lambda keys: len(set(keys)) > 1), SHARES, st.integers(0, 3), st.data())
def test_no_key_on_both_sides_and_neither_side_empty(
    keys: list[object], share: float, seed: int, data: st.DataObject
) -> None:
    labels = data.draw(st.none() | st.lists(st.sampled_from("abc"), min_size=len(keys), max_size=len(keys)))
    train, held = split_groups(keys, share, seed, labels)  # type: ignore[arg-type]
    assert train
    assert held
    assert sorted(train + held) == list(range(len(keys)))
    assert train == sorted(train)
    assert held == sorted(held)
    assert not {keys[i] for i in train} & {keys[i] for i in held}


@given(KEYS.filter(lambda keys: len(set(keys)) > 1), SHARES, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(keys: list[object], share: float, random: random.Random) -> None:
    labels = [len(str(key)) for key in keys]
    order = list(range(len(keys)))
    random.shuffle(order)
    mixed = split_groups([keys[i] for i in order], share, 0, [labels[i] for i in order])  # type: ignore[misc]
    straight = split_groups(keys, share, 0, labels)  # type: ignore[arg-type]
    assert {keys[i] for i in straight[1]} == {keys[order[i]] for i in mixed[1]}


@given(SHARES, st.integers(0, 5))
def test_the_share_is_kept_overall_and_for_each_label(share: float, seed: int) -> None:
    keys = [f"text {i % 900}" for i in range(1000)]  # every ninth occurs twice
    labels = ["rare" if (i % 900) % 10 == 0 else "common" for i in range(1000)]
    _, held = split_groups(keys, share, seed, labels)
    assert abs(len(held) / 1000 - share) < 0.01
    for label, count in Counter(labels).items():
        assert abs(sum(labels[i] == label for i in held) / count - share) < 0.03


@given(st.integers(2, 200), SHARES)
def test_single_rows_keep_the_share_to_the_nearest_row(count: int, share: float) -> None:
    _, held = split_groups(range(count), share, 0)
    assert abs(len(held) - min(max(share * count, 1), count - 1)) <= 0.5 + 1e-9


def test_many_small_labels_still_sum_to_the_share() -> None:
    labels = [i // 3 for i in range(300)]
    train, held = split_groups(range(300), 0.1, 0, labels)
    assert len(held) == 30
    assert {labels[i] for i in train} == set(labels)


LABELLED = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=2, max_size=60)


@given(LABELLED.filter(lambda rows: len({key for key, _ in rows}) > 1), st.integers(0, 3))
def test_both_sides_have_the_labels_where_the_keys_allow_it(rows: list[tuple[int, int]], seed: int) -> None:
    keys, labels = [key for key, _ in rows], [label for _, label in rows]
    train, held = split_groups(keys, 0.1, seed, labels)
    trained, held_out = ({labels[i] for i in part} for part in (train, held))
    assert trained == set(labels) or len({keys[i] for i in held}) == 1
    for label in set(labels):
        own = {key for key, other in rows if other == label}
        shared = {key for key, other in rows if other != label}
        if len(own) > 1 and not own & shared and labels.count(label) >= 10:
            assert label in held_out


def test_few_different_keys_are_held_out_of_every_label() -> None:
    keys = [f"text {i % 12}" for i in range(600)]
    labels = [i % 12 < 6 for i in range(600)]
    for seed in range(5):
        train, held = split_groups(keys, 0.1, seed, labels)
        assert {labels[i] for i in train} == {labels[i] for i in held} == {True, False}
        assert not {keys[i] for i in train} & {keys[i] for i in held}


def test_a_label_of_keys_with_commoner_labels_stays_in_training() -> None:
    keys = ["a", "a", "a", "b", "c", "d"] * 5
    labels = ["x", "x", "rare", "x", "x", "x"] * 5
    for seed in range(5):
        train, _ = split_groups(keys, 0.3, seed, labels)
        assert {labels[i] for i in train} == {"x", "rare"}


def test_a_group_larger_than_the_share_stays_together() -> None:
    keys = ["same"] * 98 + ["one", "other"]
    train, held = split_groups(keys, 0.1, 0)
    assert set(range(98)) <= set(train)
    assert held


def test_another_seed_gives_another_split() -> None:
    assert split_groups(range(100), 0.2, 0) != split_groups(range(100), 0.2, 1)


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(UsageError, match=r"share is 1\.0; it must lie between 0 and 1"):
        split_groups(["a", "b"], 1.0, 0)
    with pytest.raises(UsageError, match="stratify holds 1 labels for 2 keys"):
        split_groups(["a", "b"], 0.5, 0, ["x"])
    with pytest.raises(DataError, match=r"pairs.tsv: its rows \(3\) all hold the same"):
        split_groups(["a"] * 3, 0.5, 0, name="pairs.tsv")
