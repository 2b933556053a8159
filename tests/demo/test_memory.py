"""The memory task: networks, accuracy, and the gradient that reaches back."""

import pytest
import torch
from torch import nn

from elman.demo import memory, sentences


def test_the_gradient_back_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    model = memory.RecurrentNet(memory.CELLS["GRU"], 8)
    words, _ = sentences.sentences(4, 1, torch.Generator().manual_seed(0))
    shares = memory.gradient_back(model, words)
    h = torch.zeros(1, words.shape[1], 8)
    _, h = model.layer(model.embedding(words[:-1]), h)
    h = h.detach().requires_grad_()
    _, last = model.layer(model.embedding(words[-1:]), h)
    end = last.detach().requires_grad_()
    (at_end,) = torch.autograd.grad(model.answer(end).sum(), end)
    (before,) = torch.autograd.grad(model.answer(last).sum(), h)
    assert shares[0] == 1
    assert shares[1] == pytest.approx(float((before.norm(dim=-1) / at_end.norm(dim=-1)).mean()), rel=1e-4)


def test_the_accuracy_is_the_share_of_right_answers() -> None:
    class Last(nn.Module):
        def forward(self, words: torch.Tensor) -> torch.Tensor:
            return words[-1].float() - 0.5

    words = torch.tensor([[3, 3, 3, 3], [0, 1, 1, 0]])
    good = torch.tensor([False, True, False, False])
    assert memory.accuracies(Last(), [(words, good), (words[:, :3], good[:3])]) == [
        0.75,
        pytest.approx(2 / 3),
    ]


def test_every_network_gets_the_same_sentences() -> None:
    budget = memory.Budget(max_gap=10, hidden=4, epochs=1, steps=1, blocks=1, test_blocks=1)
    result = memory.compare(budget, progress=False)
    assert list(result["networks"]) == ["Elman", "GRU", "LSTM", "bag of words"]
    assert all(list(network["accuracy"]) == ["0", "10"] for network in result["networks"].values())
    assert "gradient" not in result["networks"]["bag of words"]
