"""Variational dropout: one mask for all steps of a sequence."""

import torch.nn.functional as F
from torch import Tensor


def variational_dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Zero a share `p` of x (T, B, ...), the same values at every step, and scale the rest by 1 / (1 - p).

    Gal, Ghahramani, arXiv:1512.05287. Returns x itself, and draws nothing, if not training or if p is 0.
    """
    if not (training and p):
        return x
    return x * F.dropout(x.new_ones(1, *x.shape[1:]), p)
