"""Lines, and equations as lines."""

import math
from typing import Any

import pytest
import torch

from elman.cells import cell
from elman.engine.gpu.emit.writer import Value, Writer
from elman.engine.trace import trace


@cell(gates="a", state="h")
def Chosen(x: Any, u: Any, s: Any) -> Any:
    on = x.a > u.a
    return torch.where(on, s.h, 1.5) * x.a


def lines(cell: Any) -> tuple[list[str], list[Value]]:
    writer = Writer()
    with writer.block("for t in range(T):"):
        values = writer.evaluate(trace(cell), lambda letter, name: Value(f"{letter}_{name}", letter != "w"))
    return writer.lines, values


def test_equations_are_indented_lines_with_the_names_of_their_author() -> None:
    written, values = lines(Chosen)
    assert written[0] == "for t in range(T):"
    assert written[1] == "    v2 = x_a > u_a  # on"
    assert "    v5 = tl.where(v2, s_h, 1.5)" in written
    assert written[-1] == "    v6 = v5 * x_a  # h" and values[-1].wide


def test_what_follows_from_weights_alone_has_one_number_for_each_unit() -> None:
    @cell(gates="a", state="h", weights="p")
    def Weighted(x: Any, s: Any, w: Any) -> Any:
        return torch.exp(w.p) * 2.0 + x.a * s.h

    _, values = lines(Weighted)
    narrow = [value.text for value in values if not value.wide]
    assert narrow == ["w_p", "v1", "2.0", "v3"]


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.0"), (-0.5, "(-0.5)"), (1e-30, "1e-30"), (math.inf, 'float("inf")')]
)
def test_numbers_are_written_exactly(value: float, text: str) -> None:
    @cell(gates="a", state="h")
    def Scaled(x: Any, s: Any) -> Any:
        return x.a * value + s.h

    assert any(f"x_a * {text}" in line for line in lines(Scaled)[0])
