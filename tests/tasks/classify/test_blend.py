"""Weights of a blend, against a search on a grid; what a part that does not help gets."""

import itertools

import pytest
import torch

from elman.tasks.classify.blend import Blend, fit_blend, fit_weights, log_loss


def logs(rows: int, classes: int, labels: torch.Tensor, strength: float, seed: int) -> torch.Tensor:
    """Log-probabilities that know the label a little, too sure of it."""
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, classes, generator=draw)
    noise[torch.arange(rows), labels] += strength
    return (3 * noise).log_softmax(1)


def example(rows: int = 600, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    labels = torch.randint(0, classes, (rows,), generator=torch.Generator().manual_seed(0))
    return logs(rows, classes, labels, 1.0, 1), logs(rows, classes, labels, 1.5, 2), labels


def test_the_weights_are_the_best_of_a_grid() -> None:
    network, linear, labels = example()
    blend = fit_blend(network, linear, labels)
    loss = log_loss(blend.log_probabilities(network, linear), labels)
    grid = [k / 40 for k in range(60)]
    losses = [log_loss(Blend(a, b).log_probabilities(network, linear), labels) for a in grid for b in grid]
    assert loss <= min(losses) + 0.1
    assert 0 < blend.network < blend.linear < 1
    rows = blend.log_probabilities(network, linear).exp().sum(1)
    torch.testing.assert_close(rows, torch.ones(600))


def test_rows_count_what_their_weights_say() -> None:
    network, linear, labels = example(200)
    twice = torch.arange(200) % 3 == 0
    weighted = fit_weights([network, linear], labels, 1 + twice.float())
    network, linear, labels = (torch.cat([rows, rows[twice]]) for rows in (network, linear, labels))
    assert fit_weights([network, linear], labels) == pytest.approx(weighted, abs=1e-6)


def test_a_network_that_knows_nothing_has_no_weight() -> None:
    _, linear, labels = example()
    for seed in range(5):
        nothing = torch.randn(600, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(1)
        blend = fit_blend(nothing, linear, labels)
        assert blend.network == 0
        assert blend.linear == pytest.approx(fit_weights([linear], labels)[0])


def test_a_part_that_misleads_is_left_out() -> None:
    network, linear, labels = example()
    weights = fit_weights([linear, -network], labels)
    assert weights[0] > 0 and weights[1] == 0
    assert fit_blend(-network, linear, labels).network == 0
    assert fit_weights([-linear], labels) == (0.0,)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_stay_near_equal_shares(rows: int) -> None:
    network, linear, labels = example()
    for a, b in itertools.pairwise(range(0, 60, rows)):
        weights = fit_weights([network[a:b], linear[a:b]], labels[a:b])
        assert all(0 <= weight < 2 for weight in weights)


def test_extreme_log_probabilities_have_finite_weights() -> None:
    labels = torch.tensor([0, 1] * 20)
    sure = torch.full((40, 2), -100.0)
    sure[torch.arange(40), labels] = 0
    assert 0 < fit_weights([sure], labels)[0] < 10
    sure[0] = sure[0].flip(0)
    assert 0 <= fit_weights([sure], labels)[0] < 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"network": -1.0, "linear": 1.0}, "must be from 0"),
        ({"network": 1e9, "linear": 1.0}, "must be from 0"),
        ({"network": 1.0}, "unknown or missing"),
        ({"network": "1", "linear": 1.0}, "must be a finite number"),
        (3, "must be an object"),
    ],
)
def test_what_is_no_blend_is_refused(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Blend.from_json(value)


def test_a_saved_blend_is_the_same() -> None:
    assert Blend.from_json(Blend(0.25, 1)._asdict()) == Blend(0.25, 1)
    assert "0.25 times the network's and 1.00 times" in str(Blend(0.25, 1))
