"""Memory horizons are those that theory gives for linear networks."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import elman
from elman import UsageError
from elman.lens.horizon import fall, memory_horizon
from linear_layers import WithOptions, rotation


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.97])
def test_a_linear_network_forgets_as_its_spectrum_says(decay: float) -> None:
    x = torch.randn(300, 5, 2, dtype=torch.float64)
    found = memory_horizon(rotation(decay), x, unit="hours")
    (memory,) = found.layers
    for horizon in memory.horizons:
        expected = math.log(horizon.share) / math.log(decay)
        assert horizon.steps == pytest.approx(expected, rel=0.02)
        assert horizon.low <= horizon.steps <= horizon.high
    assert found.length == 300 and found.to_dict()["unit"] == "hours"


def test_a_reset_ends_the_memory() -> None:
    reset = torch.zeros(40, 2, dtype=torch.bool)
    reset[30] = True
    layer = rotation(0.99)
    x = torch.randn(40, 2, 2, dtype=torch.float64)

    (memory,) = memory_horizon(WithOptions(layer, reset=reset), x).layers
    assert all(9 <= h.steps <= 10 for h in memory.horizons)


def test_ragged_sequences_are_measured_from_their_own_ends() -> None:
    layer, lengths = rotation(0.5), torch.tensor([60, 20, 3])

    x = torch.randn(60, 3, 2, dtype=torch.float64)
    (memory,) = memory_horizon(WithOptions(layer, lengths=lengths), x, lambda result: result[1].sum()).layers
    steps = torch.arange(20, dtype=torch.float64)
    expected = (0.5**steps)[:, None].expand(-1, 2)
    assert torch.isnan(memory.influence[3:, 2]).all() and not torch.isnan(memory.influence[:3, 2]).any()
    assert memory.influence[:20, :2].log() == pytest.approx(expected.log().numpy(), abs=2.0)


def test_a_backward_layer_is_measured_from_the_beginning() -> None:
    layer = elman.Recurrent("lstm", 2, 4, bidirectional=True)
    found = memory_horizon(layer, torch.randn(30, 3, 2), lambda result: result[0][[0, -1]].square().sum())
    assert [one.name for one in found.layers] == ["Recurrent l0", "Recurrent l0 reverse"]
    for one in found.layers:
        assert one.influence.shape == (30, 3) and one.influence[0].eq(1).all()
        assert one.influence[20].max() < 0.1


class Answers(torch.nn.Module):
    """What a layer says of every step, or of each sequence as a whole."""

    def __init__(self, layer: torch.nn.Module, take: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.take = layer, take

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.take(self.layer(x)[0])


@pytest.mark.parametrize("batch_first", [False, True])
def test_answers_of_sequences_count_all_sequences(batch_first: bool) -> None:
    torch.manual_seed(0)
    layer = torch.nn.RNN(3, 8, batch_first=batch_first)
    x = torch.randn(20, 7, 3)
    x = x.transpose(0, 1) if batch_first else x

    def last(outputs: torch.Tensor) -> torch.Tensor:
        return outputs.select(1 if batch_first else 0, -1)

    takes: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "of steps": lambda outputs: outputs,
        "numbers of steps": lambda outputs: outputs.sum(2),
        "of sequences": last,
        "numbers of sequences": lambda outputs: last(outputs).sum(1),
    }
    for name, take in takes.items():
        (memory,) = memory_horizon(Answers(layer, take), x).layers
        assert memory.influence.shape == (20, 7) and memory.influence[0].eq(1).all(), name
        assert 0 < memory.horizons[0].low <= memory.horizons[0].steps < 19, name


def test_one_sequence_without_a_batch() -> None:
    (memory,) = memory_horizon(Answers(elman.RNN(3, 8), lambda outputs: outputs), torch.randn(20, 3)).layers
    assert memory.influence.shape == (20, 1) and 0 < memory.horizons[0].steps < 19


@given(st.floats(0.3, 0.99), st.floats(0.001, 0.5))
def test_the_fall_of_a_geometric_influence(decay: float, share: float) -> None:
    influence = decay ** np.arange(2_000, dtype=float)
    assert fall(influence, share) == pytest.approx(math.log(share) / math.log(decay), rel=1e-6)


def test_what_does_not_fall_is_beyond_the_sequences() -> None:
    assert fall(np.ones(5), 0.1) == math.inf
    assert fall(np.array([0.05, 0.01]), 0.1) == 0.0
    found = memory_horizon(rotation(1.0), torch.randn(20, 2, 2, dtype=torch.float64))
    assert found.layers[0].horizons[0].steps == math.inf
    assert found.to_dict()["layers"]["Recurrent l0"][0]["steps"] is None


def test_a_loss_that_does_not_see_the_layer_is_refused() -> None:
    class Blind(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = elman.GRU(2, 3), torch.nn.Linear(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.inner(x)
            output: torch.Tensor = self.head(x)
            return output

    with pytest.raises(UsageError, match="does not depend on a recurrent layer"):
        memory_horizon(Blind(), torch.randn(4, 2, 2))
