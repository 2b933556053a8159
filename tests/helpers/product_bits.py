"""A product's numbers have the same bits alone and together."""

from typing import Any

import torch
from hypothesis import strategies as st


def assert_parts_are_the_whole(case: Any, data: st.DataObject) -> None:
    """Every row alone, every panel alone, and any part of both give the very bits of the whole."""
    whole, pieces = case.to.clone(), case.to.clone()
    case.into(whole, slice(None), case.first, case.last)
    cut = data.draw(st.integers(0, len(case.to)))
    case.into(pieces, slice(0, cut), case.first, case.last)
    for row in range(cut, len(case.to)):
        for q in range(case.first, case.last):
            case.into(pieces, slice(row, row + 1), q, q + 1)
    assert torch.equal(whole, pieces)
