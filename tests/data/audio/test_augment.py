"""Changes of recordings: their size and level, and the same ones from the same seed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_files import noise
from elman.data.audio.augment import (
    SPEEDS,
    add_noise,
    add_noise_frames,
    bend,
    blur,
    change_speed,
    mask,
    noise_frames,
    random_speed,
    stretch,
)
from elman.data.audio.features import FilterBank


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_faster_recording_is_shorter_and_higher() -> None:
    tone = np.sin(2 * np.pi * 400 * np.arange(8000) / 8000).astype(np.float32)
    fast = change_speed(tone, 1.1)
    assert (len(fast), fast.dtype) == (round(8000 / 1.1), np.float32)
    peak = np.abs(np.fft.rfft(fast)).argmax() * 8000 / len(fast)
    assert peak == pytest.approx(440, abs=2)
    assert change_speed(tone, 1.0) is tone
    assert len(change_speed(tone[:0], 1.1)) == 0


def test_speeds_are_drawn() -> None:
    lengths = {len(random_speed(noise(900), generator(seed))) for seed in range(20)}
    assert lengths == {round(900 / speed) for speed in SPEEDS}


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("decibels", [0.0, 20.0])
def test_noise_has_its_level(recorded: bool, decibels: float) -> None:
    samples = noise(4000)
    noises = [noise(300, 1, 0.7) + np.float32(0.2)] if recorded else []
    noisy = add_noise(samples, generator(), noises, (decibels, decibels))
    ratio = 10 * np.log10(samples.var() / np.square(noisy - samples).mean())
    assert noisy.dtype == np.float32
    assert ratio == pytest.approx(decibels, abs=0.2)


def test_noise_comes_again_from_its_seed_and_never_from_silence() -> None:
    samples = noise(500)
    drawn = [add_noise(samples, generator(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    silence = np.zeros(100, dtype=np.float32)
    assert np.array_equal(add_noise(silence, generator()), silence)
    assert np.array_equal(add_noise(samples, generator(), [silence]), samples)
    assert len(add_noise(samples[:0], generator())) == 0
    assert np.isfinite(add_noise(samples[:1], generator())).all()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(0, 10**6),
    st.tuples(st.integers(0, 3), st.integers(0, 9)),
    st.tuples(st.integers(0, 3), st.integers(0, 9)),
)
def test_masks_are_bands_and_spans(
    lengths: list[int], seed: int, bands: tuple[int, int], spans: tuple[int, int]
) -> None:
    features = torch.ones(40, len(lengths), 6)
    masked = mask(features, torch.tensor(lengths), generator(seed), bands, spans, share=0.25)
    assert torch.equal(
        masked, mask(features, torch.tensor(lengths), generator(seed), bands, spans, share=0.25)
    )
    assert features.all()
    for i, length in enumerate(lengths):
        hidden = masked[:, i] == 0
        frames, bins = hidden.all(1), hidden.all(0)
        assert torch.equal(hidden, (frames[:, None] | bins)) or bins.all()
        if not bins.all():
            assert frames.sum() <= spans[0] * min(spans[1], int(0.25 * length))
            assert not frames[length:].any()
            assert bins.sum() <= bands[0] * bands[1]


def test_masks_fill_with_a_value_and_differ_between_recordings() -> None:
    masked = mask(torch.ones(50, 8, 20), torch.full((8,), 50), generator(), fill=-1.0)
    assert set(masked.unique().tolist()) == {-1.0, 1.0}
    assert len({tuple(masked[:, i].flatten().tolist()) for i in range(8)}) > 4


def test_stretching_keeps_the_ends() -> None:
    ramp = torch.arange(11.0)[:, None].expand(11, 2)
    fast, slow = stretch(ramp, 1.1), stretch(ramp, 0.5)
    torch.testing.assert_close(fast[:, 0], torch.linspace(0, 10, 10))
    torch.testing.assert_close(slow[:, 1], torch.linspace(0, 10, 22))
    assert stretch(ramp, 1.0) is ramp
    assert len(stretch(ramp[:0], 1.1)) == 0
    assert len(stretch(ramp[:1], 9.0)) == 1


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 99))
def test_bending_keeps_ends_and_order(rows: int, parts: int, seed: int) -> None:
    ramp = torch.arange(float(rows))[:, None].expand(rows, 2)
    bent = bend(ramp, parts, 2.0, generator(seed))
    assert bent.shape == ramp.shape and torch.equal(bent, bend(ramp, parts, 2.0, generator(seed)))
    assert bent[0, 0] == 0 and float(bent[-1, 1]) == pytest.approx(rows - 1, abs=1e-4)
    steps = bent[1:, 0] - bent[:-1, 0]
    assert (steps >= -1e-5).all() and (steps <= 4.001).all()  # 2 times as long as others are short
    torch.testing.assert_close(bend(ramp, parts, 1.0, generator(seed)), ramp, atol=1e-4, rtol=0)


def test_blurring_spreads_power_to_both_sides() -> None:
    features = torch.tensor([[1.0, 0.01, 4.0, 0.01, 1.0]]).log()
    wanted = torch.tensor([[0.75 + 0.25 * 0.505, 0.005 + 0.25 * 5, 2 + 0.25 * 0.02, 0.005 + 1.25]])
    torch.testing.assert_close(blur(features, 0.5).exp()[:, 1:4], wanted[:, 1:])
    torch.testing.assert_close(blur(features, 0.0), features)
    assert blur(torch.randn(3, 1), 0.7).isfinite().all()


def test_noise_frames_are_those_of_noise_from_white_to_brown() -> None:
    bank = FilterBank(8_000, 20)
    noises = noise_frames(bank, 3, 2.0)
    assert all(len(one) == 200 for one in noises)
    for one in noises:
        assert float(one.exp().mean()) == pytest.approx(1.0, rel=1e-4)
    white = bank.features((0.1 * np.random.default_rng(1).standard_normal(16_000)).astype(np.float32))
    profile = white.mean(0) - white.exp().mean().log()
    torch.testing.assert_close(noises[0].mean(0), profile, atol=0.25, rtol=0.0)
    falls = [float(one[:, -1].mean() - one[:, 0].mean()) for one in noises]
    assert falls == sorted(falls, reverse=True)


def test_noise_is_added_at_its_level_as_if_to_the_samples() -> None:
    bank = FilterBank(8_000, 20)
    noises = noise_frames(bank, 1, 1.0)
    speech = bank.features((0.05 * np.random.default_rng(2).standard_normal(12_000)).astype(np.float32))
    noisy = add_noise_frames(speech, noises, generator(), (10.0, 10.0))
    added = noisy.exp() - speech.exp()
    ratio = 10 * float((speech.exp().mean() / added.mean()).log10())
    assert ratio == pytest.approx(10.0, abs=0.3) and bool((noisy >= speech).all())
    assert len(noisy) == 150 > len(noises[0])  # which is repeated
    again = add_noise_frames(speech, noises, generator(), (10.0, 10.0))
    assert torch.equal(again, noisy)
