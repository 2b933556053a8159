"""Convolutions and layers, whole and in pieces."""

import pytest
import torch

from elman.tasks.transcribe.network import STRIDES, TranscriberNet
from elman.tasks.transcribe.settings import Settings


def network(stride: int = 4, bidirectional: bool = False) -> TranscriberNet:
    torch.manual_seed(0)
    sizes = Settings(hidden=6, front=5, layers=2, stride=stride, bidirectional=bidirectional, dropout=0.0)
    return TranscriberNet(sizes, 8, 4).eval()


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(stride: int, bidirectional: bool) -> None:
    net, frames = network(stride, bidirectional), [1, 5, 12, 33]
    each = [torch.randn(count, 8) for count in frames]
    features = torch.nn.utils.rnn.pad_sequence(each)
    features[5:, 1] = 7.0  # beyond the second's end
    with torch.no_grad():
        together, steps = net(features, torch.tensor(frames))
        for k, one in enumerate(each):
            alone, count = net(one.unsqueeze(1), torch.tensor([len(one)]))
            assert int(count) == int(steps[k]) == -(-len(one) // stride)
            torch.testing.assert_close(together[: int(count), k], alone[:, 0], atol=1e-5, rtol=1e-5)
