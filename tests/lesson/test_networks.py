"""The lesson's networks: what they read, how their gates begin, and that they learn."""

import math

import pytest
import torch

from elman.lesson.networks import CELLS, Reader, learn


@pytest.mark.parametrize("cell", CELLS)
def test_a_sentence_is_read_alike_alone_and_beside_a_longer_one(cell: str) -> None:
    torch.manual_seed(0)
    model = Reader(CELLS[cell], 5, 3, hidden=4)
    words = torch.randint(5, (6, 2))
    both = model(words, torch.tensor([6, 2]))
    torch.testing.assert_close(both[:1], model(words[:, :1]))
    torch.testing.assert_close(both[1:], model(words[:2, 1:]))


def test_gates_begin_by_keeping_a_state_for_so_many_words() -> None:
    log = math.log(50)
    lstm = Reader(CELLS["LSTM"], 5, 3, hidden=4, remember=50).layer
    total = (lstm.bias_ih_l0 + lstm.bias_hh_l0).view(4, 4)  # i f g o
    torch.testing.assert_close(total[:2], torch.tensor([[-log], [log]]).expand(2, 4))
    gru = Reader(CELLS["GRU"], 5, 3, hidden=4, remember=50).layer
    torch.testing.assert_close((gru.bias_ih_l0 + gru.bias_hh_l0).view(3, 4)[1], torch.full((4,), log))


def test_it_learns_which_word_came_last() -> None:
    torch.manual_seed(0)
    model = Reader(CELLS["Elman"], 4, 4, hidden=8)

    def batch() -> tuple[tuple[torch.Tensor], torch.Tensor]:
        words = torch.randint(4, (3, 32))
        return (words,), words[-1]

    learn(model, batch, 60, 1e-2)
    (words,), answers = batch()
    assert (model(words).argmax(1) == answers).all()
    assert not model.training
