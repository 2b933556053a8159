"""`bench/gpu.py` where there is no GPU: what it says, and how it sums up."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

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


def test_a_training_step_gives_gradients(gpu: object) -> None:
    layer = gpu.elman.GRU(3, 4)
    gpu.training(layer, gpu.inputs((2, 5, 3), torch.float32, seed=1), {"lengths": [1, 2, 0, 2, 1]})()
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_its_choices_are_the_table_that_the_engine_reads(
    gpu: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu.importlib.metadata, "version", lambda name: "3.6.0")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    processors = SimpleNamespace(multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: processors)
    row = {"T, B, H": (512, 32, 256), "precision": "bfloat16", "ratio": 6.7}
    rows = [row | {"what": "GRU and nn.GRU"}, row | {"what": "LSTM with resets and nn.LSTM without"}]
    written = json.loads(gpu.choices(rows))
    assert written.keys() == gpu.measured._TABLE.keys()
    assert written["ratios"] == {"GRU": {"bfloat16": [[256, 32, 6.7]]}}
