"""Evidence of words and phrases, against counts of slices of lists."""

import math
from array import array
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.classify.evidence import (
    PARTS,
    Evidence,
    Tables,
    count,
    find_phrases,
    learn_evidence,
    occurring,
    parts_of,
    ratios,
)
from elman.tasks.classify.examples import Encoded, Fold

WORDS = 6  # ids
TEXTS = st.lists(st.lists(st.integers(1, WORDS - 1), min_size=1, max_size=7), min_size=1, max_size=8)


def arrays(texts: list[list[int]]) -> "list[array[int]]":
    return [array("i", text) for text in texts]


def slices(text: list[int], longest: int) -> set[tuple[int, ...]]:
    sizes = range(1, longest + 1)
    return {(*text[i : i + n],) for n in sizes for i in range(len(text) - n + 1)}


def names(phrases: torch.Tensor) -> list[tuple[int, ...]]:
    """Each word and phrase in the order of their numbers."""
    named: list[tuple[int, ...]] = [(i,) for i in range(WORDS)]
    for key in phrases.tolist():
        beginning, last = divmod(key, WORDS)
        named.append((*named[beginning], last))
    return named


@given(TEXTS, st.integers(1, 4))
@settings(deadline=None, max_examples=50)
def test_phrases_of_several_texts_are_found(texts: list[list[int]], longest: int) -> None:
    phrases = find_phrases(arrays(texts), WORDS, 1000, longest)
    assert phrases.tolist() == sorted(phrases.tolist())
    counts = Counter(phrase for text in texts for phrase in slices(text, longest))
    assert {*names(phrases)[WORDS:]} == {p for p, n in counts.items() if n >= 2 and len(p) > 1}


def test_shorter_and_commoner_phrases_come_first() -> None:
    texts = arrays([[1, 2, 3]] * 3 + [[1, 2], [4, 5], [4, 5]])
    assert names(find_phrases(texts, WORDS, 2, 3))[WORDS:] == [(1, 2), (2, 3)]
    assert names(find_phrases(texts, WORDS, 4, 3))[WORDS:] == [(1, 2), (2, 3), (4, 5), (1, 2, 3)]


@given(TEXTS, st.integers(1, 3))
@settings(deadline=None, max_examples=50)
def test_numbers_are_those_of_what_ends_at_a_step(texts: list[list[int]], longest: int) -> None:
    evidence = Evidence(find_phrases(arrays(texts), WORDS, 1000, longest), WORDS, 2, longest)
    named = names(evidence.phrases)
    for text in texts:
        for end, row in enumerate(evidence.numbers(torch.tensor(text).unsqueeze(1))[:, 0].tolist(), 1):
            for length, number in enumerate(row, 1):
                phrase = (*text[end - length : end],) if length <= end else ()
                assert number == (named.index(phrase) if phrase in named else 0)


@pytest.mark.parametrize("several", [False, True])
def test_a_training_text_is_not_counted_in_its_own_evidence(several: bool) -> None:
    texts = arrays([[2, 3], [2, 3], [2, 4], [5]])
    labels = torch.tensor([[1, 0], [1, 1], [0, 1], [0, 0]]) if several else torch.tensor([0, 0, 1, 1])
    evidence = Evidence(find_phrases(texts, WORDS, 1000, 2), WORDS, 2, 2)
    parts = torch.tensor([0, 1, 2, 2])
    tables = count(Encoded(texts, labels), parts, evidence)
    has = labels if several else torch.nn.functional.one_hot(labels, 2)
    named = names(evidence.phrases)
    for part in (None, *range(PARTS)):
        rows = [i for i in range(4) if parts[i] != part]
        sizes = has[rows].sum(0)
        counts = torch.stack(
            [sum((has[i] for i in rows if p in slices([*texts[i]], 2)), torch.zeros(2)) for p in named]
        )
        torch.testing.assert_close(
            tables.values if part is None else tables.others[part], ratios(counts, sizes)
        )
    evidence.learn(tables)
    numbers = evidence.numbers(torch.tensor([[2, 2], [3, 4]]))
    read = evidence(numbers, torch.tensor([0, 2]))
    torch.testing.assert_close(
        read[1, 0], torch.cat([tables.others[0][3], tables.others[0][named.index((2, 3))]])
    )
    assert not read[1, 1, 2:].any()  # the phrase 2 4 is in one text alone
    torch.testing.assert_close(evidence(numbers)[1, 0, :2], tables.values[3])


def test_a_checkpoint_is_without_evidence_and_a_model_is_not() -> None:
    evidence = Evidence(torch.tensor([2 * WORDS + 3]), WORDS, 2, 2)
    tables = Tables(torch.rand(WORDS + 1, 2), torch.rand(PARTS, WORDS + 1, 2))
    evidence.learn(tables)
    assert not evidence.state_dict()
    evidence.end_training()
    assert torch.equal(evidence.state_dict()["values"], tables.values) and evidence.others is None


def test_ratios_are_logs_of_shares() -> None:
    # nine texts, six of the first class: a phrase in none tells nothing, however large the classes
    shares = torch.tensor([7 / 11, 4 / 11])
    first = math.log(3 / shares[0] + 2) - math.log(0 / shares[1] + 2)
    found = ratios(torch.tensor([[0.0, 0.0], [3.0, 0.0]]), torch.tensor([6.0, 3.0]))
    torch.testing.assert_close(found, torch.tensor([[0, 0], [first / 2, -first / 2]]))


def test_each_fold_has_the_evidence_of_its_texts() -> None:
    examples = Encoded(arrays([[2, 3], [2, 3], [4, 5], [4, 5], [1]]), torch.tensor([0, 0, 1, 1, 0]))
    folds = [Fold([0, 1, 2], [3]), Fold([0, 2, 3], [1])]
    phrases, tables = learn_evidence(examples, folds, torch.arange(5), WORDS, 2, 2)
    assert names(phrases)[WORDS:] == [(2, 3), (4, 5)]
    assert len(tables) == 2 and tables[0].values[2, 0] > tables[1].values[2, 0] > 0


def test_of_very_many_texts_a_sample_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Encoded(arrays([[2, 3]] * 20), torch.arange(20) % 2)
    monkeypatch.setattr("elman.tasks.classify.evidence.MAX_COUNTED_TOKENS", 10)
    monkeypatch.setattr("elman.tasks.classify.evidence.MIN_COUNTED_TEXTS", 1)
    phrases, (tables,) = learn_evidence(
        examples, [Fold([*range(20)], [])], torch.arange(20) % PARTS, WORDS, 2, 2
    )
    assert names(phrases)[WORDS:] == [(2, 3)]
    # with four or five texts in place of twenty, at most five can tell of a class
    assert tables.values[2].abs().max() <= ratios(torch.tensor([[5.0, 0.0]]), torch.tensor([2.0, 2.0])).max()


def test_words_of_texts() -> None:
    assert occurring(arrays([[1, 2, 2], [2]]), 4).tolist() == [0, 0.5, 1, 0]


def test_equal_texts_are_in_one_part() -> None:
    parts = parts_of(["a b", "A  b", *(str(i) for i in range(50))])
    assert parts[0] == parts[1] and {*parts.tolist()} == {*range(PARTS)}
