"""A text that arrives letter by letter, and its translation piece by piece."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.errors import NotFinite, UsageError
from elman.tasks.translate.search import translate
from elman.tasks.translate.translator import Translator
from pooling import check_pool, events, written


def test_the_stream_says_what_greedy_search_says(model: Translator) -> None:
    texts = ["pomon vidas la kato 12345. domon trovas la birdo 54321.", "floron portas la hundo 77777."]
    for text in texts:
        stream = model.stream()
        for letter in text:
            stream.push(letter)
        (greedy,) = translate(model.network, model.codec, [text], beam_width=1)
        assert "".join(stream.words()).rstrip() == greedy[0].text == "".join(model.generate(text)).rstrip()
        assert stream.result() == model.predict(text)
    with pytest.raises(UsageError, match="text must be a string"):
        model.stream().push(3)  # type: ignore[arg-type]


# ---- many at once

PIECES = st.sampled_from(["pomon vidas la kato 12345. ", "domon trovas ", "la birdo", " 54321.", "", "zz"])


@settings(max_examples=10, deadline=None)
@given(drawn=events(PIECES, 3, ("result",)))
def test_texts_in_a_pool_are_translated_as_alone(model: Translator, drawn: list[Any]) -> None:
    check_pool(model.pool(3), model.stream, [{}] * 3, drawn)


@settings(max_examples=10, deadline=None)
@given(texts=st.lists(st.lists(PIECES, max_size=3), min_size=1, max_size=4))
def test_words_written_in_a_pool_are_those_of_streams(model: Translator, texts: list[list[str]]) -> None:
    pool, expected = model.pool(4), {}
    for parts in texts:
        stream, alone = pool.open(), model.stream()
        pool.push({stream: "".join(parts)})
        alone.push("".join(parts))
        pool.write(stream)
        expected[stream] = list(alone.words())
    assert written(pool, list(pool)) == expected


def test_a_text_whose_state_becomes_nan_begins_anew_alone(model: Translator) -> None:
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        bad = {*model.codec.encode_source("kato").ids} - {*model.codec.encode_source("birdo").ids}
        network.source.weight[[*bad]] = torch.nan
    pool = dataclasses.replace(model, network=network).pool(2)
    one, other = pool.open(), pool.open()
    pool.push({one: "kato", other: "birdo"})
    answers = pool.result([one, other])
    assert isinstance(answers.failed[one], NotFinite) and set(answers.done) == {other}
    assert pool.result([one]).done == {one: ""}
