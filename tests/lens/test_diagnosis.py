"""What is wrong with models made sick on purpose; the advice helps. Silence for healthy ones."""

import json
from typing import Any

import pytest
import torch

import elman
from elman import UsageError
from elman.cells import CELLS
from elman.lens import diagnose
from elman.lens.finding import Finding
from recall import Reader, after_training, answer, questions

# Untrained, some units of an upper layer hardly move: rectified sums below 0, a product of four tanh.
SLOW = ("li-gru", "nas")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("units", "layers", "both"), [(16, 1, False), (32, 2, False), (24, 1, True)])
def test_fresh_networks_are_healthy(cell: str, units: int, layers: int, both: bool) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        model = elman.Recurrent(cell, 8, units, layers, bidirectional=both)
        found = diagnose(model, torch.randn(30, 6, 8))
        if cell in SLOW:
            assert set(found.kinds) <= {"dead"}, str(found)
            return
        assert found.healthy and found.kinds == (), str(found)
    assert str(found) == "Nothing wrong is found."
    assert found.to_dict() == {"healthy": True, "findings": []}


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
@pytest.mark.parametrize("first", [False, True])
def test_fresh_torch_layers_are_healthy(kind: Any, first: bool) -> None:
    torch.manual_seed(0)
    assert diagnose(kind(5, 20, batch_first=first), torch.randn(25, 7, 5)).healthy


@pytest.mark.parametrize(
    ("cell", "options"),
    [("lstm", {"forget_bias": 2.0}), ("gru", {}), ("elman", {"recurrent_init": "orthogonal"})],
)
def test_networks_that_have_learned_are_healthy(cell: str, options: dict[str, Any]) -> None:
    model = Reader(cell, **options)
    assert after_training(model, 8, 200) < 0.3
    assert diagnose(model, questions(8)[0], answer, dependency=8, window=16).healthy


def test_a_bad_value_is_all_that_is_told() -> None:
    x = torch.randn(9, 3, 4)
    x[5, 1, 2] = float("nan")
    found = diagnose(elman.LSTM(4, 5), x, dependency=5, window=2)
    (finding,) = found.findings
    assert found.kinds == ("bad_step",) and finding.figures["step"] == 5
    assert "Input 2 of layer LSTM l0 is NaN, first at step 5 of sequence 1. Try: lower" in str(found)


def test_everything_at_once_is_plain_data() -> None:
    model = Reader("lstm", forget_bias=-1.0)
    x = 100 * questions(40)[0]
    found = diagnose(model, x, answer, dependency=40, window=10, begins=torch.zeros(41, 32))
    assert {"forget_bias", "window", "saturated"} <= {*found.kinds}
    assert found._repr_html_().count("<p>") == len(found.findings)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["healthy"] is False
    assert [one["kind"] for one in read["findings"]] == [one.kind for one in found.findings]
    assert all(isinstance(one, Finding) and str(one) in str(found) for one in found.findings)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"dependency": 0}, "dependency must be a whole number of steps from 1, not 0"),
        ({"window": 2.5}, "window must be a whole number of steps from 1, not 2.5"),
        ({"begins": torch.zeros(3, 3)}, r"begins must be \(20, 3\), steps and sequences, not \(3, 3\)"),
        ({"begins": torch.zeros(20, 3), "loss": None}, "begins needs a loss"),
        ({"forecasts": ([1.0], [1.0], [1.0])}, "forecasts must hold at least 10 finite forecasts, not 1"),
    ],
)
def test_wrong_arguments(more: dict[str, Any], sentence: str) -> None:
    arguments = {"loss": lambda result: result[0].sum()} | more
    with pytest.raises(UsageError, match=sentence):
        diagnose(elman.LSTM(4, 5), torch.randn(20, 3, 4), **arguments)


def test_a_module_without_recurrent_layers() -> None:
    with pytest.raises(UsageError, match="no recurrent layer"):
        diagnose(torch.nn.Linear(2, 2), torch.randn(3, 2))


def test_large_inputs_are_to_be_standardised() -> None:
    found = diagnose(elman.LSTM(1, 4), 20_000 + torch.randn(30, 2, 1))
    assert found.kinds == ("bad_step",) and "unit variance" in str(found)
