"""Recurrent states as layers return them: a tensor (L*D, B, ·) a state, or tuples of such tensors."""

from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor

S = TypeVar("S")  # None, a tensor, or a tuple of these, nested at will


def select_rows(state: S, rows: Tensor) -> S:
    """Return the states of these sequences, in the order of `rows` (int64 indices along axis 1)."""
    if isinstance(state, tuple):
        return cast(S, tuple(select_rows(part, rows) for part in state))
    if isinstance(state, Tensor):
        return cast(S, state.index_select(1, rows))
    return state


def join_rows(states: Sequence[S]) -> S:
    """Return the state of all the sequences of several states of the same layers, one state after another."""
    first = states[0]
    if isinstance(first, tuple):
        parts = zip(*(cast(tuple[S, ...], state) for state in states), strict=True)
        return cast(S, tuple(join_rows(part) for part in parts))
    if isinstance(first, Tensor):
        return cast(S, torch.cat(cast(list[Tensor], list(states)), 1))
    return first
