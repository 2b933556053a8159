"""bench/export.py: the three sides take the same steps, and its table has a row for each."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import elman

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.delitem(sys.modules, "export", raising=False)
    return importlib.import_module("export")


def test_an_exported_step_goes_on_where_the_last_ended(bench: ModuleType) -> None:
    layer = elman.Recurrent(bench.own(), 4, 4).eval()
    x = torch.randn(3, 4)
    step, stream = bench.exported(layer, x.numpy()), layer.stream(3)
    for _ in range(3):
        assert np.abs(step() - stream.push(x.numpy())).max() < 1e-6


def test_a_row_for_every_cell_and_size(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "SIZES", ((4, 1),))
    monkeypatch.setattr(bench, "CELLS", {"LSTM": "lstm"})
    bench.main(0.0)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3 and rows[2].startswith("| LSTM | 4, 1 | ") and rows[2].count("×") == 2
