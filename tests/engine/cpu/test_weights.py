"""8-bit weights: near the exact outputs, the result of rounded weights, and only where nothing is learned."""

from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman.cells import CELLS


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """By the formula: every row's largest number becomes 127."""
    scale = weight.abs().amax(1, keepdim=True) / 127
    return (weight / scale).round() * scale


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("hidden", [16, 37])
@pytest.mark.parametrize("name", ["lstm", "gru", "elman", "slstm"])
def test_outputs_are_those_of_rounded_weights(name: str, hidden: int, norm: bool) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent(CELLS[name], 5, hidden, layer_norm=norm, int8=True, engine="compiled")
    exact = elman.Recurrent(CELLS[name], 5, hidden, layer_norm=norm, engine="compiled")
    exact.load_state_dict(layer.state_dict())
    x, lengths = torch.randn(7, 3, 5), [7, 0, 4]
    with torch.no_grad():
        plain = exact(x, lengths=lengths)[0], exact(x)[0]
        for weight in (exact.weight_ih_l0, exact.weight_hh_l0):
            weight.copy_(rounded(weight))
        for found, wanted, full in zip(
            (layer(x, lengths=lengths)[0], layer(x)[0]),
            (exact(x, lengths=lengths)[0], exact(x)[0]),
            plain,
            strict=True,
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=2e-6)
            assert 0 < (found - full).abs().max() < 0.03


def test_a_stream_gives_the_numbers_of_the_sequence() -> None:
    layer = elman.LSTM(5, 32, 2, int8=True)
    x, state, outputs = torch.randn(6, 2, 5), None, []
    with torch.no_grad():
        for t in range(6):
            output, state = layer.step(x[t], state)
            outputs.append(output)
        assert torch.equal(torch.stack(outputs), layer(x)[0])


def test_training_sees_the_weights_themselves() -> None:
    layer = elman.LSTM(5, 32, int8=True)
    exact = elman.LSTM(5, 32)
    exact.load_state_dict(layer.state_dict())
    x = torch.randn(6, 2, 5)
    assert torch.equal(layer(x)[0], exact(x)[0])


def test_a_saved_model_can_be_read_so(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": f"the film was {word} {k}", "label": word} for k in range(30) for word in ("good", "bad")
    ]
    import polars

    elman.Classifier.fit(polars.DataFrame(rows), folder=tmp_path / "m", epochs=2, progress=False)
    loaded = elman.load(tmp_path / "m", int8=True)
    assert isinstance(loaded, elman.Classifier) and loaded.network.layers.int8
    assert not elman.load(tmp_path / "m").network.layers.int8
