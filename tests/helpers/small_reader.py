"""A small classifier network for tests of the network and of its training."""

from typing import Any

import torch

from elman.tasks.classify.network import POOLING, ClassifierNet
from elman.tasks.classify.settings import Settings

PARTS: dict[str, Any] = {
    "embedding": 5,
    "hidden": 4,
    "pooling": "+".join(POOLING),
    "dropout": 0.3,
    "embedding_dropout": 0.2,
    "bidirectional": False,
}


def reader(**changes: Any) -> ClassifierNet:
    torch.manual_seed(1)
    return ClassifierNet(Settings(**(PARTS | changes)), 20, 3)
