"""The network of language models: its dropout, its probabilities, and its incremental decoder."""

import pytest
import torch

from elman.tasks.generate.network import IncrementalDecoder
from elman.tasks.generate.settings import MAX_FULL_VOCABULARY
from toy_language import small_network

LARGE = MAX_FULL_VOCABULARY + 50


def test_dropped_words_are_missing_everywhere() -> None:
    torch.manual_seed(0)
    network = small_network(embedding_dropout=0.5).train()
    ids = torch.arange(9).repeat(2).view(18, 1)
    missing = (network._embed(ids) == 0).all(2).squeeze(1)
    assert 0 < missing.sum() < 18 and torch.equal(missing[:9], missing[9:])


def test_outputs_are_dropped_at_all_steps() -> None:
    torch.manual_seed(0)
    features, outputs, _ = small_network(dropout=0.5).train()(torch.zeros(7, 3, dtype=torch.int64))
    kept = features != 0
    assert torch.equal(kept, kept[:1].expand(7, 3, 8)) and not kept.all()
    torch.testing.assert_close(features[kept], 2 * outputs[kept])


@pytest.mark.parametrize(("tokens", "scale"), [(9, 1.0), (9, 3.0), (LARGE, 1.0), (LARGE, 3.0)])
def test_log_probabilities_sum_to_1_and_are_the_loss(tokens: int, scale: float) -> None:
    torch.manual_seed(0)
    network = small_network(tokens, cell="gru", hidden=6, layers=1, logit_scale=scale)
    ids = torch.randint(0, tokens, (6, 2))
    features, _, _ = network(ids[:-1])
    log_probs = network.log_probs(features)
    assert log_probs.shape == (5, 2, tokens)
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(5, 2), atol=1e-5)
    of_targets = log_probs.gather(2, ids[1:].unsqueeze(2)).sum()
    assert network.loss(features, ids[1:]).item() == pytest.approx(-of_targets.item(), rel=1e-5)
    logits = IncrementalDecoder(network.eval()).logits(features[0].detach())
    torch.testing.assert_close(logits.log_softmax(1), log_probs[0].detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tokens", [5, MAX_FULL_VOCABULARY + 1])
def test_the_decoder_steps_to_the_networks_probabilities(tokens: int) -> None:
    torch.manual_seed(0)
    dropout = {"dropout": 0.5, "embedding_dropout": 0.5, "weight_dropout": 0.5}
    network = small_network(tokens, cell="gru", embedding=8, hidden=32, **dropout).eval()
    ids = torch.randint(tokens, (6, 1))
    decoder, state, steps = IncrementalDecoder(network), None, []
    for step in ids:
        features, state = decoder.step(step, state)
        steps.append(decoder.logits(features).log_softmax(1))
    with torch.no_grad():
        whole = network.log_probs(network(ids)[0])[:, 0]
    torch.testing.assert_close(torch.cat(steps), whole, rtol=1e-5, atol=1e-5)
