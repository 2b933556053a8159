"""A layer's inputs: every layout of them, lengths and resets, and what is refused."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elman
from compare import assert_same
from elman.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")
T, B, I, H = 5, 3, 4, 6  # noqa: E741


def noise(*shape: int, seed: int = 0, **kind: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **kind)


def test_layouts_agree() -> None:
    """(T, B, I), (B, T, I), one sequence, and a packed sequence, with lengths, resets and states."""
    layer = elman.Recurrent(CELLS["mgu"], I, H, 2, bidirectional=True)
    x, reset = noise(T, B, I), noise(T, B, seed=1) > 0.5
    output, final, every = layer(x, lengths=[2, 5, 0], reset=reset, return_states=True)
    layer.batch_first = True
    swapped, last, states = layer(
        x.transpose(0, 1), lengths=torch.tensor([2, 5, 0]), reset=reset.T, return_states=True
    )
    assert_same([swapped.transpose(0, 1), last, states], [output, final, every])
    one, last, states = layer(x[:, 1], final[:, 1], reset=reset[:, 1], return_states=True)
    layer.batch_first = False
    batch = layer(x[:, 1:2], final[:, 1:2], reset=reset[:, 1:2], return_states=True)
    assert_same([one, last, states], [batch[0][:, 0], batch[1][:, 0], batch[2][:, :, 0]])
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [2, 5, 1], enforce_sorted=False)
    run, last = layer(packed)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(run)
    assert_same([padded, last], layer(x, lengths=[2, 5, 1]))


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("lengths", {"lengths": [1, 2]}, "lengths must be whole numbers, one for each of the 3 sequences"),
    ("lengths", {"lengths": [1.0, 2.0, 3.0]}, "lengths must be whole numbers"),
    ("lengths", {"lengths": torch.ones(3, dtype=torch.bool)}, "lengths must be whole numbers"),
    ("lengths", {"lengths": [1, 2, 6]}, "lengths must lie between 0 and the 5 steps"),
    ("lengths", {"lengths": [-1, 2, 5]}, "lengths must lie between 0 and the 5 steps"),
    ("reset", {"reset": torch.zeros(5, 3)}, r"reset must be bool \(5, 3\), not torch.float32 \(5, 3\)"),
    ("reset", {"reset": torch.zeros(3, 5, dtype=torch.bool)}, r"reset must be bool \(5, 3\)"),
]


@pytest.mark.parametrize(("_", "call", "sentence"), REFUSED)
def test_calls_that_cannot_be_meant(_: str, call: dict[str, Any], sentence: str) -> None:
    with pytest.raises(elman.UsageError, match=sentence):
        elman.GRU(I, H)(noise(T, B, I), **call)


WRONG_INPUTS: list[tuple[Any, Any, str]] = [
    (torch.zeros(5, 2, 4), None, "input_size 3, not 4"),
    (torch.zeros(5), None, r"\(T, B, I\) or \(T, I\), not \(5,\)"),
    (torch.zeros(5, 2, 3, dtype=torch.float64), None, r"torch.float64 but the weights are torch.float32"),
    (torch.zeros(5, 2, 3, dtype=torch.int64), None, r"torch.int64 but the weights are torch.float32"),
    (torch.zeros(5, 2, 3), torch.zeros(1, 2, 4), r"state of LSTM is the tensors \(h, c\), not 1"),
    (torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 3, 4)), r"state c must be \(1, 2, 4\)"),
    (torch.zeros(5, 3), (torch.zeros(1, 1, 4), torch.zeros(1, 4)), r"state h must be \(1, 4\)"),
    (
        torch.zeros(5, 3),
        (torch.zeros(1, 4).double(),) * 2,
        r"state h is torch.float64 but input is torch.float32",
    ),
]


@pytest.mark.parametrize(("x", "hx", "sentence"), WRONG_INPUTS, ids=lambda v: "")
def test_wrong_inputs(x: Tensor, hx: Any, sentence: str) -> None:
    with pytest.raises(elman.UsageError, match=sentence):
        elman.LSTM(3, 4)(x, hx)
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        nn.LSTM(3, 4)(x, hx)
