"""Steps of classifying networks: the network's logits after every token, the same bits alone and together."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.batches import pad
from elman.errors import NotFinite
from elman.tasks.classify.network import Ensemble
from elman.tasks.classify.settings import Settings
from elman.tasks.classify.steps import EnsembleSteps, Words
from small_reader import PARTS, phrase_reader, reader

IDS = st.lists(st.integers(1, 19), min_size=1, max_size=12)


def ensemble(*members: Any) -> Ensemble:
    module = Ensemble(Settings(**(PARTS | {"networks": 1})), 20, 3)
    module.members = torch.nn.ModuleList(members)
    return module.eval()


def read(steps: EnsembleSteps, ids: list[int], size: int) -> torch.Tensor:
    past, rows = None, []
    for start in range(0, len(ids), size):
        (judged,) = steps.answer([Words(np.array(ids[start : start + size]), past)])
        past = judged.past
        rows.append(judged.logits)
    return torch.cat(rows)


@given(IDS, st.integers(1, 4))
@settings(deadline=None, max_examples=20)
def test_the_logits_after_every_token(ids: list[int], size: int) -> None:
    for module in (reader().eval(), phrase_reader(), reader(pooling="max", layers=2).eval()):
        rows = read(EnsembleSteps(ensemble(module)), ids, size)
        prefixes = [module(*pad([ids[: k + 1]])) for k in range(len(ids))]
        torch.testing.assert_close(rows, torch.cat(prefixes).detach())


def test_an_ensemble_answers_with_the_mean_of_the_probabilities() -> None:
    module, ids = ensemble(reader(), reader(pooling="last")), [3, 4, 5, 6, 7]
    prefixes = [module(*pad([ids[: k + 1]])).softmax(1) for k in range(5)]
    torch.testing.assert_close(read(EnsembleSteps(module), ids, 3).softmax(1), torch.cat(prefixes).detach())


@given(st.lists(IDS, min_size=1, max_size=6))
@settings(deadline=None, max_examples=25)
def test_together_as_alone(texts: list[list[int]]) -> None:
    steps = EnsembleSteps(ensemble(phrase_reader(), reader()))
    requests = [Words(np.array(ids)) for ids in texts]
    for _ in range(2):
        together = steps.answer(requests)
        for request, judged in zip(requests, together, strict=True):
            (alone,) = steps.answer([request])
            assert torch.equal(alone.logits, judged.logits)
        requests = [one._replace(past=judged.past) for one, judged in zip(requests, together, strict=True)]


@pytest.mark.parametrize("several", [False, True])
def test_a_text_that_becomes_nan_is_alone(several: bool) -> None:
    module = reader()
    module.several = several
    with torch.no_grad():
        module.embedding.weight[5] = torch.nan
    steps = EnsembleSteps(ensemble(module))
    first, bad, last = steps.answer([Words(np.array(ids)) for ids in ([3, 4], [4, 5], [6])])
    assert isinstance(bad, NotFinite)
    assert first.logits.isfinite().all() and last.logits.isfinite().all()
    assert first.logits.dim() == 2 + several
