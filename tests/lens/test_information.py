"""Mutual information agrees with closed forms, and nothing is seen where there is nothing."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import UsageError
from elman.lens import dependency
from elman.lens.information import mutual_information


def entropy(p: float) -> float:
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def test_of_a_markov_chain() -> None:
    """Two states that change with probability 0.1: after k steps they agree with (1 + 0.8^k) / 2."""
    rng = np.random.default_rng(1)
    chains = [(rng.random(10_000) < 0.1).cumsum() % 2 for _ in range(10)]
    seen = dependency(chains, [1, 2, 4, 8, 200])
    for lag, bits in zip(seen.lags[:4], seen.information[:4], strict=True):
        assert bits == pytest.approx(1 - entropy((1 + 0.8**lag) / 2), rel=0.05, abs=3e-3)
    assert seen.length == 8 and not seen.is_longer and abs(seen.information[4]) < 1e-3


@pytest.mark.parametrize("kind", ["words", "numbers"])
def test_a_lag_of_7(kind: str) -> None:
    """A symbol holds a draw and the one 7 steps before: 2 bits at lag 7, and none anywhere else."""
    rng, sequences = np.random.default_rng(0), list[Any]()
    for _ in range(20):
        draws = rng.integers(0, 4, 207)
        symbols = 4 * draws[7:] + draws[:-7]
        sequences.append([f"w{k}" for k in symbols] if kind == "words" else symbols + rng.random(200))
    seen = dependency(sequences, unit="words")
    assert seen.length == 7 and not seen.is_longer and len(seen.lags) == 128
    others = [bits for lag, bits in zip(seen.lags, seen.information, strict=True) if lag != 7]
    assert max(map(abs, others)) < 0.06 < 1.0 < seen.information[6] < 2.2
    assert str(seen) == "The data depend on what was 7 words before, by mutual information at lags to 128."
    assert seen.to_dict()["length"] == 7


@pytest.mark.parametrize("seed", range(4))
def test_none_is_seen_in_noise(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = dependency([rng.integers(0, 50, 200) for _ in range(30)], seed=seed)
    assert seen.length == 0 and str(seen).startswith("No steps depend")


def test_slow_changes_are_not_seen_far_apart() -> None:
    rng = np.random.default_rng(0)
    x = np.zeros(4_000)
    for t, e in enumerate(rng.normal(size=3_999), 1):
        x[t] = 0.9 * x[t - 1] + e
    assert 8 < dependency([x]).length < 40


def test_a_season_is_seen_at_all_lags() -> None:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(300) * 2 * np.pi / 12) + 0.3 * rng.normal(size=300)
    x[40:60] = np.nan
    seen = dependency([torch.tensor(x)], range(1, 61), unit="months")
    assert seen.is_longer and "at least 60 months before" in str(seen)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_information_of_pairs(pairs: list[tuple[int, int]]) -> None:
    first, second = np.array(pairs).T
    bits = mutual_information(first, second, 4)
    assert -1e-12 <= bits <= 2 and bits == pytest.approx(mutual_information(second, first, 4))
    assert mutual_information(first, first, 4) >= bits - 1e-12


def test_it_is_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    seen = dependency([(rng.random(600) < 0.1).cumsum() % 2])
    seen.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000 and "<svg" in seen._repr_html_()


@pytest.mark.parametrize(
    ("sequences", "lags", "message"),
    [
        ("a text", None, "not a text: split it"),
        (["a text"], None, "not a text: split it"),
        ([], None, "there are no sequences"),
        ([[1]], None, "there are no sequences"),
        ([1, 2, 3], None, r"\(T,\), not int"),
        ([np.zeros((3, 2))], None, r"\(T,\), not \(3, 2\)"),
        ([[1, 2, 3]], None, "too short: there are not 20 pairs"),
        ([[1, 2] * 50], [0], "from 1, not"),
        ([[1, 2] * 50], [1.5], "from 1, not"),
        ([[math.nan] * 50], None, "there are no sequences"),
    ],
)
def test_wrong_arguments(sequences: Any, lags: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        dependency(sequences, lags)


def test_lags_without_pairs_are_left_out() -> None:
    found = dependency([[1.0, float("nan")] * 50])
    assert found.lags and all(lag % 2 == 0 for lag in found.lags)
    with pytest.raises(UsageError, match="too many steps are missing"):
        dependency([[1.0, *[float("nan")] * 60, 2.0]])


@pytest.mark.parametrize("steps", [[1.0, "a"] * 40, [[1], [2]] * 40])
def test_steps_of_no_one_kind(steps: list[object]) -> None:
    with pytest.raises(UsageError, match="all of one kind"):
        dependency([steps])


@pytest.mark.parametrize(("sequences", "lags"), [(None, None), (5, None), ([[1, 2] * 40], 5.5)])
def test_what_is_no_list(sequences: object, lags: object) -> None:
    with pytest.raises(UsageError, match="must be"):
        dependency(sequences, lags)  # type: ignore[arg-type]
