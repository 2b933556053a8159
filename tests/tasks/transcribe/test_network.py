"""Convolutions and layers, whole and in pieces."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.transcribe.network import STRIDES, FrontStream, TranscriberNet
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


@given(st.integers(1, 60), st.lists(st.integers(0, 9), min_size=1), st.sampled_from(sorted(STRIDES)))
@settings(max_examples=60)
def test_pieces_are_the_whole(count: int, sizes: list[int], stride: int) -> None:
    net, features = network(stride), torch.randn(count, 8)
    stream, outputs, at, k, state = FrontStream(net), [], 0, 0, None
    passed = []
    with torch.no_grad():
        whole, _ = net(features.unsqueeze(1), torch.tensor([count]))
        while at < count:
            size = max(sizes[k % len(sizes)], 1 if k > 20 else 0)
            steps, at, k = stream.push(features[at : at + size]), at + size, k + 1
            passed.append(steps)
            if len(steps):
                log_probs, state = net.run(steps, state)
                outputs.append(log_probs)
        if len(rest := stream.push(features[:0], end=True)):
            outputs.append(net.run(rest, state)[0])
        assert torch.equal(torch.cat([*passed, rest]), FrontStream(net).push(features, end=True))
    torch.testing.assert_close(torch.cat(outputs), whole[:, 0], atol=1e-5, rtol=1e-5)


def test_a_stream_can_be_used_again() -> None:
    net, features, stream = network(), torch.randn(30, 8), None
    stream = FrontStream(net)
    with torch.no_grad():
        first = stream.push(features, end=True)
        stream.push(features[:11])
        stream.reset()
        torch.testing.assert_close(stream.push(features, end=True), first, atol=0, rtol=0)
