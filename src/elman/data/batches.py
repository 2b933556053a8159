"""Which rows go together: batches of similar length, padding, and splits that never leak."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from elman.errors import DataError, UsageError

# Lengths are blurred by up to this share before sorting, so that epochs differ in who meets whom.
BLUR = 0.1


def length_batches(lengths: Sequence[int], size: int, *, seed: int, epoch: int) -> list[list[int]]:
    """Indices 0 … n-1 in batches of `size` (one may be smaller), similar lengths together, order shuffled.

    The same lengths, seed and epoch always give the same batches.

    Raises:
        UsageError: `size` is below 1.
    """
    if size < 1:
        raise UsageError(f"the batch size is {size}; it must be at least 1.")
    rng = np.random.default_rng([seed, epoch])
    blurred = np.asarray(lengths, dtype=np.float64) * rng.uniform(1 - BLUR, 1 + BLUR, len(lengths))
    mixed = rng.permutation(len(lengths))  # rows of length 0 stay equal under any blur
    order = mixed[np.argsort(blurred[mixed], kind="stable")].tolist()
    batches = [order[at : at + size] for at in range(0, len(order), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def pad(sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Ids (T, B) and lengths (B,), both int64; T is the longest length and 0 fills the rest.

    Raises:
        UsageError: there is no sequence.
    """
    if not sequences:
        raise UsageError("there are no sequences to pad; give at least one.")
    lengths = [len(s) for s in sequences]
    ids = np.zeros((len(sequences), max(lengths)), dtype=np.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(ids.T.copy()), torch.tensor(lengths)


def split_groups(
    keys: Sequence[Hashable], share: float, seed: int, stratify: Sequence[Hashable] | None = None
) -> tuple[list[int], list[int]]:
    """Rows to train on and rows to hold out, in ascending order; rows of equal key stay on one side.

    Which keys are held out depends on the keys and the seed alone, not on the order of the rows. About
    `share` of the rows are held out, and about `share` of those of each label in `stratify` (a key with
    several labels counts to its commonest). A label's last key is left to train on.

    Args:
        keys: (rows,) what must not be on both sides, such as the text; strings, numbers or tuples of them.
        share: wanted share of held-out rows, between 0 and 1.
        seed: another seed gives another split.
        stratify: (rows,) labels whose proportions should be alike on both sides.

    Raises:
        UsageError: `share` is not between 0 and 1, or `stratify` is not as long as `keys`.
        DataError: there are fewer than two different keys.
    """
    if not 0 < share < 1:
        raise UsageError(f"the held-out share is {share}; it must lie between 0 and 1, such as 0.1.")
    if stratify is not None and len(stratify) != len(keys):
        raise UsageError(
            f"there are {len(stratify)} labels to stratify by but {len(keys)} keys; give one per key."
        )
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        groups[key].append(row)
    if len(groups) < 2:
        raise DataError(
            f"nothing can be held out: the rows ({len(keys)}) do not differ; add at least one that does."
        )
    order = sorted(groups, key=lambda key: _hash(key, seed))
    labels = (
        {key: _commonest(stratify[row] for row in rows) for key, rows in groups.items()}
        if stratify is not None
        else {}
    )
    held = _choose(order, {key: len(rows) for key, rows in groups.items()}, labels, share)
    return (
        sorted(row for key, rows in groups.items() if key not in held for row in rows),
        sorted(row for key, rows in groups.items() if key in held for row in rows),
    )


def normal(text: str) -> str:
    """What makes two texts the same: their words, whatever their case and spacing."""
    return " ".join(text.lower().split())


def marks(texts: Sequence[str]) -> list[int]:
    """A number for each text, the same for the same text: an artifact keeps it in place of the text."""
    digests = (hashlib.blake2b(normal(text).encode(errors="surrogatepass"), digest_size=8) for text in texts)
    return [int.from_bytes(digest.digest(), "little", signed=True) for digest in digests]


def _choose(
    order: Sequence[Hashable], sizes: dict[Hashable, int], labels: dict[Hashable, Hashable], share: float
) -> set[Hashable]:
    """The keys to hold out. What rounding takes from one label goes to the next: the sum keeps to `share`."""
    strata: dict[Hashable, list[Hashable]] = defaultdict(list)
    for key in order:
        strata[labels.get(key)].append(key)
    held: set[Hashable] = set()
    wanted = 0.0
    for label in sorted(strata, key=str):
        wanted += share * sum(sizes[key] for key in strata[label])
        for key in strata[label][:-1]:
            if sizes[key] <= 2 * wanted:  # taking it comes closer than leaving it
                held.add(key)
                wanted -= sizes[key]
    return held or {min(order, key=lambda key: sizes[key])}


def _commonest(labels: Iterable[Hashable]) -> Hashable:
    counts = Counter(labels)
    return min(counts, key=lambda label: (-counts[label], str(label)))


def _hash(key: Hashable, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{key}".encode(errors="surrogatepass"), digest_size=16).digest()
