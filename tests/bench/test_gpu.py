"""`bench/gpu.py` where there is no GPU: what it says, and its check on the CPU's kernels."""

import sys
from pathlib import Path

import pytest
import torch

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(BENCH))
    import gpu

    monkeypatch.setattr(gpu, "DEVICE", "cpu")
    return gpu


def test_without_a_gpu_it_says_so(
    gpu: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert capsys.readouterr().err == "bench/gpu.py needs a CUDA device, and PyTorch sees none\n"


@pytest.mark.parametrize("options", [{}, {"layer_norm": True, "bidirectional": True}])
def test_its_check_passes_right_kernels_and_finds_a_wrong_one(
    gpu: object, options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpu.difference("gru", 4, 3, 8, options) < gpu.WITHIN
    run = gpu.elman.engine.passes.run

    def wrong(*arguments: object, **more: object) -> object:
        result, trace = run(*arguments, **more)
        return result._replace(output=result.output * 1.001), trace

    monkeypatch.setattr(gpu.elman.engine.passes, "run", wrong)
    assert gpu.difference("gru", 4, 3, 8, options) > gpu.WITHIN


def test_a_training_step_gives_gradients(gpu: object) -> None:
    layer = gpu.elman.GRU(3, 4)
    gpu.training(layer, gpu.inputs((2, 5, 3), torch.float32, seed=1), {"lengths": [1, 2, 0, 2, 1]})()
    assert all(parameter.grad is not None for parameter in layer.parameters())
