"""Layers: drop-in `RNN`, `LSTM` and `GRU` for torch.nn, and `Recurrent` for any cell."""

from elman.nn.dropin import GRU, LSTM, RNN
from elman.nn.recurrent import Recurrent
from elman.nn.single_step import GRUCell, LSTMCell, RNNCell

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell", "Recurrent"]
