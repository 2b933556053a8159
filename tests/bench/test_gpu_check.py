"""`bench/gpu_check.py` where there is no GPU: what it says, and its check on the CPU's kernels."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCH))
    import gpu_check

    monkeypatch.setattr(gpu_check, "DEVICE", "cpu")
    return gpu_check


def test_without_a_gpu_it_says_so(
    check: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check.main() == 1
    assert capsys.readouterr().err == "bench/gpu_check.py needs a CUDA device, and PyTorch sees none\n"


@pytest.fixture
def wrong_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    from elman.engine import passes

    run = passes.run

    def wrong(*arguments: object, **more: object) -> object:
        result, trace = run(*arguments, **more)
        return result._replace(output=result.output * 1.001), trace

    monkeypatch.setattr(passes, "run", wrong)


def test_right_kernels_pass(check: Any) -> None:
    calls, wrong, worst = check.check_cell("gru", few=True)
    assert calls == 10 and wrong == 0 and worst < check.WITHIN
    calls, wrong, worst = check.check_random("lstm", 33, calls=5)
    assert calls == 5 and wrong == 0 and worst < check.WITHIN


@pytest.mark.usefixtures("wrong_kernels")
def test_wrong_kernels_are_counted_and_told(check: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls, wrong, worst = check.check_cell("gru", few=True)
    assert calls == wrong == 10 and worst > check.WITHIN
    assert capsys.readouterr().out.count("off by") == 10


def test_precisions_are_near_float32(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "KINDS", {"bfloat16": (torch.bfloat16, "highest")})
    monkeypatch.setattr(check, "ROUNDED", (("gru",), (64,), (16,)))
    ((said, holds),) = check.rounded()
    assert holds and said.startswith("gru in bfloat16, 64 units, 16 rows: off by")
