"""Declarations of cells, and what is wrong with some."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch

import elman
from elman.cells import LSTM, Cell, cell, cell_with_id
from elman.errors import UsageError


def declare(function: Callable[..., Any], **names: str) -> Cell:
    return cell(**({"gates": "a", "state": "h"} | names))(function)


WRONG: list[tuple[Callable[..., Any], dict[str, str], str]] = [
    (lambda x: x.a, {"gates": "a a"}, "gates needs different identifiers, not 'a a'"),
    (lambda x: x.a, {"gates": "1st"}, "gates needs different identifiers"),
    (lambda x: x.a, {"gates": ""}, "needs at least one gate and one state"),
    (lambda x: x.a, {"state": ""}, "needs at least one gate and one state"),
    (lambda x: x.a, {"state": "h h"}, "state needs different identifiers"),
    (lambda x, y: x.a, {}, r"takes \(x, y\): its arguments may be x, u, s and w"),
    (lambda: 0, {}, "its arguments may be x, u, s and w"),
    (lambda x, w: x.a, {}, "declare weights= exactly when the function takes w"),
    (lambda x: x.a, {"weights": "p"}, "declare weights= exactly when the function takes w"),
]


@pytest.mark.parametrize(("function", "names", "sentence"), WRONG, ids=lambda v: "")
def test_wrong_declarations(function: Callable[..., Any], names: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        declare(function, **names)


def test_a_layer_refuses_a_cell_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match="returns 2 values but has 1 states"):
        elman.Recurrent(declare(lambda x: (x.a, x.a)), 2, 3)
    with pytest.raises(UsageError, match=r"test_declaration\.py, line \d+: sinh is not a primitive"):
        elman.Recurrent(declare(lambda x: torch.sinh(x.a)), 2, 3)
    with pytest.raises(UsageError, match="can't call a weight bias_hh"):
        elman.Recurrent(declare(lambda x, w: x.a * w.bias_hh, weights="bias_hh"), 2, 3)


def undecorated(x: Any) -> Any:
    return x.h


def test_names_as_a_list_are_refused() -> None:
    with pytest.raises(UsageError, match=r"undecorated: gates must be a string of names, .* not \['h'\]"):
        cell(gates=["h"], state="h")(undecorated)  # type: ignore[arg-type]


def test_a_cell_is_found_by_its_id_while_it_lives() -> None:
    @cell(gates="a", state="h")
    def Brief(x: Any, u: Any) -> Any:
        return x.a + u.a

    identity = id(Brief)
    assert cell_with_id(identity) is Brief and cell_with_id(id(LSTM)) is LSTM
    del Brief
    gc.collect()
    with pytest.raises(KeyError):
        cell_with_id(identity)
