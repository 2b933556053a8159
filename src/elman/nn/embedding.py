"""Embeddings that also serve as output weights."""

import math

from torch import Tensor, nn


def scaled_vectors(table: nn.Embedding, ids: Tensor) -> Tensor:
    """Return the vectors (..., E) of ids (...), times √E: drawn for an output layer, they are too small for
    gates to tell apart; scaled, their size is about 1. Vaswani et al., arXiv:1706.03762, section 3.4."""
    vectors: Tensor = table(ids)
    return vectors * math.sqrt(table.embedding_dim)
