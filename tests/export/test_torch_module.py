from typing import Any

import pytest
import torch
from torch import nn

import elman
from elman import UsageError, cells
from elman.export.torch_module import MODULES


@pytest.mark.parametrize("cell", MODULES, ids=lambda c: c.name)
@pytest.mark.parametrize(
    "options",
    [
        {"num_layers": 2, "bidirectional": True, "dropout": 0.3},
        {"batch_first": True, "bias": False},
        {"dtype": torch.float64, "recurrent_dropout": 0.5},
    ],
    ids=str,
)
def test_a_layer_is_its_counterpart(cell: Any, options: dict[str, Any]) -> None:
    layer = elman.Recurrent(cell, 3, 4, **options).eval()
    module: Any = elman.export_torch(layer)
    assert type(module).__module__ == "torch.nn.modules.rnn" and not module.training
    x = torch.randn(5, 2, 3, dtype=options.get("dtype"))
    with torch.no_grad():
        (output, final), (ours, state) = module(x), layer(x)
    torch.testing.assert_close((output, final), (ours, state))
    for name, weight in layer.state_dict().items():  # a copy, under the same name
        assert torch.equal(module.state_dict()[name], weight)
        assert module.state_dict()[name].data_ptr() != weight.data_ptr()


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_a_projection_and_training() -> None:
    layer = elman.LSTM(3, 4, 2, proj_size=2, dropout=0.5)
    module: Any = elman.export_torch(layer)
    assert (module.proj_size, module.dropout, module.training) == (2, 0.5, True)
    layer.eval(), module.eval()
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(module(x), layer(x))


@pytest.mark.parametrize("kind", [elman.LSTMCell, elman.GRUCell, elman.RNNCell])
def test_a_single_step_is_its_counterpart(kind: Any) -> None:
    layer = kind(3, 4)
    module: Any = elman.export_torch(layer)
    assert type(module) is getattr(nn, kind.__name__)
    x = torch.randn(2, 3)
    torch.testing.assert_close(module(x), layer(x))


def test_what_pytorch_lacks_is_named() -> None:
    for layer, message in (
        (elman.Recurrent("mgu", 3, 4), "PyTorch has no MGU: export_onnx takes any cell"),
        (elman.LSTM(3, 4, layer_norm=True), "no layer_norm"),
        (elman.GRU(3, 4, heads=2), "no heads: export_onnx takes them"),
        (elman.GRU(3, 4, zoneout=0.1), "no zoneout"),
        (elman.Recurrent(cells.Elman, 3, 4, proj_size=2), "projects the LSTM only"),
        (elman.LSTM(3, 4, int8=True), r"set layer\.int8 = False"),
        (nn.LSTM(3, 4), "takes a layer of elman, not LSTM"),
    ):
        with pytest.raises(UsageError, match=message):
            elman.export_torch(layer)
