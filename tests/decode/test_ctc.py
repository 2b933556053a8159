"""Greedy decoding, alignment and likelihoods of CTC, against every path through a few frames."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctc_paths import collapsed, every_text, frames, small
from elman.decode.ctc import GreedyStream, Scores, agreement, align, frames_needed, greedy, log_likelihoods
from elman.errors import UsageError


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(1, 5), st.integers(0, 99), st.lists(st.integers(1, 9)))
def test_greedy_reads_the_likeliest_path_whole_or_in_pieces(
    count: int, labels: int, seed: int, cuts: list[int]
) -> None:
    log_probs, blank = frames(count, labels, seed), seed % labels
    tokens = greedy(log_probs, blank=blank)
    assert [[*token[:3]] for token in tokens] == collapsed(log_probs.argmax(1).tolist(), blank)
    for token in tokens:
        said = np.exp(log_probs[token.start : token.end, token.token])
        assert token.confidence == pytest.approx(float(said.max()))
    stream, pieces = GreedyStream(blank=blank), []
    known = GreedyStream(blank=blank)
    for piece in np.split(log_probs, np.cumsum(cuts)):
        pieces += stream.push(piece)
        known.push(Scores(piece, piece.argmax(1).tolist()))
        assert known.tentative() == stream.tentative()
        assert pieces == tokens[: len(pieces)]
        assert len(stream.tentative()) <= 1
    assert pieces + stream.finish() == tokens
    assert stream.finish() == stream.tentative() == []


def test_frames_go_on_being_counted_after_the_end_of_an_utterance() -> None:
    log_probs = np.log(np.array([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]]))
    stream = GreedyStream()
    assert stream.push(log_probs[:1]) == []
    assert [token.start for token in stream.finish()] == [0]
    assert [(token.start, token.end) for token in stream.push(log_probs[1:])] == [(1, 2)]


@settings(deadline=None, max_examples=40)
@given(small)
def test_alignment_and_likelihood_are_those_of_the_best_and_of_all_paths(case: tuple) -> None:
    count, labels, seed, blank = case
    log_probs = frames(count, labels, seed)
    texts = every_text(log_probs, blank)
    for text, (_, _, times) in texts.items():
        aligned = align(log_probs, text, blank=blank)
        assert [[*token[:3]] for token in aligned] == times
        assert all(0 < token.confidence <= 1 for token in aligned)
    found = log_likelihoods(torch.from_numpy(log_probs), [*texts], blank=blank)
    assert found == pytest.approx([total for total, _, _ in texts.values()])
    tokens = [label for label in range(labels) if label != blank]
    for text in product(tokens, repeat=min(count + 1, 4)):
        fits = frames_needed(text) <= count
        assert fits == (text in texts)
        if not fits:
            assert log_likelihoods(log_probs, [text], blank=blank) == [-math.inf]
            with pytest.raises(UsageError, match=f"{count} frames can't hold {len(text)}"):
                align(log_probs, text, blank=blank)


def test_frames_needed_count_the_blanks_between_equal_tokens() -> None:
    assert [frames_needed(text) for text in ([], [1], [1, 2], [1, 1], [2, 2, 2, 1])] == [0, 1, 2, 3, 6]


def test_an_impossible_text_has_no_alignment() -> None:
    log_probs = np.log(np.array([[0.5, 0.5, 1e-300], [0.5, 0.5, 1e-300]]))
    log_probs[:, 2] = -math.inf
    with pytest.raises(UsageError, match="probability 0"):
        align(log_probs, [2])
    assert log_likelihoods(log_probs, [[2], [1]]) == [-math.inf, pytest.approx(math.log(0.75))]


def test_agreement_is_the_share_of_the_answers_that_say_the_same() -> None:
    answers = [["turn", "on"], ["turn", "off"], ["burn", "the", "on"]]
    assert agreement(answers, [math.log(0.6), math.log(0.3), math.log(0.1)]) == pytest.approx([0.9, 0.7])
    assert agreement([[], [1]], [0.0, -1.0]) == []
    assert agreement([[1, 2]], [-800.0]) == [1.0, 1.0]
    for wrong in (([], []), ([[1]], [0.0, 1.0]), ([[1]], [-math.inf]), ([[1]], [math.nan])):
        with pytest.raises(UsageError):
            agreement(*wrong)


@pytest.mark.parametrize(
    ("log_probs", "message"),
    [
        (np.array([[math.nan, 0.0]]), "frame 0 of log_probs holds NaN"),
        (np.array([[math.log(0.5)] * 2, [0.5, 0.5]]), "frame 1 of log_probs does not hold log-prob"),
        (np.full((1, 2), -math.inf), "frame 0"),
        (np.array([[math.inf, 0.0]]), "frame 0"),
        (np.array([[1e308, 1e308]]), "frame 0"),
        (np.zeros(3), r"\(frames, labels\)"),
        (np.zeros((1, 3), np.int64), "floats"),
        (torch.zeros(1, 3, dtype=torch.int64), "floats"),
        ([[0.0]], "array or tensor"),
        (None, "array or tensor"),
        (np.zeros((2, 0)), "at least one label"),
        (np.zeros((1, 1)), "blank must be below 1"),
    ],
)
def test_what_is_no_log_probabilities_is_refused(log_probs: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        greedy(log_probs, blank=1)  # type: ignore[arg-type]


def test_frames_of_16_bits_are_taken() -> None:
    logits = 3 * torch.randn(50, 200, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        greedy(logits.log_softmax(1).to(dtype))


@pytest.mark.parametrize("blank", [-1, True, "0", 1.0, None])
def test_a_blank_that_is_no_label_is_refused(blank: object) -> None:
    with pytest.raises(UsageError, match="blank must be the number of a label"):
        greedy(np.zeros((0, 3)), blank=blank)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", [[0], [3], [-1], [1.0], [True], "1", 1, np.array([[1]]), torch.tensor([0])])
def test_tokens_that_are_no_labels_are_refused(text: object) -> None:
    with pytest.raises(
        UsageError, match="tokens must be a list of labels, numbers from 0 to 2, none of them 0"
    ):
        align(frames(3, 3, 0), text)  # type: ignore[arg-type]


def test_tokens_may_be_of_numpy_or_torch() -> None:
    log_probs = frames(4, 3, 0)
    expected = align(log_probs, [2, 1])
    for text in ((2, 1), np.array([2, 1]), torch.tensor([2, 1]), [*np.array([2, 1], np.int32)]):
        assert align(log_probs, text) == expected


def test_every_piece_has_the_labels_of_the_first() -> None:
    stream = GreedyStream()
    stream.push(frames(1, 3, 0))
    with pytest.raises(UsageError, match="must have 3 labels, as the first had, not 4"):
        stream.push(frames(1, 4, 0))
