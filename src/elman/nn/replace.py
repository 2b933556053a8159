"""Replace torch.nn's recurrent layers by elman's inside an existing model."""

from typing import Any, Final, TypeVar, cast

from torch import nn

from elman.nn import GRU, LSTM, RNN, GRUCell, LSTMCell, Recurrent, RNNCell

Model = TypeVar("Model", bound=nn.Module)
SHARED = ("input_size", "hidden_size", "bias")
OF_LAYERS = ("num_layers", "batch_first", "dropout", "bidirectional")
# For each class of torch.nn elman's, and the arguments of both.
COUNTERPARTS: Final[dict[type[nn.Module], tuple[type[nn.Module], tuple[str, ...]]]] = {
    nn.RNN: (RNN, (*SHARED, *OF_LAYERS, "nonlinearity")),
    nn.LSTM: (LSTM, (*SHARED, *OF_LAYERS, "proj_size")),
    nn.GRU: (GRU, (*SHARED, *OF_LAYERS)),
    nn.RNNCell: (RNNCell, (*SHARED, "nonlinearity")),
    nn.LSTMCell: (LSTMCell, SHARED),
    nn.GRUCell: (GRUCell, SHARED),
}


def replace(model: Model) -> Model:
    """Replace every torch.nn.RNN, LSTM and GRU, RNNCell, LSTMCell and GRUCell inside `model` by elman's with
    the same parameters.

    The model is changed in place and returned; for a model that is itself such a layer, a new one is. A layer
    that occurs several times is still shared afterwards. Subclasses of torch.nn's layers stay, because their
    forward may differ, and so do layers with other parameters (weight norm, pruning). A replaced layer's
    hooks are lost.
    """
    replacements: dict[nn.Module, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and type(child) in COUNTERPARTS:
                if child not in replacements:
                    replacements[child] = _counterpart(child)
                parent._modules[name] = replacements[child]
    return cast(Model, _counterpart(model)) if type(model) in COUNTERPARTS else model


def _counterpart(layer: nn.Module) -> nn.Module:
    kind, names = COUNTERPARTS[type(layer)]
    options: dict[str, Any] = {name: getattr(layer, name) for name in names}
    # "meta" draws no numbers: the parameters are the old layer's own
    new = kind(device="meta", **options)
    parameters = dict(layer.named_parameters(recurse=False))
    if parameters.keys() != dict(new.named_parameters()).keys():
        return layer
    for name, parameter in parameters.items():
        setattr(new, name, parameter)
    return new.train(layer.training)


def round_weights(model: nn.Module, on: bool = True) -> nn.Module:
    """Switch 8-bit weights on or off, for calls without gradients, in every elman layer of a model."""
    for layer in model.modules():
        if isinstance(layer, Recurrent):
            layer.int8 = on
    return model
