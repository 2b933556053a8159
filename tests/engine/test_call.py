"""Requests and results: names and order, there and back."""

from typing import Any

import pytest
import torch

from elman.cells import CELLS
from elman.engine.call import Arguments, Result, Spec, Trace, Weights, flatten, taken, unflatten


def numbered(form: Any) -> Any:
    """The same form with 0, 1, ... in it."""
    return unflatten(form, range(len(flatten(form))))


def test_nested_tuples_there_and_back() -> None:
    form = ((None, (1, ())), Result(2, (3, 4), ()), 5)
    assert flatten(form) == [None, 1, 2, 3, 4, 5]
    assert unflatten(form, flatten(form)) == form
    assert isinstance(unflatten(form, flatten(form))[1], Result)


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_a_spec_knows_the_form_of_its_arguments(kind: str, masks: bool) -> None:
    cell = CELLS[kind]
    state = (None,) * len(cell.state)
    arguments = Arguments(
        None, state, Weights(None, units=(None,) * len(cell.weights)), zoneout=state if masks else ()
    )
    spec = Spec(cell, 4, zoneout_masks=masks)
    assert spec.arguments(flatten(numbered(arguments))) == numbered(arguments)


@pytest.mark.parametrize("every", [False, True])
def test_a_spec_knows_the_form_of_results_and_traces(every: bool) -> None:
    cell = CELLS["lstm"]
    spec = Spec(cell, 4, every_state=every)
    assert spec.result(range(9)) == Result(0, (1, 2), (3, 4) if every else ())
    assert spec.trace(range(6)) == Trace((0, 1), 2, 3, 4, 5)


def test_steps_within_lengths() -> None:
    expected = [[True, False, True], [True, False, False]]
    assert taken(torch.tensor([2, 0, 1]), 2).tolist() == expected
