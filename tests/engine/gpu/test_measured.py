"""Which kernels were measured to be faster than PyTorch's: the table, and what it says of other sizes."""

import math

import pytest
import torch

from elman.cells import CELLS
from elman.engine.gpu import measured


def test_the_table_has_cells_precisions_and_ratios_that_exist() -> None:
    names = {cell.name for cell in CELLS.values()}
    precisions = {"float32", "TF32", "bfloat16", "float16"}
    for cell, rows in measured._TABLE["ratios"].items():
        assert cell in names and rows.keys() <= precisions
        for hidden, batch, ratio in (row for kind in rows.values() for row in kind):
            assert hidden > 0 and batch > 0 and 0 < ratio < 100


@pytest.fixture
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"LSTM": {"bfloat16": [[256, 32, 1.5], [1024, 32, 0.9]], "TF32": [[256, 32, 3.0]]}}
    monkeypatch.setitem(measured._TABLE, "ratios", rows)


@pytest.mark.usefixtures("one_row")
@pytest.mark.parametrize(
    ("hidden", "batch", "passes", "ahead"),
    [
        (256, 32, 1, True),
        (300, 64, 1, True),
        (256, 32, 2, False),  # cuDNN runs both at once
        (128, 32, 1, False),  # too far from all that was measured
        (256, 128, 1, False),
        (1024, 32, 1, False),
    ],
)
def test_a_measurement_speaks_for_sizes_near_it(hidden: int, batch: int, passes: int, ahead: bool) -> None:
    assert measured.is_ahead("LSTM", torch.bfloat16, hidden, batch, passes) is ahead


@pytest.mark.usefixtures("one_row")
def test_what_was_not_measured_is_not_ahead() -> None:
    assert not measured.is_ahead("GRU", torch.bfloat16, 256, 32, 1)
    assert not measured.is_ahead("LSTM", torch.float16, 256, 32, 1)
    assert not measured.is_ahead("LSTM", torch.bfloat16, 0, 0, 1)


@pytest.mark.usefixtures("one_row")
def test_float32_is_what_pytorchs_setting_says() -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    assert measured.is_ahead("LSTM", torch.float32, 256, 32, 2)
    torch.set_float32_matmul_precision("highest")
    assert not measured.is_ahead("LSTM", torch.float32, 256, 32, 2)
    torch.set_float32_matmul_precision(before)


def test_far_is_the_logarithm_of_the_ratio_up_to_a_limit() -> None:
    assert measured._far(200, 100, 2.1) == measured._far(100, 200, 2.1) == math.log(2)
    assert measured._far(100, 300, 2.1) == math.inf
