"""The cells by their names, as text, and as pickles."""

import copy
import pickle
import sys
from typing import Any

import pytest
import torch

import elman
from elman import cells
from elman.cells import CELLS, as_cell, cell
from elman.engine import trace
from elman.errors import UsageError


@pytest.mark.parametrize("kind", CELLS)
def test_pickle_and_copy_give_the_same_cell(kind: str) -> None:
    found = CELLS[kind]
    assert pickle.loads(pickle.dumps(found)) is found
    assert copy.deepcopy(found) is found
    assert repr(found) == f"<cell {found.name}: gates {' '.join(found.gates)}; state {' '.join(found.state)}>"
    assert found.recurrent == ("u" in found.parts)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_prints_its_equations(kind: str) -> None:
    """As they were written: run again, the text declares a cell that computes the same."""
    printed, names = str(CELLS[kind]), dict(vars(sys.modules[CELLS[kind].equations.__module__]))
    assert printed.startswith("@cell(gates=")
    exec(printed, names)
    twin = names[CELLS[kind].name]
    assert twin is not CELLS[kind] and repr(twin) == repr(CELLS[kind])
    assert trace(twin).nodes == trace(CELLS[kind]).nodes
    assert str(twin) == repr(twin)  # there is no source of what was run from text


def test_a_forget_gate_of_a_memory_begins_open() -> None:
    assert cells.LSTM.forget_bias == 1.0
    assert cells.GRU.forget_bias is None and cells.Elman.forget_bias is None
    assert CELLS["mgu"].forget_bias is None, "its f is an update gate"


def test_a_cell_that_cannot_be_found_again_is_not_pickled() -> None:
    @cell(gates="h", state="h")
    def Local(x, u):
        return x.h + u.h

    with pytest.raises(UsageError, match=r"loaded by its name, but module .* has no cell Local"):
        pickle.dumps(Local)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_found_by_any_writing_of_its_name(name: str) -> None:
    for writing in (name, name.upper(), name.replace("-", "_"), CELLS[name].name):
        assert as_cell(writing) is CELLS[name]
    assert as_cell(CELLS[name]) is CELLS[name]


def undecorated(x: Any) -> Any:
    return x.h


NO_CELLS = [
    ("RNN", "there is no cell 'RNN'; torch.nn's RNN is 'elman'"),
    ("mug", r"there is no cell 'mug'; did you mean 'mgu'\?"),
    ("transformer", "there is no cell 'transformer': there are elman, elman-relu, lstm"),
    (undecorated, r"undecorated is a plain function, not a cell: decorate it with @elman.cell\("),
    (None, r"a cell is one of elman.cells, the name of one \(\"lstm\"\) or a function .*, not None"),
    (elman.LSTM, "not <class 'elman.nn.dropin.LSTM'>"),
    (torch.nn.LSTM(2, 3), r"not LSTM\(2, 3\)"),
]


@pytest.mark.parametrize(("value", "sentence"), NO_CELLS, ids=lambda v: "")
def test_what_is_no_cell_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        elman.Recurrent(value, 2, 3)
