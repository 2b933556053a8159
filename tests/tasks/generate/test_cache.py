"""The cache of recent words against its formula, and step by step against the text read whole."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from elman.tasks.generate import cache
from elman.tasks.generate.cache import Blend, Cache, distributions, tuned
from elman.tasks.generate.language_model import LanguageModel
from elman.tasks.generate.steps import Tokens
from toy_language import small_network, stepped


def test_recent_words_become_likelier(model: LanguageModel, text: Path) -> None:
    odd = text.with_name("odd.txt")
    odd.write_text("they read tea.\n" * 40)
    plain, adapted = model.evaluate(odd).scores, model.evaluate(odd, adapt=True).scores
    assert adapted["nats"] < plain["nats"]
    ids = model.vocabulary.encode(odd.read_text())
    stream = model.stream(adapt=True)
    total, last, state = 0.0, int(ids[0]), stream._state
    for token in ids[1:].tolist():
        (read,) = stream.network.answer([Tokens(np.array([[last]]), state.layers)])
        logits, state = stepped(stream, [last], state)
        features = torch.from_numpy(read.features[0])
        recent = state.cache or Cache.empty(features)
        state = state._replace(cache=recent.extended(features, torch.tensor([token])))
        total, last = total - float(logits[0].log_softmax(0)[token]), token
    assert adapted["nats"] == pytest.approx(total / (len(ids) - 1), rel=1e-4)


def test_the_mixture_is_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(cache, "CACHE_STEPS", 4)
    past, tokens, now = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 0, 2]), torch.randn(1, 3)
    recent = Cache.empty(now).extended(past[:2], tokens[:2]).extended(past[2:], tokens[2:])
    assert recent.tokens.tolist() == [2, 2, 0, 2]
    log_probs = torch.randn(1, 5).log_softmax(1)
    weights = (7.0 * F.normalize(past[2:]) @ F.normalize(now)[0]).softmax(0)
    expected = 0.9 * log_probs.exp()[0]
    for weight, token in zip(weights, tokens[2:].tolist(), strict=True):
        expected[token] += 0.1 * weight
    mixed = recent.mix(log_probs, now, Blend(7.0, 0.1))
    torch.testing.assert_close(mixed.exp()[0], expected)
    assert Cache.empty(now).mix(log_probs, now, Blend(7.0, 0.1)) is log_probs


def test_the_tuned_blend_has_the_smallest_loss() -> None:
    torch.manual_seed(0)
    network = small_network().eval()
    ids = np.random.default_rng(0).integers(0, 3, 600)

    def loss(blend: Blend) -> float:
        chunks = distributions(network, ids, blend)
        return -sum(float(log_probs.gather(1, t[:, None]).sum()) for log_probs, t in chunks)

    best = tuned(network, ids)
    with torch.no_grad():
        losses = [loss(Blend(s, share)) for s in cache.SHARPNESSES for share in cache.SHARES]
        assert loss(best) == pytest.approx(min(losses), rel=1e-5)
