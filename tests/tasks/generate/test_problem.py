"""Truncated BPTT against the text read whole."""

import numpy as np
import pytest
import torch

import elman
from elman.tasks.generate.problem import NextToken, teacher_forced
from elman.training.plan import Plan
from toy_language import small_network, small_settings


def test_windows_in_order_are_the_text_read_whole() -> None:
    """Without dropout, and with the state carried, windows predict what whole rows predict."""
    torch.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 9, 403)
    problem = NextToken(ids, ids, small_settings(bptt=10), Plan(batch_size=4))
    network = small_network()
    assert problem.rows == 4
    total, count, state = 0.0, 0.0, None
    for window in problem.batches(0, 0, 1):
        loss, items, state = problem.loss(network, window, state)
        total, count = total + loss.item(), count + items
    length = 402 // 4
    rows = torch.from_numpy(np.stack([ids[r * length : r * length + 101] for r in range(4)], 1))
    features, _, _ = network(rows[:-1])
    assert count == 400
    assert total == pytest.approx(network.loss(features, rows[1:]).item(), rel=1e-6)


def test_ranks_share_the_rows_and_epochs_begin_elsewhere() -> None:
    ids = np.zeros(20_000, np.int64)
    problem = NextToken(ids, ids, small_settings(bptt=16), Plan(batch_size=8))
    both = [problem.batches(3, rank, 2) for rank in (0, 1)]
    for a, b in zip(*both, strict=True):
        assert a.begin == b.begin and sorted([*a.rows, *b.rows]) == list(range(8))
    begins = {problem.batches(epoch, 0, 1)[0].begin for epoch in range(8)}
    assert len(begins) > 3 and problem.batches(0, 0, 1)[0].begin == 0
    with pytest.raises(elman.TrainingError, match="16 processes"):
        problem.batches(0, 9, 16)


def test_penalties_are_weighted_means_of_squares() -> None:
    torch.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 9, 200)
    network, losses = small_network(), {}
    for activation, temporal in ((0.0, 0.0), (2.0, 0.0), (0.0, 3.0)):
        settings = small_settings(bptt=20, activation_penalty=activation, temporal_penalty=temporal)
        problem = NextToken(ids, ids, settings, Plan(batch_size=2))
        window = problem.batches(0, 0, 1)[0]
        losses[activation, temporal] = problem.loss(network, window, None)[0].item() / 40
    text = np.stack([ids[:20], ids[99:119]], 1)
    _, outputs, _ = network(torch.from_numpy(text))
    plain = losses[0.0, 0.0]
    assert losses[2.0, 0.0] - plain == pytest.approx(2 * outputs.pow(2).mean().item(), rel=1e-2)
    change = (outputs[1:] - outputs[:-1]).pow(2).mean().item()
    assert losses[0.0, 3.0] - plain == pytest.approx(3 * change, rel=1e-2)


def test_reading_in_rows_reads_every_row_once() -> None:
    ids = np.arange(2000) % 9
    network = small_network().eval()
    for rows in (1, 3):
        targets = torch.cat([chunk for _, chunk in teacher_forced(network, ids, rows)]).T.flatten()
        length = 1999 // rows
        whole = np.concatenate([ids[1 + r * length :][:length] for r in range(rows)])
        assert torch.equal(targets, torch.from_numpy(whole))


def test_validation_is_the_mean_loss_of_the_held_out_text() -> None:
    ids = np.random.default_rng(0).integers(0, 9, 300)
    network = small_network().eval()
    problem = NextToken(ids[:9], ids, small_settings(), Plan())
    with torch.no_grad():
        features, _, _ = network(torch.from_numpy(ids[:-1, None]))
        total = network.loss(features, torch.from_numpy(ids[1:, None])).item()
        assert problem.validate(network)["nats"] == pytest.approx(total / 299, rel=1e-5)
