"""A stream answers as `predict` does, after every token, in constant memory."""

import copy
import dataclasses
import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import NotFinite
from elman.tasks.classify import stream as streams
from elman.tasks.classify.classifier import Classifier
from pooling import check_pool, events


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
        linear, arrays = stream._linear, [stream._last.logits.numpy()]
        for past in stream._last.past:
            arrays += [*past.state, past.total, past.peak, past.words]
        arrays += [t.numpy() for t in (*linear._sums, *linear._squares, linear.logits)]
        rest = len(linear._counts) + linear._words.nbytes + len(stream._rest + stream._unread)
        return sum((array if array.base is None else array.base).nbytes for array in arrays) + rest

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


# ---- many at once

PIECES = st.sampled_from(["the ", "fil", "m not", " good", ", bad", "'s ", "don", "", "zz! ", "so good so "])


@settings(deadline=None, max_examples=25)
@given(drawn=events(PIECES, 4, ("result",)))
def test_streams_in_a_pool_are_streams(model: Classifier, subwords: Classifier, drawn: list[Any]) -> None:
    for one in (model, subwords):
        check_pool(one.pool(4), one.stream, [{}] * 4, drawn)


def test_mistakes_in_a_pool_are_of_one_stream(model: Classifier) -> None:
    pool, alone = model.pool(2), model.stream()
    one, other = pool.open(), pool.open()
    answers = pool.push({one: b"no", other: "not good "})
    assert answers.done == {other: alone.push("not good ")}
    assert "must be a string" in str(answers.failed[one])
    assert pool.result([other], probabilities=True).done[other] == alone.result(probabilities=True)


def test_a_stream_whose_state_becomes_nan_begins_anew_alone(model: Classifier) -> None:
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        network.members[0].embedding.weight[model.tokenizer.encode("good")[0]] = torch.nan
    pool = dataclasses.replace(model, network=network).pool(2)
    one, other = pool.open(), pool.open()
    answers = pool.push({one: "not good so ", other: "not bad so "})
    assert set(answers.failed) == {one} and isinstance(answers.failed[one], NotFinite)
    assert pool.result([one]).done[one] == model.stream().result()
    assert len(answers.done[other]) == 3


@pytest.mark.parametrize("kind", ["model", "subwords"])
def test_a_stream_goes_on_from_its_bytes(kind: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(kind)
    first = model.stream()
    for piece in ("the plot w", "as not bad, it", " was good so ", "good "):
        second = model.stream()
        second.from_bytes(first.to_bytes())
        assert first.push(piece) == second.push(piece)
        assert first.result(probabilities=True) == second.result(probabilities=True)
