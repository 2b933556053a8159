"""A small classifier network for tests of the network and of its training."""

from typing import Any

import torch

from elman.data.text.tokenizers import PADDING
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


def phrase_reader(**changes: Any) -> ClassifierNet:
    """A network that knows the phrases 3 4, 4 3 and 3 4 3, with any evidence."""
    phrases = torch.tensor([3 * 20 + 4, 4 * 20 + 3, 20 * 20 + 3])
    torch.manual_seed(1)
    module = ClassifierNet(Settings(**(PARTS | {"phrase": 3} | changes)), 20, 3, phrases=phrases)
    assert module.evidence is not None
    module.evidence.values = torch.randn(23, 3)
    module.evidence.values[PADDING] = 0
    return module.eval()
