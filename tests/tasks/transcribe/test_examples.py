"""Recordings varied at random."""

import torch

from elman.data.audio.augment import noise_frames
from elman.tasks.transcribe.examples import LOG_FLOOR, Utterances, filter_bank, hide, pad_features, varied

FEATURES = [10 + torch.randn(frames, 24) for frames in (30, 50)]
NOISES = noise_frames(filter_bank(8_000, 24), 3, 0.5)
SAID = Utterances(FEATURES, [[1], [2]], ["a", "b"])


def test_nothing_is_varied_at_strength_0() -> None:
    assert torch.equal(varied(SAID, [1, 0], 0, 0.0, NOISES), torch.cat([FEATURES[1], FEATURES[0]]))
    features, lengths = pad_features(FEATURES)
    assert torch.equal(hide(features, lengths, 0.0), features)


def test_a_generator_makes_the_same_again() -> None:
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(varied(SAID, [0, 1], 40, 1.0, NOISES))
    assert torch.equal(*results)
    assert not torch.equal(results[0], varied(SAID, [0, 1], 40, 1.0, NOISES))


def test_pauses_are_quiet_and_as_long_as_they_may_be() -> None:
    torch.manual_seed(0)
    for _ in range(20):
        joined = varied(SAID, [0, 1], 40, 0.0, NOISES)
        assert 80 <= len(joined) <= 80 + 3 * 40
        assert float(joined.min()) >= LOG_FLOOR - 1 and bool(joined.isfinite().all())


def test_speed_voice_and_noise_differ() -> None:
    torch.manual_seed(0)
    lengths = {len(varied(SAID, [1], 0, 1.0, NOISES)) for _ in range(20)}
    assert min(lengths) < 50 < max(lengths) and min(lengths) >= 40 and max(lengths) <= 60


def test_digital_silence_is_a_quiet_room() -> None:
    bank = filter_bank(8000, 24)
    silent = bank.features(torch.zeros(4000).numpy())
    assert torch.allclose(silent, torch.full_like(silent, LOG_FLOOR))


def test_rows_are_taken() -> None:
    taken = SAID.take([1])
    assert len(taken) == 1 and taken.texts == ["b"] and taken.ids == [[2]]
