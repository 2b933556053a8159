"""Steps of a translator's decoder: those of the network, the same bits alone and together."""

from typing import Any

import numpy as np
import pytest
import torch

from elman.errors import NotFinite
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.settings import Settings
from elman.tasks.translate.steps import DecoderSteps, Rows, Sentence
from elman.tasks.translate.translator import Translator


def network(**options: Any) -> EncoderDecoder:
    torch.manual_seed(0)
    return EncoderDecoder(Settings(hidden=8, embedding=6, **options), 20, 20).eval()


def test_logits_are_the_networks(model: Translator) -> None:
    source = model.codec.encode_source("pomon vidas la kato 12345.")
    one = Sentence(DecoderSteps(model.network), model.codec, source)
    ids = torch.tensor(source.ids).unsqueeze(1)
    with torch.no_grad():
        encoded, expected_state = model.network.encode(ids, torch.tensor([len(ids)]))
        state, tokens = one.state, one.first
        for _ in range(4):
            logits, state = one.model.step(tokens, state)
            features, expected_state = model.network.step(tokens, expected_state, encoded)
            expected = model.network.logits(features)
            inside = logits > -torch.inf
            torch.testing.assert_close(logits[inside], expected[inside], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(state.weights, expected_state.weights, atol=1e-5, rtol=1e-4)
            tokens = logits.argmax(1)


@pytest.mark.parametrize("options", [{}, {"input_feeding": True, "cell": "lstm"}])
def test_together_as_alone(options: dict[str, Any]) -> None:
    net, random = network(**options), np.random.default_rng(0)
    steps = DecoderSteps(net)
    widths = {"query": net.query_rnn.input_size, "output": 16, "combine": 16, "logits": 6}
    count = len(net.query_rnn.cell.state)
    requests: list[Any] = []
    for rows in (1, 3, 2):
        for part, width in widths.items():
            x = random.standard_normal((rows, width), np.float32)
            state = None
            if part in ("query", "output"):
                state = tuple(random.standard_normal((1, rows, 8), np.float32) for _ in range(count))
            requests.append(Rows(part, x, state))  # type: ignore[arg-type]
    for request, answer in zip(requests, steps.answer(requests), strict=True):
        (alone,) = steps.answer([request])
        if request.state is None:
            assert np.array_equal(alone, answer)
        else:
            assert np.array_equal(alone[0], answer[0])
            assert all(np.array_equal(a, b) for a, b in zip(alone[1], answer[1], strict=True))


def test_rows_that_become_nan_are_alone() -> None:
    net = network()
    steps, size = DecoderSteps(net), net.query_rnn.input_size
    state = tuple(np.zeros((1, 1, 8), np.float32) for _ in net.query_rnn.cell.state)
    good, bad = np.ones((1, size), np.float32), np.full((1, size), np.nan, np.float32)
    first, failed = steps.answer([Rows("query", good, state), Rows("query", bad, state)])
    assert isinstance(failed, NotFinite) and np.isfinite(first[0]).all()
