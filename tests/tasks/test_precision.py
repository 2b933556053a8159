"""Every task trains in other precisions, and answers in float32 afterwards."""

from pathlib import Path

import pytest
import torch

from small_fits import FITS

pytestmark = pytest.mark.usefixtures("short_talks")


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
@pytest.mark.parametrize("task", FITS)
def test_a_task_trains_in_another_precision(task: str, precision: str, tmp_path: Path) -> None:
    model = FITS[task](tmp_path / "model", precision=precision, max_steps=2)
    assert model.validation.to_dict()
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
