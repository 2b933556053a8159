"""What a launch gives a kernel."""

import pytest
import torch

from elman.cells import CELLS
from elman.engine.gpu.emit.plan import plan_for
from elman.engine.gpu.launch import options, precision
from elman.engine.gpu.sizes import Gpu, layout_for


def test_only_programs_that_wait_for_each_other_must_run_at_once() -> None:
    plan = plan_for(CELLS["lstm"], streamed=True)
    many, one = (layout_for(plan, 768, 16, torch.float16, Gpu(n, 0)) for n in (132, 1))
    assert options(many)["launch_cooperative_grid"] and "launch_cooperative_grid" not in options(one)


@pytest.mark.parametrize(("setting", "expected"), [("highest", "tf32x3"), ("high", "tf32")])
def test_float32_is_multiplied_as_pytorchs_setting_says(setting: str, expected: str) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(setting)
    assert precision(torch.float32) == expected and precision(torch.float16) == "tf32"
    torch.set_float32_matmul_precision(before)
