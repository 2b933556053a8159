"""Steps of a language model's network: those of the network, the same bits alone and together."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import NotFinite
from elman.tasks.generate.settings import MAX_FULL_VOCABULARY
from elman.tasks.generate.steps import LanguageSteps, SingleSteps, Tokens
from toy_language import small_network

LARGE = MAX_FULL_VOCABULARY + 50


def ids(steps: int, tokens: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, tokens, (steps, 1))


@pytest.mark.parametrize("tokens", [9, LARGE])
@pytest.mark.parametrize(
    "options",
    [{}, {"cell": "gru", "hidden": 32, "layers": 1}, {"hidden": 6, "logit_scale": 3.0}, {"embedding": 40}],
)
def test_they_are_the_networks(tokens: int, options: dict) -> None:
    torch.manual_seed(0)
    network = small_network(tokens, **options).eval()
    text = ids(6, tokens)
    (read,) = LanguageSteps(network).answer([Tokens(text, None, True)])
    with torch.no_grad():
        features, _, _ = network(torch.from_numpy(text))
        expected = network.log_probs(features)[-1]
    assert np.array_equal(read.features, features.numpy())
    torch.testing.assert_close(torch.from_numpy(read.logits).log_softmax(1), expected, atol=1e-4, rtol=1e-5)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=6), st.integers(1, 2))
def test_together_as_alone(requests: list[tuple[int, bool]], layers: int) -> None:
    torch.manual_seed(0)
    steps = LanguageSteps(small_network(LARGE, layers=layers, hidden=16).eval())
    asked = [Tokens(ids(length, LARGE, k), None, logits) for k, (length, logits) in enumerate(requests)]
    for _ in range(2):
        together = steps.answer(asked)
        for request, read in zip(asked, together, strict=True):
            (alone,) = steps.answer([request])
            assert np.array_equal(read.features, alone.features)
            assert (read.logits is None) == (not request.logits)
            assert read.logits is None or np.array_equal(read.logits, alone.logits)
        asked = [request._replace(state=read.state) for request, read in zip(asked, together, strict=True)]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("hidden", [13, 32])
def test_steps_of_one_text_in_place(layers: int, hidden: int) -> None:
    torch.manual_seed(0)
    steps = LanguageSteps(small_network(9, layers=layers, hidden=hidden).eval())
    text = ids(9, 9)
    (begun,) = steps.answer([Tokens(text[:3], None)])
    single, state = SingleSteps(steps), begun.state
    for token in text[3:]:
        read = single.answer(Tokens(token[None], state, True))
        state = read.state
    (whole,) = steps.answer([Tokens(text[3:], begun.state, True)])
    assert np.array_equal(read.logits, whole.logits)
    again = single.answer(Tokens(text[3:4], begun.state, True))  # another text, from a state of its own
    (first,) = steps.answer([Tokens(text[3:4], begun.state, True)])
    assert np.array_equal(again.logits, first.logits)


def test_a_vocabulary_without_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elman.nn.call_cache.MAX_TABLE_NUMBERS", 10)
    torch.manual_seed(0)
    steps = LanguageSteps(small_network(9).eval())
    assert steps.table is None
    request = Tokens(ids(1, 9), None, True)
    assert np.array_equal(SingleSteps(steps).answer(request).logits, steps.answer([request])[0].logits)


def test_a_row_that_becomes_nan_is_alone() -> None:
    torch.manual_seed(0)
    network = small_network(9).eval()
    with torch.no_grad():
        network.embedding.weight[4] = torch.nan
    steps = LanguageSteps(network)
    texts = [np.array([[1], [2]]), np.array([[3], [4]]), np.array([[5]])]
    first, bad, last = steps.answer([Tokens(text, None) for text in texts])
    assert isinstance(bad, NotFinite)
    assert np.isfinite(first.features).all() and np.isfinite(last.features).all()
