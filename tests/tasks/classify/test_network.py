"""The network against single texts and its pools' definitions."""

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.batches import pad
from elman.data.text.tokenizers import UNKNOWN
from elman.tasks.classify import network
from elman.tasks.classify.network import POOLING, Ensemble
from elman.tasks.classify.settings import POOLS, Settings
from small_reader import PARTS, phrase_reader, reader


def ensemble(count: int) -> Ensemble:
    torch.manual_seed(1)
    return Ensemble(Settings(**(PARTS | {"networks": count})), 20, 3).eval()


def test_every_pool_of_the_settings_is_there() -> None:
    assert tuple(POOLING) == POOLS


@pytest.mark.parametrize(
    "changes", [{}, {"bidirectional": True}, {"layers": 2}, {"cell": "gru"}, {"cell": "mgu"}]
)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_a_text_in_a_padded_batch_is_read_as_if_alone(changes: Any, lengths: list[int], seed: int) -> None:
    module, draw = reader(**changes).eval(), random.Random(seed)
    texts = [[draw.randint(1, 19) for _ in range(n)] for n in lengths]
    alone = torch.cat([module(*pad([text])) for text in texts])
    torch.testing.assert_close(module(*pad(texts)), alone)


def test_pools_against_their_definition() -> None:
    module = reader().eval()
    ids = torch.tensor([3, 4, 5, 6])
    outputs, _ = module.layers(module.embedding(ids).unsqueeze(1))
    pooled = torch.cat([outputs.mean(0), outputs.amax(0), outputs[-1]], 1)
    torch.testing.assert_close(module(ids.unsqueeze(1), torch.tensor([4])), module.head(pooled))


def test_last_of_both_directions_is_the_final_state() -> None:
    module = reader(bidirectional=True, pooling="last").eval()
    ids, lengths = pad([[3, 4, 5], [6, 7, 8, 9, 10]])
    _, (h, _) = module.layers(module.embedding(ids), lengths=lengths)
    torch.testing.assert_close(module(ids, lengths), module.head(torch.cat([h[0], h[1]], 1)))


def test_reading_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = reader().eval()
    batch = pad([[i % 18 + 1 for i in range(n)] for n in (1, 7, 8, 30)])
    whole = module(*batch)
    monkeypatch.setattr(network, "CHUNK_STEPS", 7)
    torch.testing.assert_close(module(*batch), whole)


@pytest.mark.parametrize("bidirectional", [False, True])
@given(texts=st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=9), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_phrases_are_read_alone_and_in_batches(bidirectional: bool, texts: list[list[int]]) -> None:
    module = phrase_reader(bidirectional=bidirectional)
    alone = torch.cat([module(*pad([text])) for text in texts])
    torch.testing.assert_close(module(*pad(texts)), alone)


@given(st.lists(st.integers(3, 5), min_size=1, max_size=9), st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_phrases_are_read_in_pieces(ids: list[int], size: int) -> None:
    module = phrase_reader()
    whole = module(*pad([ids]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "CHUNK_STEPS", size)
        torch.testing.assert_close(module(*pad([ids])), whole)


def test_words_learn_at_the_root_of_their_share_of_the_batches() -> None:
    module = reader(embedding_dropout=0.0, dropout=0.0).train()
    start = module.embedding.weight.detach().clone()
    occurring = torch.full((20,), 0.5)
    occurring[4] = 0.0  # in no text
    module.begin_training(occurring, 2, None)
    assert torch.equal(module.embedding.weight, start)
    module(*pad([[3, 4]])).square().sum().backward()
    (learned,) = module.embedding.parameters()
    torch.optim.SGD([learned], 1.0).step()
    module.end_training()
    moved = module.embedding.weight - start
    torch.testing.assert_close(moved[3], -learned.grad[3] * 0.75**0.5)  # type: ignore[index]
    assert moved[3].any() and not moved[4].any()
    assert [*module.state_dict()] == [*reader().state_dict()]


def test_a_dropped_word_is_read_as_the_unknown_word() -> None:
    module = reader(dropout=0.0, embedding_dropout=0.0, word_dropout=0.5)
    batch = pad([[3, 4]])
    torch.manual_seed(0)
    read = {
        tuple(row)
        for row in torch.cat([module.train()(*batch) for _ in range(60)]).round(decimals=5).tolist()
    }
    module.eval()
    variants = [[a, b] for a in (3, UNKNOWN) for b in (4, UNKNOWN)]
    assert read == {tuple(module(*pad([ids])).round(decimals=5)[0].tolist()) for ids in variants}


def test_an_ensemble_answers_with_the_mean_of_the_probabilities() -> None:
    module, batch = ensemble(3), pad([[3, 4, 5], [6, 7, 8, 9, 10]])
    each = torch.stack([member(*batch).softmax(1) for member in module.members])
    torch.testing.assert_close(module(*batch).softmax(1), each.mean(0))
    assert not torch.allclose(each[0], each[1])


def test_one_network_answers_as_it_is() -> None:
    module, batch = ensemble(1), pad([[3, 4, 5], [6, 7, 8, 9, 10]])
    assert torch.equal(module(*batch), module.members[0](*batch))


@pytest.mark.parametrize("sizes", [[2, 2], [1, 3]])
def test_each_network_learns_from_its_own_texts(sizes: list[int]) -> None:
    module, texts = ensemble(2), [[3, 4, 5], [6], [7, 8, 9, 10], [11, 12]]
    parts = [texts[: sizes[0]], texts[sizes[0] :]]
    alone = [member(*pad(part)) for member, part in zip(module.members, parts, strict=True)]
    torch.testing.assert_close(module(*pad(texts), sizes), torch.cat(alone))
