"""Numbers that the lens is called with are checked where they come in."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from elman import UsageError, lens
from elman.lens.numbers import check_least, check_number
from small_view import small_layer, small_view


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, True])
def test_at_least_one(value: Any) -> None:
    with pytest.raises(UsageError, match="count must be 1 or more"):
        check_least("count", value)


@pytest.mark.parametrize("value", [3, -1, 1.0, "1", None, True])
def test_one_of_three(value: Any) -> None:
    with pytest.raises(UsageError, match="unit must be a number from 0 to 2"):
        check_number("unit", value, 3)
    check_number("unit", 2, 3)


@pytest.mark.parametrize("value", ["a", None, 0.5])
@pytest.mark.parametrize(
    "use",
    [
        lambda view, value: lens.look(view, sequence=value),
        lambda view, value: lens.unit_colours(view, unit=value),
        lambda view, value: lens.unroll(view, most=value),
        lambda view, value: lens.attribution(view, steps=value),
        lambda view, value: lens.lyapunov_exponents(view, None, value),
        lambda view, value: lens.neighbours(view, None, (0, 2), sequence=value),
        lambda view, value: lens.neighbours(view, None, (0, value)),
        lambda view, value: lens.neighbours(view, None, value),
        lambda view, value: lens.order(lambda _: (0.5, None), [["a", "b"]], repeats=value),
        lambda view, value: lens.order(lambda _: (0.5, None), [["a", "b"]], within=[value]),
    ],
)
def test_views_take_whole_numbers(use: Callable[..., Any], value: Any) -> None:
    with pytest.raises(UsageError):
        use(small_view(small_layer()), value)


@pytest.mark.parametrize("labels", [5, [5], [["a"] * 4], [["a"] * 5] * 2, [[1] * 4] * 2, ["a"] * 4])
def test_labels_that_do_not_fit(labels: Any) -> None:
    with pytest.raises(UsageError, match="labels must be"):
        lens.attach(small_layer()).look(torch.randn(4, 2, 3), labels)
