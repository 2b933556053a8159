"""Running moments against a loop over frames, and by pieces of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman.data.audio.normalise import MIN_DEVIATION, Normaliser, NormaliserStream, push_together


def frames(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) * 2 + 5


def by_loop(values: Tensor, normaliser: Normaliser) -> Tensor:
    rows, prior = [], normaliser.prior
    mean, deviation = normaliser.mean.double(), normaliser.deviation.double()
    for t in range(len(values)):
        seen = values[max(t + 1 - normaliser.window, 0) : t + 1].double()
        total = prior + len(seen)
        running = (prior * mean + seen.sum(0)) / total
        square = (prior * (deviation**2 + mean**2) + (seen**2).sum(0)) / total
        spread = (square - running**2).sqrt().maximum(MIN_DEVIATION * deviation)
        rows.append((values[t].double() - running) / spread)
    return torch.stack(rows).float()


@pytest.mark.parametrize(("prior", "window"), [(1, 1), (5, 7), (100, 300), (3, 40)])
def test_the_moments_are_those_of_the_window_and_the_prior(prior: int, window: int) -> None:
    normaliser = Normaliser.fit([frames(50), frames(80, 1)], prior, window)
    torch.testing.assert_close(normaliser(frames(90, 2)), by_loop(frames(90, 2), normaliser))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 25))
def test_pieces_make_the_same_bits(sizes: list[int], window: int) -> None:
    normaliser = Normaliser.fit([frames(50)], 10, window)
    stream = NormaliserStream(normaliser)
    values = frames(sum(sizes), 1)
    for _ in range(2):
        parts = [stream.push(piece.numpy()) for piece in values.split(sizes)] if sizes else []
        assert np.array_equal(np.concatenate([*parts, np.zeros((0, 3))]), normaliser(values))
        stream.reset()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), max_size=6), st.integers(0, 25))
def test_streams_together_are_as_alone(pushes: list[list[int]], window: int) -> None:
    normaliser = Normaliser.fit([frames(50)], 10, window)
    streams, alone = ([NormaliserStream(normaliser) for _ in range(4)] for _ in range(2))
    for seed, sizes in enumerate(pushes):
        given = [frames(size, 10 * seed + k).numpy() for k, size in enumerate(sizes)]
        together = push_together(streams, given)
        for one, piece, answer in zip(alone, given, together, strict=True):
            assert np.array_equal(one.push(piece), answer)


def test_without_a_window_the_training_data_alone_count() -> None:
    data = torch.cat([frames(50), frames(80, 1)])
    normaliser = Normaliser.fit([frames(50), frames(80, 1)], window=0)
    torch.testing.assert_close(normaliser.mean, data.mean(0))
    torch.testing.assert_close(normaliser.deviation, data.std(0, correction=0))
    torch.testing.assert_close(normaliser(data), (data - data.mean(0)) / data.std(0, correction=0))


def test_a_constant_feature_is_left_alone() -> None:
    normaliser = Normaliser.fit([torch.ones(10, 3)])
    assert torch.equal(normaliser.deviation, torch.ones(3))
    assert normaliser(torch.ones(10, 3)).abs().max() == 0


def test_a_louder_recording_comes_closer_to_the_training_data() -> None:
    normaliser = Normaliser.fit([frames(500)], 20, 100)
    louder = normaliser(frames(300, 1) + 6)
    assert louder[:10].mean() > 1.5
    assert louder[100:].mean() < 0.6


def test_memory_is_constant() -> None:
    stream = NormaliserStream(Normaliser.fit([frames(50)], 10, 20))
    sizes = set()
    for _ in range(5):
        stream.push(frames(30).numpy())
        sizes.add(sum(v.size for v in vars(stream).values() if isinstance(v, np.ndarray)))
    assert len(sizes) == 1 and sizes.pop() > 20 * 2 * 3
