"""The linear model word by word, against itself on every beginning of the text."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.linear_state import LinearState
from elman.tasks.classify.ngrams import build

WORD = st.sampled_from(["a", "bb", "ccc", "dog", "dogs", "new"])


def linear() -> LinearModel:
    torch.manual_seed(0)
    texts = [["a", "bb", "ccc"], ["a", "dog", "a", "dogs"], ["bb", "dog", "dog", "a"]]
    model = LinearModel(build(texts, 3, 1, 1000), 4)
    for parameter in model.parameters():
        parameter.data = torch.rand_like(parameter) + 0.5
    return model


@given(st.lists(st.lists(WORD, max_size=5), max_size=6))
@settings(deadline=None, max_examples=50)
def test_each_word_is_answered_as_the_text_up_to_it(pieces: list[list[str]]) -> None:
    model = linear()
    state = LinearState(model)
    rows = [state.read(piece) for piece in pieces]
    words = [word for piece in pieces for word in piece]
    for i, row in enumerate(torch.cat(rows) if rows else []):
        torch.testing.assert_close(row.float(), model([words[: i + 1]])[0])
    torch.testing.assert_close(state.logits.float(), model([words])[0])


def test_a_copy_reads_on_alone() -> None:
    state = LinearState(linear())
    state.read(["a", "dog"])
    before = state.logits
    other = state.copy()
    other.read(["bb", "dog", "a"])
    assert torch.equal(state.logits, before)
    torch.testing.assert_close(state.read(["bb", "dog", "a"])[-1], other.logits)
