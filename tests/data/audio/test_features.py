"""Filter banks against kaldi-native-fbank and a plain formula, and by pieces of any size."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audio_files import noise, pieces
from elman.data.audio.features import BLOCK_FRAMES, FilterBank, Framing, mel_filters
from elman.errors import UsageError

BANKS = [FilterBank(16000, 80), FilterBank(8000, 40), FilterBank(11025, 23)]


def by_kaldi(samples: np.ndarray, bank: FilterBank) -> np.ndarray:
    kaldi = pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank has no wheel here")
    options = kaldi.FbankOptions()
    options.frame_opts.samp_freq = bank.rate
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = bank.bins
    stream = kaldi.OnlineFbank(options)
    stream.accept_waveform(bank.rate, (samples * 32768).tolist())
    stream.input_finished()
    frames = [stream.get_frame(i) for i in range(stream.num_frames_ready)]
    return np.array(frames, dtype=np.float32).reshape(-1, bank.bins)


@pytest.mark.parametrize("bank", BANKS, ids=lambda bank: str(bank.rate))
@pytest.mark.parametrize("count", [0, 1, 39, 40, 54, 55, 79, 80, 119, 120, 121, 280, 399, 400, 1000, 4321])
def test_the_features_are_kaldis(bank: FilterBank, count: int) -> None:
    samples = noise(count)
    features = bank.features(samples)
    expected = by_kaldi(samples, bank)
    assert features.shape == expected.shape == (bank.frame_count(count), bank.bins)
    np.testing.assert_allclose(features.numpy(), expected, atol=2e-3)


def test_silence_has_kaldis_floor() -> None:
    silence = np.zeros(400, dtype=np.float32)
    np.testing.assert_allclose(BANKS[0].features(silence).numpy(), by_kaldi(silence, BANKS[0]), atol=1e-5)


def plain(samples: np.ndarray, rate: int, bins: int) -> np.ndarray:
    """The formula, frame by frame in float64."""
    length, shift = int(rate * 0.025), int(rate * 0.01)
    points = 2 ** int(np.ceil(np.log2(length)))
    count = (len(samples) + shift // 2) // shift
    mirrored = np.pad(samples.astype(np.float64) * 32768, length, mode="symmetric")
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / (length - 1))) ** 0.85
    rows = []
    for k in range(count):
        start = length + k * shift + shift // 2 - length // 2
        frame = mirrored[start : start + length]
        frame = frame - frame.mean()
        frame = (frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])) * window
        power = np.abs(np.fft.rfft(frame, points)) ** 2
        rows.append(np.log(np.maximum(power @ mel_filters(rate, bins, points), np.finfo(np.float32).eps)))
    return np.array(rows)


@pytest.mark.parametrize("bank", BANKS, ids=lambda bank: str(bank.rate))
def test_the_features_are_the_formula(bank: FilterBank) -> None:
    samples = noise(3000)
    expected = plain(samples, bank.rate, bank.bins)
    np.testing.assert_allclose(bank.features(samples).numpy(), expected, atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(BANKS),
    st.integers(0, 12_000),
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 5000)), min_size=1, max_size=6).filter(any),
)
def test_pieces_make_the_same_bits(bank: FilterBank, count: int, sizes: list[int]) -> None:
    if max(sizes) < 4:
        count %= 1500
    samples = noise(count)
    framing = Framing(bank)
    whole = bank.features(samples).numpy()
    for _ in range(2):  # it begins anew after the end
        parts = [bank.log_mel(framing.push(piece)) for piece in pieces(samples, sizes)]
        assert np.array_equal(np.concatenate([*parts, bank.log_mel(framing.finish())]), whole)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(BANKS), st.lists(st.integers(0, 2 * BLOCK_FRAMES), min_size=1, max_size=6))
def test_a_frame_has_the_same_bits_among_any_others(bank: FilterBank, counts: list[int]) -> None:
    each = [noise(count * bank.length, k).reshape(count, bank.length) for k, count in enumerate(counts)]
    alone = [bank.log_mel(frames[k : k + 1]) for frames in each for k in range(len(frames))]
    empty = np.zeros((0, bank.bins), np.float32)
    assert np.array_equal(bank.log_mel(np.concatenate(each)), np.concatenate([empty, *alone]))


@pytest.mark.parametrize("bank", BANKS, ids=lambda bank: str(bank.rate))
def test_frames_come_as_soon_as_their_samples(bank: FilterBank) -> None:
    framing = Framing(bank)
    needed = bank.length - bank.left  # samples of the first frame
    assert len(framing.push(noise(needed - 1))) == 0
    assert len(framing.push(noise(1))) == 1
    assert len(framing.push(noise(bank.shift - 1))) == 0
    assert len(framing.push(noise(1))) == 1


def test_less_than_a_frame_is_held() -> None:
    framing = Framing(BANKS[0])
    for _ in range(20):
        framing.push(noise(1111))
        held = [value for value in vars(framing).values() if isinstance(value, np.ndarray)]
        assert sum(array.size if array.base is None else array.base.size for array in held) < BANKS[0].length


def test_a_shift_of_all_samples_changes_nothing() -> None:
    samples = noise(4000)
    shifted = BANKS[1].features(samples + np.float32(0.25))
    torch.testing.assert_close(shifted, BANKS[1].features(samples), atol=0.02, rtol=0)


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(UsageError, match="200 filters are too many for 8,000 samples a second"):
        FilterBank(8000, 200)


def test_features_are_fast() -> None:
    """A real-time factor below 0.005 on one core: here without the other programs on it, 0.001."""
    samples, threads = noise(16000 * 10), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = [_cpu_seconds(samples) for _ in range(3)]
    finally:
        torch.set_num_threads(threads)
    assert min(seconds) < 0.005 * 10


def _cpu_seconds(samples: np.ndarray) -> float:
    start = time.process_time()
    features: Tensor = BANKS[0].features(samples)
    assert len(features) == 1000
    return time.process_time() - start
