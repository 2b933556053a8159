"""The bag of words against its formula written with dense matrices; it must not see order."""

from array import array

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.data.batches import pad
from elman.tasks.classify.baseline import BagOfWords
from elman.tasks.classify.examples import Encoded, Fold
from elman.tasks.classify.problem import LabelProblem
from elman.training.loop import Run
from elman.training.plan import Plan

WORDS = 12
TEXT = st.lists(st.integers(1, WORDS - 1), min_size=1, max_size=9)


def net() -> BagOfWords:
    torch.manual_seed(0)
    return BagOfWords(WORDS, 3).eval()


@given(st.lists(TEXT, min_size=1, max_size=5))
@settings(deadline=None)
def test_formula(texts: list[list[int]]) -> None:
    model = net()
    present = torch.zeros(len(texts), WORDS)
    for row, text in enumerate(texts):
        present[row, text] = 1
    inputs = present @ model.first.weight / present.sum(1, keepdim=True).sqrt()
    wanted = torch.relu(inputs + model.bias) @ model.second.weight.T + model.second.bias
    torch.testing.assert_close(model(*pad(texts)), wanted)


@given(TEXT, st.randoms(use_true_random=False), st.integers(0, 5))
@settings(deadline=None)
def test_neither_order_nor_repetition_nor_padding_counts(
    text: list[int], random: object, padding: int
) -> None:
    model = net()
    mixed = [*text, text[0]]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    padded, lengths = pad([mixed, [1] * (len(mixed) + padding)])
    torch.testing.assert_close(model(padded, lengths)[0], model(*pad([text]))[0])


def test_learns_which_words_matter() -> None:
    draw = torch.Generator().manual_seed(0)
    words = torch.randint(4, WORDS, (200, 6), generator=draw)
    labels = torch.randint(0, 3, (200,), generator=draw)
    texts = [array("i", [*row, int(label) + 1]) for row, label in zip(words.tolist(), labels, strict=True)]
    examples = Encoded(texts, labels)
    plan = Plan(epochs=10, learning_rate=0.01, device="cpu")
    rows = Fold([*range(200)], [*range(200)])
    run = Run(net(), LabelProblem(examples, [rows], torch.ones(3), plan), plan)
    losses = [record.loss for record in run]
    assert losses[-1] < losses[0] / 2
    assert run.outcome is not None
    assert run.outcome.best["accuracy"] == 1
