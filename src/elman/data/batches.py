"""Batches of similar length, padding, and train/held-out splits that share no text."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError, UsageError

HELD_OUT_SHARE = 0.1  # of the data, for validation, where no validation data are given
LENGTH_JITTER = 0.1  # largest relative change of a length before sorting, so that batches differ by epoch


def length_batches(lengths: Sequence[int], size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Return indices 0 … n-1 in shuffled batches of `size` (one may be smaller) and of similar lengths.

    The same lengths, seed and epoch always give the same batches.

    Raises:
        UsageError: `size` is below 1.
    """
    if size < 1:
        raise UsageError(f"the batch size is {size}; it must be at least 1.")
    rng = np.random.default_rng([seed, epoch])
    jitter = rng.uniform(1 - LENGTH_JITTER, 1 + LENGTH_JITTER, len(lengths))
    jittered = np.asarray(lengths, dtype=np.float64) * jitter
    shuffled = rng.permutation(len(lengths))  # jitter leaves lengths of 0 equal
    order = shuffled[np.argsort(jittered[shuffled], kind="stable")].tolist()
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return ids (T, B), padded with 0 to the longest length T, and lengths (B,), both int64.

    Raises:
        UsageError: `sequences` is empty.
    """
    if not sequences:
        raise UsageError("there are no sequences to pad; give at least one.")
    lengths = [len(s) for s in sequences]
    ids = np.zeros((len(sequences), max(lengths)), dtype=np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(ids.T.copy()), torch.tensor(lengths)


def split_groups(
    keys: Sequence[Hashable],
    share: float,
    seed: int,
    stratify: Sequence[Hashable] | None = None,
    name: str = "the data",
) -> tuple[list[int], list[int]]:
    """Return the training rows and the held-out rows, both ascending; rows of equal key stay together.

    The keys (rows,) are strings, numbers or tuples of them. Which are held out depends on the keys and the
    seed alone, not on the order of the rows. About `share` of all rows are held out, and about `share` of the
    rows of each label in `stratify` (rows,), where a key with several labels counts as its commonest. Every
    label stays in the training rows. Where its keys allow it, a label of which a row or more is due is among
    the held-out rows, and so are two labels at least, even if that makes them more than `share`. `name` is
    what a message calls the data.

    Raises:
        UsageError: `share` is not between 0 and 1, or `stratify` is not as long as `keys`.
        DataError: there are fewer than two different keys.
    """
    if not 0 < share < 1:
        raise UsageError(f"the held-out share is {share}; it must lie between 0 and 1, such as 0.1.")
    if stratify is not None and len(stratify) != len(keys):
        raise UsageError(f"stratify holds {len(stratify)} labels for {len(keys)} keys; give one per key.")
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        groups[key].append(row)
    if len(groups) < 2:
        raise DataError(
            f"{name}: its rows ({len(keys)}) all hold the same, so none can be held out; add other rows."
        )
    order = sorted(groups, key=lambda key: _hash(key, seed))
    sizes = {key: len(groups[key]) for key in order}
    if stratify is None:
        chosen = _choose(order, sizes, {}, share)
    else:
        labels = {key: Counter(stratify[row] for row in groups[key]) for key in order}
        chosen = _choose(order, sizes, {key: _commonest(labels[key]) for key in order}, share)
        _balance(chosen, sizes, labels, Counter(stratify), share)
    held_out = sorted(row for key in chosen for row in groups[key])
    return [row for row, key in enumerate(keys) if key not in chosen], held_out


def normalize(text: str) -> str:
    """Return `text` in lower case with single spaces, by which texts are compared."""
    return " ".join(text.lower().split())


def text_hashes(texts: Sequence[str]) -> list[int]:
    """Return a 64-bit hash of each normalized text, which an artifact can hold in place of the text."""
    encoded = (normalize(text).encode(errors="surrogatepass") for text in texts)
    digests = (hashlib.blake2b(content, digest_size=8).digest() for content in encoded)
    return [int.from_bytes(digest, "little", signed=True) for digest in digests]


def _choose(
    order: Sequence[Hashable], sizes: dict[Hashable, int], labels: dict[Hashable, Hashable], share: float
) -> set[Hashable]:
    """Return the keys to hold out; the rounding error of one label is carried to the next."""
    strata: dict[Hashable, list[Hashable]] = defaultdict(list)
    for key in order:
        strata[labels.get(key)].append(key)
    held_out: set[Hashable] = set()
    target = 0.0  # rows that are still to be held out
    for label in sorted(strata, key=str):
        target += share * sum(sizes[key] for key in strata[label])
        for key in strata[label][:-1]:
            if sizes[key] <= 2 * target:  # holding it out comes closer to the target than keeping it
                held_out.add(key)
                target -= sizes[key]
    return held_out or {min(order, key=lambda key: sizes[key])}


def _balance(
    chosen: set[Hashable],
    sizes: dict[Hashable, int],
    labels: dict[Hashable, Counter[Hashable]],
    rows: Counter[Hashable],
    share: float,
) -> None:
    """Take a key back for every label that training would lack, as one that is no key's commonest; add a key
    for every label that the held-out rows lack though a row of it is due, and until there are two labels."""
    left = Counter(label for key in sizes if key not in chosen for label in labels[key])
    for label in (label for label in rows if not left[label]):
        key = _smallest(sizes, (key for key in chosen if label in labels[key]))
        if key is not None:  # else one that was taken back has the label, too
            chosen.discard(key)
            left.update(labels[key].keys())
    present = {label for key in chosen for label in labels[key]}
    for label in sorted(rows.keys() - present, key=lambda label: (-rows[label], str(label))):
        if label not in present and (rows[label] * share >= 1 or len(present) < 2):
            spare = (k for k in sizes if label in labels[k] and all(left[other] > 1 for other in labels[k]))
            key = _smallest(sizes, spare)
            if key is not None:
                chosen.add(key)
                present |= labels[key].keys()
                left.subtract(labels[key].keys())
    if not chosen:  # every key is some label's only one
        chosen.update(list(sizes)[:1])


def _smallest(sizes: dict[Hashable, int], keys: Iterable[Hashable]) -> Hashable | None:
    """Return the key of fewest rows, the first in order of equals; None if there is none."""
    among = set(keys)
    return min((key for key in sizes if key in among), key=sizes.__getitem__, default=None)


def _commonest(counts: Counter[Hashable]) -> Hashable:
    return min(counts, key=lambda label: (-counts[label], str(label)))


def _hash(key: Hashable, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{key}".encode(errors="surrogatepass"), digest_size=16).digest()
