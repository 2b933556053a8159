"""Convolutions and layers over pieces of recordings, alone and together."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.audio.features import FilterBank
from elman.data.audio.normalise import Normaliser, NormaliserStream
from elman.errors import NotFinite
from elman.stepping import driven
from elman.tasks.transcribe.features import Spectra
from elman.tasks.transcribe.network import STRIDES, TranscriberNet
from elman.tasks.transcribe.settings import Settings
from elman.tasks.transcribe.steps import Front, FrontStream, Normal, Seen, TranscriberSteps


def network(stride: int = 4) -> TranscriberNet:
    torch.manual_seed(0)
    sizes = Settings(hidden=6, front=5, layers=2, stride=stride, bidirectional=False, dropout=0.0)
    return TranscriberNet(sizes, 8, 4).eval()


def features(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, 8), np.float32)


def pushed(steps: TranscriberSteps, front: FrontStream, frames: np.ndarray, end: bool = False) -> np.ndarray:
    return driven(front.push(frames, end), lambda request: steps.answer([request])[0])


@given(st.integers(1, 60), st.lists(st.integers(0, 9), min_size=1), st.sampled_from(sorted(STRIDES)))
@settings(max_examples=40, deadline=None)
def test_pieces_are_the_whole(count: int, sizes: list[int], stride: int) -> None:
    net, frames = network(stride), features(count)
    steps, at, k = TranscriberSteps(net), 0, 0
    front, passed, outputs, state = FrontStream(steps.convolutions), [], [], None
    with torch.no_grad():
        whole, _ = net(torch.from_numpy(frames).unsqueeze(1), torch.tensor([count]))
    while at < count:
        size = max(sizes[k % len(sizes)], 1 if k > 20 else 0)
        passed.append(pushed(steps, front, frames[at : at + size]))
        at, k = at + size, k + 1
    passed.append(pushed(steps, front, frames[:0], end=True))
    for x in passed:
        if len(x):
            ((scores, state),) = steps.answer([Front(x, state)])
            outputs.append(scores.log_probs)
    assert np.array_equal(np.concatenate(passed), pushed(steps, front, frames, end=True))
    np.testing.assert_allclose(np.concatenate(outputs), whole[:, 0], atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_together_as_alone(lengths: list[int]) -> None:
    steps, random = TranscriberSteps(network()), np.random.default_rng(1)
    bank, normaliser = FilterBank(8000, 8), Normaliser.fit([torch.from_numpy(features(40))], 10, 6)

    def drawn(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    requests: list[Any] = [Front(drawn(n, 5), None) for n in lengths]
    requests += [Seen(0, drawn(2 * n + 3, 8), n) for n in lengths]
    requests += [Seen(1, drawn(2 * n + 1, 5), n) for n in lengths]
    requests += [Spectra(bank, drawn(n, bank.length)) for n in lengths]
    requests += [Normal(NormaliserStream(normaliser), drawn(n, 8)) for n in lengths]
    for request, answer in zip(requests, steps.answer(requests), strict=True):
        if isinstance(request, Normal):
            request.stream.reset()
        (alone,) = steps.answer([request])
        if isinstance(request, Front):
            assert np.array_equal(alone.scores.log_probs, answer.scores.log_probs)
            assert alone.scores.labels == answer.scores.labels == alone.scores.log_probs.argmax(1).tolist()
            assert all(np.array_equal(a, b) for a, b in zip(alone.state, answer.state, strict=True))
        else:
            assert np.array_equal(alone, answer)


def test_a_front_can_be_used_again() -> None:
    steps = TranscriberSteps(network())
    front, frames = FrontStream(steps.convolutions), features(30)
    first = pushed(steps, front, frames, end=True)
    pushed(steps, front, frames[:11])
    front.reset()
    assert np.array_equal(pushed(steps, front, frames, end=True), first)


def test_a_recording_that_becomes_nan_is_alone() -> None:
    steps = TranscriberSteps(network())
    good, bad = features(3)[:, :5], np.full((2, 5), np.nan, np.float32)
    first, failed, last = steps.answer([Front(good, None), Front(bad, None), Front(good, None)])
    assert isinstance(failed, NotFinite)
    assert np.array_equal(first.scores.log_probs, last.scores.log_probs)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_step_is_so_many_frames(stride: int) -> None:
    assert TranscriberSteps(network(stride)).stride == stride
