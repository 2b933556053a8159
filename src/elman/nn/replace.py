"""Replace torch.nn's recurrent layers by elman's inside an existing model."""

from typing import Any, TypeVar, cast

from torch import nn

from elman.nn import GRU, LSTM, RNN, Recurrent

Model = TypeVar("Model", bound=nn.Module)
SHARED = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")


def replace(model: Model) -> Model:
    """Replace every torch.nn.RNN, LSTM and GRU inside `model` by elman's with the same parameters.

    The model is changed in place and returned; for a model that is itself such a layer, a new one is. A layer
    that occurs several times is still shared afterwards. Subclasses of torch.nn's layers stay, because their
    forward may differ, and so do layers with other parameters (weight norm, pruning). A replaced layer's
    hooks are lost.
    """
    replacements: dict[nn.Module, nn.Module] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and type(child) in (nn.RNN, nn.LSTM, nn.GRU):
                if child not in replacements:
                    replacements[child] = _counterpart(cast(nn.RNNBase, child))
                parent._modules[name] = replacements[child]
    if type(model) in (nn.RNN, nn.LSTM, nn.GRU):
        return cast(Model, _counterpart(cast(nn.RNNBase, model)))
    return model


def _counterpart(layer: nn.RNNBase) -> nn.Module:
    options: dict[str, Any] = {name: getattr(layer, name) for name in SHARED}
    new: Recurrent
    # "meta" draws no numbers: the parameters are the old layer's own
    if isinstance(layer, nn.RNN):
        new = RNN(nonlinearity=layer.nonlinearity, device="meta", **options)
    elif isinstance(layer, nn.LSTM):
        new = LSTM(proj_size=layer.proj_size, device="meta", **options)
    else:
        new = GRU(device="meta", **options)
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
