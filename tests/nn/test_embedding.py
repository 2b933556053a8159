"""Vectors that an output layer shares, as inputs."""

import torch
from torch import nn

from elman.nn.embedding import scaled_vectors


def test_vectors_grow_with_the_root_of_their_width() -> None:
    table, ids = nn.Embedding(5, 16), torch.tensor([[0, 3], [4, 4]])
    assert scaled_vectors(table, ids).equal(4 * table.weight[ids])
