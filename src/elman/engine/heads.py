"""Heads: a recurrent matrix with a block for each of N groups of units, whose sums read no other group. Beck
et al., "FlashRNN", arXiv:2412.07752.

With H units, G gates and D = H/N units of a head, unit j is of head j // D, and row r of `weight_hh` (G*H, D)
holds the weights of that gate's unit for the D units of its own head. The dense matrix (G*H, H) has the same
numbers in blocks and zeros elsewhere; it gives the same bits as long as h is finite.
"""

import torch
from torch import Tensor

from elman.engine.call import Stack, Weights


def dense(weight_hh: Tensor, heads: int) -> Tensor:
    """Return the matrix (G*H, H) of N heads, through which gradients flow."""
    if heads == 1:
        return weight_hh
    size = weight_hh.shape[1]
    own = torch.eye(heads, dtype=torch.bool, device=weight_hh.device).view(1, heads, 1, heads, 1)
    # not a product with 0 and 1: that would spread what isn't finite to other heads
    blocks = torch.where(own, weight_hh.reshape(-1, heads, size, 1, size), 0.0)
    return blocks.reshape(-1, heads * size)


def compact(matrix: Tensor, heads: int) -> Tensor:
    """Return the blocks (G*H, D) of a matrix (G*H, H); the inverse of `dense`."""
    if heads == 1:
        return matrix
    size = matrix.shape[1] // heads
    blocks = matrix.reshape(-1, heads, size, heads, size).diagonal(dim1=1, dim2=3)
    return blocks.movedim(-1, 1).reshape(-1, size)


def dense_weights(weights: Weights[Tensor], heads: int) -> Weights[Tensor]:
    """Return weights with the dense matrix in place of its blocks."""
    if heads == 1 or weights.weight_hh is None:
        return weights
    return weights._replace(weight_hh=dense(weights.weight_hh, heads))


def expanded(stack: Stack) -> Stack:
    """Return a stack that computes the same without heads."""
    if stack.heads == 1:
        return stack
    return stack._replace(weights=tuple(dense_weights(w, stack.heads) for w in stack.weights), heads=1)
