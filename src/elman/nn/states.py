"""Recurrent states as layers return them: a tensor (L*D, B, ·) a state, or tuples of such tensors."""

from typing import TypeVar, cast

from torch import Tensor

S = TypeVar("S")  # None, a tensor, or a tuple of these, nested at will


def select_rows(state: S, rows: Tensor) -> S:
    """Return the states of these sequences, in the order of `rows` (int64 indices along axis 1)."""
    if isinstance(state, tuple):
        return cast(S, tuple(select_rows(part, rows) for part in state))
    if isinstance(state, Tensor):
        return cast(S, state.index_select(1, rows))
    return state
