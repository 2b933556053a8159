"""Language models as scorers: the baseline's n-gram, a recurrent network, weights, other vocabularies."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ctc_paths import bias, frames
from elman.decode import Model
from elman.decode.ctc_beam import beam
from elman.decode.scorers import History, Stepped, Weighted
from elman.errors import UsageError
from elman.nn import LSTM
from elman.nn.states import select_rows
from elman.tasks.generate.baseline import NGram
from elman.tasks.generate.network import IncrementalDecoder, LanguageNet
from elman.tasks.generate.settings import Settings

TEXT = (3, 1, 4, 1, 2, 0, 3)


def ngram() -> NGram:
    return NGram.fit(np.random.default_rng(0).integers(0, 5, 400), 5, 3)


def test_an_ngram_scores_a_text_as_it_does_alone() -> None:
    model = ngram()
    scorer = History(model.distribution, 2, first=(0,), end=0)
    expected = model.log_probs(np.array([0, *TEXT, 0]))[1:]
    assert bias(scorer, TEXT, end=False) == pytest.approx(expected[:-1].sum())
    assert bias(scorer, TEXT) == pytest.approx(expected.sum())
    assert bias(History(model.distribution, 2, first=(0,)), TEXT) == pytest.approx(expected[:-1].sum())


def test_each_context_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def distribution(contexts: np.ndarray) -> np.ndarray:
        asked.extend(map(tuple, contexts.tolist()))
        return np.full((len(contexts), 3), 1 / 3)

    scorer = History(distribution, 1)
    _, state = scorer.start()
    _, states = scorer.step([state, state, state], [1, 2, 1])
    scorer.step(states, [2, 2, 1])
    assert sorted(asked) == [(), (1,), (2,)]
    monkeypatch.setattr("elman.decode.scorers.MAX_KEPT_SCORES", 3)
    scorer.step([state], [0])
    scorer.step([state], [1])
    assert sorted(asked) == [(), (0,), (1,), (1,), (2,)]  # memory is bounded


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.layer = torch.nn.Embedding(5, 4), LSTM(4, 6)
        self.output = torch.nn.Linear(6, 5)

    def step(self, tokens: Tensor, state: object) -> tuple[Tensor, object]:
        outputs, new = self.layer(self.embedding(tokens)[None], state)
        return self.output(outputs[0]), new


def join(states: list) -> tuple:
    return tuple(torch.cat(parts, 1) for parts in zip(*states, strict=True))


def test_a_recurrent_network_scores_texts_of_different_histories_in_one_step() -> None:
    net = Net()
    with torch.no_grad():
        outputs, _ = net.layer(net.embedding(torch.tensor([[2], *([token] for token in TEXT)])), None)
        log_probs = net.output(outputs[:, 0]).log_softmax(1)
    scorer = Stepped(Model(net.step, select_rows), 2, None, join, end=4)
    expected = sum(float(log_probs[t, token]) for t, token in enumerate(TEXT))
    assert bias(scorer, TEXT, end=False) == pytest.approx(expected, abs=1e-5)
    assert bias(scorer, TEXT) == pytest.approx(expected + float(log_probs[-1, 4]), abs=1e-5)
    assert bias(Stepped(Model(net.step, select_rows), 2, None, join), TEXT) == pytest.approx(
        expected, abs=1e-5
    )
    _, first = scorer.start()
    rows, states = scorer.step([first, first], [3, 1])
    alone, (state,) = scorer.step([first], [1])
    np.testing.assert_allclose(rows[1], alone[0], atol=1e-6)
    both, _ = scorer.step([states[1], states[0]], [4, 4])
    np.testing.assert_allclose(both[0], scorer.step([state], [4])[0][0], atol=1e-6)


def test_the_network_of_a_language_model_is_one() -> None:
    torch.manual_seed(0)
    net = LanguageNet(Settings(hidden=8, embedding=6, layers=2), 5).eval()
    decoder = IncrementalDecoder(net)

    def step(tokens: Tensor, state: object) -> tuple[Tensor, object]:
        features, new = decoder.step(tokens, state)
        return decoder.logits(features), new

    def joined(states: list) -> tuple:
        return tuple(join(layers) for layers in zip(*states, strict=True))

    scorer = Stepped(Model(step, select_rows), 0, None, joined)
    with torch.no_grad():
        features, _, _ = net(torch.tensor([[0], *([token] for token in TEXT)]))
        log_probs = net.log_probs(features)[:, 0]
    expected = sum(float(log_probs[t, token]) for t, token in enumerate(TEXT))
    assert bias(scorer, TEXT) == pytest.approx(expected, abs=1e-4)
    found = beam(frames(12, 5, 0), scorers=[Weighted(scorer, 0.5)])
    assert found[0].bias == pytest.approx(
        0.5 * bias(scorer, [token.token for token in found[0].tokens]), abs=1e-4
    )


def test_a_weight_a_bonus_and_the_ids_of_another_vocabulary() -> None:
    model = ngram()
    plain = History(model.distribution, 2, end=0)
    ids = [-1, 3, 1, 4, 2, 0]  # of the labels 0, the blank, to 5
    labels = [ids.index(token) for token in TEXT]
    weighted = Weighted(plain, 0.5, 0.25, ids)
    text, end = bias(plain, TEXT, end=False), bias(plain, TEXT) - bias(plain, TEXT, end=False)
    assert bias(weighted, labels) == pytest.approx(0.5 * (text + end) + 0.25 * len(TEXT))
    assert bias(weighted, [0]) == -math.inf
    assert bias(Weighted(plain, 2), TEXT) == pytest.approx(2 * (text + end))
    assert bias(Weighted(plain, 0, 1.0), TEXT) == len(TEXT)


def test_a_weight_of_0_allows_what_the_model_forbids() -> None:
    sure = History(lambda contexts: np.eye(3)[[1] * len(contexts)], 0, end=0)
    assert bias(sure, [1, 1]) == bias(sure, [2]) == -math.inf
    assert bias(Weighted(sure, 0), [2]) == 0


@pytest.mark.parametrize(("weight", "bonus"), [(-1, 0), (math.nan, 0), ("1", 0), (1, math.inf)])
def test_bad_weights_are_refused(weight: object, bonus: float) -> None:
    with pytest.raises(UsageError, match="must be a number"):
        Weighted(History(ngram().distribution, 2), weight, bonus)  # type: ignore[arg-type]
