"""Kernels as functions, and what Triton's compiler makes of them for GPUs that are not here."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elman.cells import CELLS
from elman.engine.gpu import build
from elman.engine.gpu.emit.kernel import kernel
from elman.engine.gpu.emit.plan import plan_for
from interpreted import needs_triton

HELPERS = Path(__file__).parents[2] / "helpers"


@needs_triton
def test_triton_finds_the_source_of_a_kernel() -> None:
    plan = plan_for(CELLS["gru"], keep=True)
    function = build.function(plan)
    assert function is build.function(plan)
    assert inspect.getsource(function.fn) in kernel(plan)


@needs_triton
@pytest.mark.skipif(sys.platform != "linux", reason="triton's compiler is for Linux")
def test_kernels_compile_for_a_gpu(tmp_path: Path) -> None:
    """To machine code of an H100, in another process: this one interprets. All that CI can afford."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, str(HELPERS / "compile_kernels.py"), "--few", "90"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    resident, sliced, headed = result.stdout.splitlines()
    assert "resident by 1" in resident and "sliced by 96" in sliced and "resident by 8" in headed
