"""The encoder–decoder: one step after the other gives what the whole does, and padding changes nothing."""

import math

import pytest
import torch

from elman.tasks.translate.network import Memory, _attended, selected
from elman.tasks.translate.settings import Settings

SMALL = {"hidden": 12, "embedding": 8, "layers": 2, "dropout": 0.3}


def network(**settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return Settings(**SMALL | settings).make_network(30, 40 if not settings.get("joint") else 30).double()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.randint(1, 30, (7, 3), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([7, 4, 1])
    for row, length in enumerate(lengths):
        source[length:, row] = 0
    return source, lengths, torch.randint(1, 30, (5, 3), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("joint", [False, True])
def test_steps_give_what_the_whole_gives(feeding: bool, cell: str, joint: bool) -> None:
    net = network(feeding=feeding, cell=cell, joint=joint).eval()
    source, lengths, target = batch()
    whole = net(source, lengths, target)
    memory, state = net.encode(source, lengths)
    for t, tokens in enumerate(target):
        features, state = net.step(tokens, state, memory)
        torch.testing.assert_close(features, whole[t])
        torch.testing.assert_close(state.weights.sum(1), torch.ones(3, dtype=torch.float64))
        assert bool((state.weights[1, 4:] == 0).all())


def test_padding_changes_nothing() -> None:
    net = network().eval()
    source, lengths, target = batch()
    whole = net(source, lengths, target)
    for row, length in enumerate(lengths):
        alone = net(source[:length, row : row + 1], lengths[row : row + 1], target[:, row : row + 1])
        torch.testing.assert_close(alone[:, 0], whole[:, row])


@pytest.mark.parametrize("feeding", [False, True])
def test_gradients_reach_every_weight_and_fit_differences(feeding: bool) -> None:
    net = network(feeding=feeding).eval()
    source, lengths, target = batch()

    def loss() -> torch.Tensor:
        logits = net.logits(net(source, lengths, target))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())

    loss().backward()
    small = 1e-6
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name
        place = int(parameter.grad.abs().argmax())
        flat = parameter.detach().view(-1)
        old = float(flat[place])
        ends = []
        for sign in (1, -1):
            flat[place] = old + sign * small
            ends.append(loss().item())
        flat[place] = old
        slope = (ends[0] - ends[1]) / (2 * small)
        assert slope == pytest.approx(float(parameter.grad.view(-1)[place]), rel=1e-4, abs=1e-9), name


def test_attention_is_a_mean_by_softmax() -> None:
    asked = torch.randn(2, 3, 4, dtype=torch.float64)
    keys, values = torch.randn(3, 5, 4, dtype=torch.float64), torch.randn(3, 5, 6, dtype=torch.float64)
    outside = torch.tensor([[False] * 5, [False] * 2 + [True] * 3, [False] + [True] * 4])
    found, weights = _attended(asked, Memory(keys.transpose(1, 2), values, outside))
    for t in range(2):
        for b, length in enumerate((5, 2, 1)):
            scores = [math.exp(float(asked[t, b] @ keys[b, s])) for s in range(length)]
            shares = torch.tensor([s / sum(scores) for s in scores], dtype=torch.float64)
            torch.testing.assert_close(weights[b, t, :length], shares)
            torch.testing.assert_close(found[t, b], shares @ values[b, :length])


def test_dropout_only_while_training_and_the_same_at_all_steps() -> None:
    net = network(dropout=0.5)
    source, lengths, target = batch()
    same = target[:1].expand(5, 3)
    net.train()
    torch.manual_seed(1)
    features = net(source, lengths, same)
    gone = features == 0
    assert bool(gone.any()) and bool((gone == gone[:1]).all())
    net.eval()
    torch.testing.assert_close(net(source, lengths, target), net(source, lengths, target))


def test_rows_can_be_selected_again_and_again() -> None:
    net = network().eval()
    source, lengths, target = batch()
    memory, state = net.encode(source, lengths)
    _, state = net.step(target[0], state, memory)
    rows = torch.tensor([2, 0, 0])
    part = Memory(*(x[rows] for x in memory))
    found, _ = net.step(target[1][rows], selected(state, rows), part)
    expected, _ = net.step(target[1], state, memory)
    torch.testing.assert_close(found, expected[rows])
