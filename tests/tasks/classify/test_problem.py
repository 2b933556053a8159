"""Loss, weights, batches and validation of a classifier, against sums written out."""

from array import array
from itertools import chain
from typing import Any

import pytest
import torch

from elman.cells import CELLS
from elman.data.batches import pad
from elman.tasks.classify import problem
from elman.tasks.classify.examples import Encoded, Fold
from elman.tasks.classify.network import Ensemble
from elman.tasks.classify.problem import (
    LabelProblem,
    class_probabilities,
    class_weights,
    held_out_log_probabilities,
)
from elman.tasks.classify.settings import Settings
from elman.training.plan import Plan
from small_reader import PARTS, reader


def ensemble(count: int, **changes: Any) -> Ensemble:
    torch.manual_seed(1)
    return Ensemble(Settings(**(PARTS | {"networks": count} | changes)), 20, 3)


def problem_of(examples: Encoded, *folds: Fold, **more: Any) -> LabelProblem:
    """One network that learns from all examples and is chosen on them, unless there are folds."""
    rows = list(range(len(examples.texts)))
    weights, plan = more.pop("weights", torch.ones(3)), more.pop("plan", Plan())
    return LabelProblem(examples, folds or [Fold(rows, rows)], weights, plan, **more)


def examples_of(*texts: list[int]) -> Encoded:
    return Encoded([array("i", text) for text in texts], torch.arange(len(texts)) % 3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_cell_trains(cell: str, bidirectional: bool) -> None:
    module = reader(cell=cell, bidirectional=bidirectional)
    texts = [array("i", [2, 3, 4, 5, 6]), array("i", [7, 8])]
    examples = Encoded(texts, torch.tensor([0, 2]))
    problem = problem_of(examples)
    before = problem.loss(module.eval(), [(0, 0), (0, 1)], None)[0].item()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(10):
        optimizer.zero_grad()
        problem.loss(module.train(), [(0, 0), (0, 1)], None)[0].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
        optimizer.step()
    assert problem.loss(module.eval(), [(0, 0), (0, 1)], None)[0].item() < before


def test_balanced_weights_give_classes_the_same_say() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    torch.testing.assert_close(class_weights(labels, 2, True), torch.tensor([4 / 6, 4 / 2]))
    assert class_weights(labels, 2, False).tolist() == [1, 1]


def test_loss_is_the_weighted_sum_of_logarithms() -> None:
    module, weights = reader(dropout=0.0, embedding_dropout=0.0), torch.tensor([0.5, 2.0, 1.0])
    examples = Encoded([array("i", [2, 3]), array("i", [4]), array("i", [5])], torch.tensor([1, 0, 1]))
    batch = [(0, 0), (0, 1), (0, 2)]
    loss, count, state = problem_of(examples, weights=weights).loss(module, batch, None)
    logs = [module(*pad([ids])).log_softmax(1)[0] for ids in examples.texts]
    torch.testing.assert_close(loss, -(2 * logs[0][1] + 0.5 * logs[1][0] + 2 * logs[2][1]))
    assert count == 4.5
    assert state is None


def test_a_crop_is_a_part_of_the_text() -> None:
    examples = Encoded([array("i", range(2, 12))], torch.tensor([0]))
    problem = problem_of(examples, crop=3)
    read: list[list[int]] = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(3))

        def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            read.append(ids[:, 0].tolist())
            return self.weight.expand(1, 3)

    for _ in range(50):
        problem.loss(Spy(), [(0, 0)], None)
    assert {tuple(ids) for ids in read} == {(i, i + 1, i + 2) for i in range(2, 10)}


@pytest.mark.parametrize("tokens", [1, 12, 10**6])
def test_probabilities_are_those_of_each_text_alone(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem, "MAX_BATCH_TOKENS", tokens)
    module = reader().eval()
    texts = examples_of([2, 3, 4, 5], [6], [7, 8, 9, 10, 11, 12], [13, 14], [15]).texts
    alone = torch.cat([module(*pad([ids])).softmax(1) for ids in texts])
    torch.testing.assert_close(class_probabilities(module, texts), alone)


