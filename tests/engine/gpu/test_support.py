"""Reasons why a GPU has no kernel."""

import importlib.util

import pytest
import torch

from elman.engine.gpu import support

CUDA = torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("triton", "hip", "capability", "reason"),
    [
        (None, None, (9, 0), "pip install 'elman"),
        (object(), "6.0", (9, 0), "NVIDIA"),
        (object(), None, (7, 5), "compute capability 8.0"),
        (object(), None, (8, 0), ""),
    ],
)
def test_each_reason_is_named(
    triton: object, hip: object, capability: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: triton)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    found = support.obstacle.__wrapped__(CUDA)
    assert reason in found and bool(found) == bool(reason)
