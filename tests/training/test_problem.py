"""Sharing batches between processes, detaching states, and networks inside Fabric's wrapper."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from elman.errors import TrainingError
from elman.training.loop import Run
from elman.training.plan import Plan
from elman.training.problem import detached, device_of, share, unwrapped
from toy import Sums, Toy


@given(sizes=st.lists(st.integers(4, 9), max_size=5), world=st.integers(1, 4))
def test_share_deals_every_item_once(sizes: list[int], world: int) -> None:
    batches = [[100 * i + j for j in range(size)] for i, size in enumerate(sizes)]
    dealt = [share(batches, rank, world) for rank in range(world)]
    for i, batch in enumerate(batches):
        parts = [dealt[rank][i] for rank in range(world)]
        assert sorted(item for part in parts for item in part) == batch
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_share_refuses_a_batch_smaller_than_the_processes() -> None:
    with pytest.raises(
        TrainingError, match="4 processes can't share a batch of 3: choose another batch_size"
    ):
        share([[1, 2, 3, 4], [5, 6, 7]], 0, 4)


def test_detached_keeps_the_nest() -> None:
    x = torch.ones(2, requires_grad=True) * 2
    nest = {"a": (x, [x, 3]), "b": None}
    cut: Any = detached(nest)
    assert isinstance(cut["a"], tuple) and isinstance(cut["a"][1], list)
    assert cut["b"] is None and cut["a"][1][1] == 3
    assert torch.equal(cut["a"][0], x) and not cut["a"][0].requires_grad and not cut["a"][1][0].requires_grad


def test_unwrapped_is_the_network_with_and_without_fabric() -> None:
    model, plan = Toy(), Plan()
    wrapped: Any = Run(model, Sums(plan), plan).model
    assert wrapped is not model
    assert unwrapped(wrapped, Toy) is unwrapped(model, Toy) is model


def test_device_of_a_model() -> None:
    assert device_of(nn.Linear(2, 1)) == torch.device("cpu")
    assert device_of(nn.Linear(2, 1, device="meta")) == torch.device("meta")
