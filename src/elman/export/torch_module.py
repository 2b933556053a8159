"""`export_torch`: a layer as the module of PyTorch that computes the same, where there is one."""

from typing import Any, Final

from torch import nn

from elman.cells import GRU, LSTM, Cell, Elman, ElmanReLU
from elman.errors import UsageError
from elman.nn import Recurrent
from elman.nn.single_step import SingleStep

# For each cell the class of a layer, that of a single step, and further arguments of both.
MODULES: Final[dict[Cell, tuple[type[nn.Module], type[nn.Module], dict[str, Any]]]] = {
    LSTM: (nn.LSTM, nn.LSTMCell, {}),
    GRU: (nn.GRU, nn.GRUCell, {}),
    Elman: (nn.RNN, nn.RNNCell, {"nonlinearity": "tanh"}),
    ElmanReLU: (nn.RNN, nn.RNNCell, {"nonlinearity": "relu"}),
}
OPTIONS: Final = ("num_layers", "batch_first", "dropout", "bidirectional")


def export_torch(layer: Recurrent | SingleStep) -> nn.Module:
    """Return a torch.nn.LSTM, GRU or RNN, or LSTMCell, GRUCell or RNNCell, with a copy of a layer's weights:
    it computes the same, and its weights have the same names. Of what acts in training alone, it has dropout.

    Raises UsageError for a cell or an option that PyTorch doesn't have.
    """
    if not isinstance(layer, Recurrent | SingleStep):
        raise UsageError(f"export_torch takes a layer of elman, not {type(layer).__name__}")
    reasons = (
        (layer.cell not in MODULES, f"PyTorch has no {layer.cell.name}: export_onnx takes any cell"),
        (layer.layer_norm, "torch.nn's layers have no layer_norm: export_onnx takes it"),
        (layer.heads > 1, "torch.nn's layers have no heads: export_onnx takes them"),
        (layer.zoneout > 0, "torch.nn's layers have no zoneout, which acts after training, too"),
        (layer.proj_size > 0 and layer.cell is not LSTM, "torch.nn projects the LSTM only"),
        (layer.int8, "torch.nn's layers don't round weights: set layer.int8 = False to export floats"),
    )
    if reason := next((reason for holds, reason in reasons if holds), ""):
        raise UsageError(reason)
    whole, step, arguments = MODULES[layer.cell]
    sizes = layer.input_size, layer.hidden_size
    weights = layer.state_dict()
    arguments = arguments | {"bias": layer.bias, "dtype": next(iter(weights.values())).dtype}
    if isinstance(layer, Recurrent):
        arguments |= {name: getattr(layer, name) for name in OPTIONS}
        arguments |= {"proj_size": layer.proj_size} if layer.proj_size else {}
    module = (whole if isinstance(layer, Recurrent) else step)(*sizes, **arguments)
    module.load_state_dict(weights)
    return module.to(next(iter(weights.values())).device).train(layer.training)
