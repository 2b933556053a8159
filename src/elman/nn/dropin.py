"""`RNN`, `LSTM` and `GRU` with the arguments of torch.nn's, and `Recurrent`'s further options."""

from typing import Any, TypedDict, Unpack

import torch

from elman import cells
from elman.engine.call import Engine
from elman.errors import UsageError
from elman.nn.parameters import Init
from elman.nn.recurrent import Recurrent


class Extras(TypedDict, total=False):
    """The options of every layer beyond torch.nn; see `Recurrent`."""

    zoneout: float
    recurrent_dropout: float
    weight_dropout: float
    layer_norm: bool
    heads: int
    forget_bias: float | None
    recurrent_init: Init
    recompute: bool
    int8: bool
    engine: Engine


class RNN(Recurrent):
    """Elman's network with tanh or relu: torch.nn.RNN, and `Recurrent`'s further options."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise UsageError(f'nonlinearity must be "tanh" or "relu", not {nonlinearity!r}')
        cell = cells.Elman if nonlinearity == "tanh" else cells.ElmanReLU
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(cell, *sizes, device=device, dtype=dtype, **extras)
        self.nonlinearity = nonlinearity


class LSTM(Recurrent):
    """torch.nn.LSTM, and `Recurrent`'s further options."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        super().__init__(cells.LSTM, *sizes, device=device, dtype=dtype, **extras)


class GRU(Recurrent):
    """torch.nn.GRU, and `Recurrent`'s further options."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **extras: Unpack[Extras],
    ) -> None:
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(cells.GRU, *sizes, device=device, dtype=dtype, **extras)
