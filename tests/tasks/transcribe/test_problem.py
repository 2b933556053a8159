"""The loss, its batches and validation."""

import itertools
import math

import pytest
import torch

from elman.data.audio.normalise import Normaliser
from elman.tasks.transcribe.examples import Utterances
from elman.tasks.transcribe.features import Sound
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.problem import SpeechProblem, by_length, collapsed, ctc, flat_loss
from elman.tasks.transcribe.settings import Settings
from elman.training.plan import Plan

FEATURES = [torch.randn(frames, 8) for frames in (20, 31, 44, 25, 60)]
SAID = Utterances(FEATURES, [[1], [2, 1], [1, 1, 2], [3], [2, 3]], ["a", "b a", "a a b", "c", "b c"])


def problem(**options: object) -> SpeechProblem:
    plan = Plan(epochs=10, batch_size=2)
    return SpeechProblem(SAID, SAID, Normaliser.fit(FEATURES), plan, Sound(8_000, 8), **options)  # type: ignore[arg-type]


def small() -> TranscriberNet:
    torch.manual_seed(0)
    return TranscriberNet(Settings(hidden=6, front=5, layers=1, dropout=0.0), 8, 4)


def test_ctc_is_the_sum_over_all_paths() -> None:
    torch.manual_seed(1)
    log_probs = torch.randn(5, 1, 4).log_softmax(-1)
    for labels in ([1], [1, 2], [3, 3], [2, 1, 2]):
        paths = itertools.product(range(4), repeat=5)
        total = sum(
            math.exp(sum(float(log_probs[t, 0, label]) for t, label in enumerate(path)))
            for path in paths
            if collapsed(path) == labels
        )
        assert float(ctc(log_probs, torch.tensor([5]), [labels])) == pytest.approx(-math.log(total), rel=1e-5)


def test_labels_of_a_flat_start_last_equally_long() -> None:
    log_probs = torch.randn(6, 1, 4).log_softmax(-1)
    path = [2, 2, 2, 1, 1, 1]
    wanted = -2 * sum(float(log_probs[t, 0, label]) for t, label in enumerate(path)) / 6
    assert float(flat_loss(log_probs, [6], [[2, 1]])) == pytest.approx(wanted, rel=1e-5)
    path = [0, 0, 2, 1, 0, 0]
    wanted = -2 * sum(float(log_probs[t, 0, label]) for t, label in enumerate(path)) / 6
    assert float(flat_loss(log_probs, [6], [[2, 1]], silent=2)) == pytest.approx(wanted, rel=1e-5)
    path = [2, 2, 2, 2, 1, 1]
    wanted = -2 * sum(float(log_probs[t, 0, label]) for t, label in enumerate(path)) / 6
    longer = flat_loss(log_probs, [6], [[2, 1]], durations=(1, 1, 2, 3))
    assert float(longer) == pytest.approx(wanted, rel=1e-5)
    assert flat_loss(log_probs, [6], [[3]], silent=4).isfinite()  # of a very short recording


def test_speech_of_which_nothing_is_to_be_written_counts() -> None:
    log_probs = torch.randn(6, 2, 4).log_softmax(-1)
    silent = -log_probs[:4, 0, 0].sum()
    lengths = torch.tensor([4, 6])
    torch.testing.assert_close(ctc(log_probs[:, :1], lengths[:1], [[]]), silent)
    torch.testing.assert_close(
        ctc(log_probs, lengths, [[], [2]]), silent + ctc(log_probs[:, 1:], lengths[1:], [[2]])
    )
    empty = problem()
    empty.train = Utterances(empty.train.features, [[]] * len(empty.train), empty.train.texts)
    empty.others = len(empty.train) - 3
    rows = [row for batch in empty.batches(0, 0, 1) for group in batch for row in group.rows]
    assert sorted(rows) == [0, 1, 2]  # of a flat start
    loss, count, _ = empty.loss(small(), empty.batches(9, 0, 1)[0], None)
    assert loss.isfinite() and count == 1


def test_each_recording_once_in_every_epoch_and_joined_later() -> None:
    joined = problem(joined=4)
    for epoch in range(10):
        batches = joined.batches(epoch, 0, 1)
        assert batches == joined.batches(epoch, 0, 1)
        groups = [group for batch in batches for group in batch]
        assert sorted(row for group in groups for row in group.rows) == list(range(5))
        if epoch < 2:
            assert all(len(g.rows) == 1 and g.pause == 0 and g.strength == 0 and g.flat > 0 for g in groups)
        if epoch >= 4:
            assert all(g.pause > 0 and 0 < g.strength < 1 and g.flat == 0 for g in groups)
    assert all(g.strength == 0 for b in problem(augment=False).batches(9, 0, 1) for g in b)


def test_processes_share_batches() -> None:
    one, two = problem().batches(3, 0, 2), problem().batches(3, 1, 2)
    assert len(one) == len(two)
    rows = [row for batches in (one, two) for batch in batches for group in batch for row in group.rows]
    assert len(rows) == len(set(rows)) >= 4


def test_the_loss_of_a_batch_is_that_of_its_recordings() -> None:
    net, work = small(), problem(augment=False)
    batch = work.batches(9, 0, 1)[0]
    together, count, _ = work.loss(net, batch, None)
    alone = [work.loss(net, [group], None) for group in batch]
    assert float(together.detach()) == pytest.approx(sum(float(x.detach()) for x, _, _ in alone), rel=1e-4)
    assert count == sum(n for _, n, _ in alone)


@pytest.mark.parametrize("epoch", [0, 3, 9])
def test_what_varies_has_gradients(epoch: int) -> None:
    net, work = small(), problem(joined=3)
    for batch in work.batches(epoch, 0, 1):
        loss, _, _ = work.loss(net, batch, None)
        loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())


def test_validation_counts_errors() -> None:
    with torch.no_grad():
        scores = problem().validate(small().eval())
    assert scores["label_errors"] >= 0 and scores["errors"] > scores["label_errors"]


def test_batches_to_score_are_of_similar_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.tasks.transcribe.problem.MAX_BATCH_FRAMES", 100)
    assert by_length([60, 10, 200, 20, 30]) == [[1, 3, 4], [0], [2]]


def test_repeats_are_merged_and_blanks_removed() -> None:
    assert collapsed([0, 1, 1, 0, 1, 2, 2]) == [1, 1, 2] and collapsed([]) == []