def test_batches_hold_every_text_once_and_processes_share_them() -> None:
    texts = examples_of(*([2] * (k % 7 + 1) for k in range(22)))
    task = problem_of(texts, plan=Plan(batch_size=4))
    batches = task.batches(0, 0, 1)
    assert sorted(chain(*batches)) == [(0, row) for row in range(22)]
    assert all(len(batch) <= 4 for batch in batches)
    assert task.batches(0, 0, 1) == batches != task.batches(1, 0, 1)
    halves = [task.batches(0, rank, 2) for rank in range(2)]
    assert len(halves[0]) == len(halves[1])
    assert not {*chain(*halves[0])} & {*chain(*halves[1])}


def test_validation_scores_the_held_out_texts() -> None:
    module = reader().eval()
    held_out = examples_of([2, 3], [4], [5])
    predicted = class_probabilities(module, held_out.texts).argmax(1)
    known = problem_of(Encoded(held_out.texts, predicted))
    assert known.validate(module)["accuracy"] == 1
    wrong = problem_of(Encoded(held_out.texts, (predicted + 1) % 3))
    assert wrong.validate(module)["accuracy"] == 0
    assert (known.score, known.maximize) == ("accuracy", True)


TEXTS = examples_of(*([k % 18 + 2, k % 5 + 2] for k in range(20)))
FOLDS = [Fold([*range(5, 20)], [*range(5)]), Fold([*range(5), *range(10, 20)], [*range(5, 10)])]


def test_every_network_reads_its_own_rows_in_its_own_order() -> None:
    task = problem_of(TEXTS, *FOLDS, plan=Plan(batch_size=4))
    batches = task.batches(0, 0, 1)
    assert [{k for k, _ in batch} for batch in batches] == [{0, 1}] * 4
    own = [[[row for k, row in batch if k == number] for batch in batches] for number in (0, 1)]
    assert [sorted(chain(*rows)) for rows in own] == [fold.train for fold in FOLDS]
    assert own[0] != own[1] and all(len(rows) <= 4 for rows in chain(*own))


def test_every_process_has_rows_of_every_network() -> None:
    task = problem_of(TEXTS, *FOLDS, plan=Plan(batch_size=4))
    halves = [task.batches(0, rank, 2) for rank in range(2)]
    assert len(halves[0]) == len(halves[1]) > 0
    assert all({k for k, _ in batch} == {0, 1} for half in halves for batch in half)
    assert not {*chain(*halves[0])} & {*chain(*halves[1])}


def test_the_loss_of_several_networks_is_the_sum_of_theirs() -> None:
    module = ensemble(2).eval()
    loss, count, _ = problem_of(TEXTS, *FOLDS).loss(module, [(0, 6), (0, 7), (1, 3)], None)
    alone = [
        problem_of(TEXTS).loss(member, [(0, row) for row in rows], None)[0]
        for member, rows in zip(module.members, ([6, 7], [3]), strict=True)
    ]
    torch.testing.assert_close(loss, sum(alone))
    assert count == 3


def test_a_held_out_text_is_answered_by_the_networks_that_did_not_learn_from_it() -> None:
    module = ensemble(2).eval()
    logs = held_out_log_probabilities(module, TEXTS.texts, FOLDS, [1, 2, 7])
    first, second = (class_probabilities(member, TEXTS.texts) for member in module.members)
    torch.testing.assert_close(logs.exp(), torch.cat([first[1:3], second[7:8]]))


def test_texts_held_out_from_all_networks_get_the_mean_of_the_probabilities() -> None:
    module, shared = ensemble(2).eval(), [Fold([*range(15)], [*range(15, 20)])] * 2
    logs = held_out_log_probabilities(module, TEXTS.texts, shared, [*range(15, 20)])
    torch.testing.assert_close(logs.exp(), class_probabilities(module, TEXTS.texts[15:]))
