"""A small artifact and comparisons for the tests of saving."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from elman.artifact import Artifact

FILES = ["README.md", "config.json", "model.safetensors", "scaler.json", "vocabulary.json"]


def model(number: int = 1, **changes: Any) -> Artifact:
    made = Artifact(
        task="toy",
        settings={"hidden": number, "cell": "lstm", "quantiles": [0.1, 0.9]},
        tensors={"w": torch.arange(6.0).view(2, 3) * number, "b": torch.ones(3, dtype=torch.bfloat16)},
        extras={"vocabulary": {"words": ["naïve", "日本", "\u2028", '"']}, "scaler": [1.5, None]},
        scores={"accuracy": 0.5, "baseline": {"accuracy": 0.4}},
        data={"fingerprint": "abc", "rows": 3, "source": "a b.csv"},
        card="# Toy – a model\n",
    )
    return replace(made, **changes)


def same(a: Artifact, b: Artifact) -> bool:
    fields = ("task", "settings", "extras", "scores", "data", "card", "version")
    return all(getattr(a, name) == getattr(b, name) for name in fields) and alike(a.tensors, b.tensors)


def alike(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Bit for bit, so that NaNs count too."""

    def content(tensor: Tensor) -> Any:
        flat = tensor.reshape(-1).clone(memory_format=torch.contiguous_format)
        return tensor.dtype, tensor.shape, flat.view(torch.uint8).tolist()

    return {k: content(v) for k, v in a.items()} == {k: content(v) for k, v in b.items()}
