"""A stream answers as `predict` does, after every token, in constant memory."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.tasks.classify import stream as streams
from elman.tasks.classify.classifier import Classifier


@given(
    pieces=st.lists(
        st.sampled_from(["the ", "fil", "m not", " good", ", bad", "'s ", "don", "'t", " \n", "zz!"])
    )
)
@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("kind", ["model", "subwords"])
def test_a_stream_ends_where_predict_does(
    kind: str, pieces: list[str], request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    stream = model.stream()
    for piece in pieces:
        stream.push(piece)
        stream.result()  # asking changes nothing
    text = "".join(pieces)
    assert stream.result(probabilities=True) == pytest.approx(
        model.predict(text, probabilities=True), abs=1e-5
    )
    assert stream.result() == model.predict(text)


def test_a_stream_answers_after_every_token(model: Classifier) -> None:
    readings = model.stream().push("The plot was not bad, it was good so")
    assert [r.token for r in readings] == ["the", "plot", "was", "not", "bad", ",", "it", "was", "good"]
    prefixes = list(itertools.accumulate((r.token for r in readings), lambda a, b: f"{a} {b}"))
    for reading, prefix in zip(readings, prefixes, strict=True):
        wanted = model.predict(prefix, probabilities=True)
        assert reading.probabilities == pytest.approx(wanted, abs=1e-5)
        assert reading.label == model.predict(prefix)


def test_a_long_piece_is_read_in_chunks(model: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "the plot was not bad , it was good so "
    whole = model.stream().push(text)
    monkeypatch.setattr(streams, "CHUNK_STEPS", 4)
    pieces = model.stream().push(text)
    assert [(r.token, r.label) for r in pieces] == [(r.token, r.label) for r in whole]
    for one, other in zip(pieces, whole, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_a_stream_keeps_nothing_that_grows(model: Classifier) -> None:
    def size(stream: Any) -> int:
        tensors = [stream._last]
        for past in stream._state:
            tensors += [*past[1:], *past.state]
        linear = stream._linear
        tensors += [*linear._sums, *linear._squares, linear.logits]
        rest = linear._counts.nbytes + linear._words.nbytes + len(stream._rest + stream._unread)
        return sum(t.untyped_storage().nbytes() for t in tensors) + rest

    stream = model.stream()
    stream.push("not good ")
    early = size(stream)
    for _ in range(200):
        stream.push("not good ")
    assert size(stream) == early


def test_a_million_characters(model: Classifier) -> None:
    text = "not good but bad " * 60_000
    assert len(text) > 1_000_000
    stream = model.stream()
    stream.push(text)
    wanted = model.predict(text, probabilities=True)
    assert stream.result(probabilities=True) == pytest.approx(wanted, abs=1e-5)
