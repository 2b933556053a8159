"""The encoder–decoder: step by step equals all at once, and padding changes nothing."""

import math
from typing import Any

import pytest
import torch

from elman.tasks.translate.network import EncoderDecoder, EncoderOutput, attend
from elman.tasks.translate.settings import Settings

SMALL: dict[str, Any] = {"hidden": 12, "embedding": 8, "layers": 2, "dropout": 0.3}


def network(**changes: Any) -> EncoderDecoder:
    torch.manual_seed(0)
    settings = Settings(**SMALL | changes)
    return EncoderDecoder(settings, 30, 30 if settings.shared_vocabulary else 40).double()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.randint(1, 30, (7, 3), generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([7, 4, 1])
    for row, length in enumerate(lengths):
        source[length:, row] = 0
    return source, lengths, torch.randint(1, 30, (5, 3), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("input_feeding", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("shared", [False, True])
def test_steps_give_what_the_whole_gives(input_feeding: bool, cell: str, shared: bool) -> None:
    net = network(input_feeding=input_feeding, cell=cell, shared_vocabulary=shared).eval()
    source, lengths, target = batch()
    whole = net(source, lengths, target)
    encoded, state = net.encode(source, lengths)
    for t, tokens in enumerate(target):
        features, state = net.step(tokens, state, encoded)
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


@pytest.mark.parametrize("input_feeding", [False, True])
def test_gradients_reach_every_weight_and_fit_differences(input_feeding: bool) -> None:
    net = network(input_feeding=input_feeding).eval()
    source, lengths, target = batch()

    def loss() -> torch.Tensor:
        logits = net.logits(net(source, lengths, target))
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())

    loss().backward()
    small = 1e-6
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name
        index = int(parameter.grad.abs().argmax())
        flat = parameter.detach().view(-1)
        old = float(flat[index])
        ends = []
        for sign in (1, -1):
            flat[index] = old + sign * small
            ends.append(loss().item())
        flat[index] = old
        slope = (ends[0] - ends[1]) / (2 * small)
        assert slope == pytest.approx(float(parameter.grad.view(-1)[index]), rel=1e-4, abs=1e-9), name


def test_attention_is_a_mean_by_softmax() -> None:
    query = torch.randn(2, 3, 4, dtype=torch.float64)
    keys, values = torch.randn(3, 5, 4, dtype=torch.float64), torch.randn(3, 5, 6, dtype=torch.float64)
    padding = torch.tensor([[False] * 5, [False] * 2 + [True] * 3, [False] + [True] * 4])
    context, weights = attend(query, EncoderOutput(keys.transpose(1, 2), values, padding))
    for t in range(2):
        for b, length in enumerate((5, 2, 1)):
            scores = [math.exp(float(query[t, b] @ keys[b, s])) for s in range(length)]
            shares = torch.tensor([s / sum(scores) for s in scores], dtype=torch.float64)
            torch.testing.assert_close(weights[b, t, :length], shares)
            torch.testing.assert_close(context[t, b], shares @ values[b, :length])


def test_dropout_only_while_training_and_the_same_at_all_steps() -> None:
    net = network(dropout=0.5)
    source, lengths, target = batch()
    same = target[:1].expand(5, 3)
    net.train()
    torch.manual_seed(1)
    features = net(source, lengths, same)
    dropped = features == 0
    assert bool(dropped.any()) and bool((dropped == dropped[:1]).all())
    net.eval()
    torch.testing.assert_close(net(source, lengths, target), net(source, lengths, target))


def test_rows_can_be_selected_again_and_again() -> None:
    net = network().eval()
    source, lengths, target = batch()
    encoded, state = net.encode(source, lengths)
    _, state = net.step(target[0], state, encoded)
    rows = torch.tensor([2, 0, 0])
    encoded_rows = EncoderOutput(*(x[rows] for x in encoded))
    features, _ = net.step(target[1][rows], state.select(rows), encoded_rows)
    expected, _ = net.step(target[1], state, encoded)
    torch.testing.assert_close(features, expected[rows])
