"""Streams of language models: in pieces or whole, saved and continued, and the text they generate."""

import copy
import dataclasses
import itertools
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from elman.errors import ArtifactError, NotFinite, UsageError
from elman.tasks.generate.language_model import LanguageModel
from elman.tasks.generate.stream import DecoderState
from pooling import check_pool, events, written
from toy_language import sentences, stepped


@settings(max_examples=20)
@given(st.data())
def test_a_text_in_pieces_is_the_text(
    letters: LanguageModel, words: LanguageModel, data: st.DataObject
) -> None:
    whole = sentences(2, seed=data.draw(st.integers(0, 9)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    for model in (letters, words):
        at_once, pieces = model.stream(), model.stream()
        at_once.push(whole)
        for begin, end in itertools.pairwise([0, *cuts, len(whole)]):
            pieces.push(whole[begin:end])
        for (w1, p1), (w2, p2) in zip(at_once.result(), pieces.result(), strict=True):
            assert w1 == w2 and p1 == pytest.approx(p2, rel=1e-5)


def test_a_part_of_a_word_is_completed(
    words: LanguageModel, letters: LanguageModel, subwords: LanguageModel
) -> None:
    for model in (words, letters, subwords):
        stream = model.stream()
        stream.push("I love deep lea")
        best = stream.result(3)
        assert best[0][0] == "learning"
        assert all(word.startswith("lea") for word, _ in best)


def test_subwords_that_cross_a_blank_or_a_begun_word(subwords: LanguageModel) -> None:
    """In training "learning" came as tokens of " learning": neither a lone blank nor " l" was ever read."""
    assert subwords.predict("they love deep")[0][0] == "learning"
    stream = subwords.stream()
    for typed, expected in (("they love deep l", "learning"), ("ear", "learning"), ("ning.\n", None)):
        stream.push(typed)
        best = stream.result(3)
        assert all(0 <= p <= 1.0001 for _, p in best)
        assert expected is None or best[0][0] == expected
    after_blank = "".join(subwords.generate("they love deep ", 20, temperature=0))
    assert " " + after_blank == "".join(subwords.generate("they love deep", 21, temperature=0))


def test_words_follow_marks(words: LanguageModel) -> None:
    for typed in ("they love tea.", "they love tea", "I lo", "I love tea. the", "I love tea.\nthe", "tea .I"):
        stream = words.stream()
        stream.push(typed)
        assert stream.result(3), typed


def test_line_ends_of_other_systems(letters: LanguageModel) -> None:
    plain, other = letters.stream(), letters.stream()
    plain.push("they\nlike\n")
    for piece in ("they\r", "", "\nlike\r\n"):
        other.push(piece)
    assert plain.result() == other.result()
    plain.push("they\n")
    other.push("they\r")  # may be a whole line end, so it counts at once
    assert plain.result() == other.result()


def test_only_texts_are_pushed(letters: LanguageModel) -> None:
    with pytest.raises(UsageError, match="not bytes"):
        letters.stream().push(b"I")  # type: ignore[arg-type]


@pytest.mark.parametrize("adapt", [False, True])
def test_a_stream_continues_from_a_file(model: LanguageModel, tmp_path: Path, adapt: bool) -> None:
    stream = model.stream(adapt)
    stream.push("I love tea.\nthey read ol")
    stream.save(tmp_path / "stream")
    again = model.stream(adapt, saved=tmp_path / "stream")
    assert again.result() == stream.result()
    for each in (stream, again):
        each.push("d books.\n")
    assert again.result() == stream.result()


def test_a_stream_of_another_model(words: LanguageModel, letters: LanguageModel, tmp_path: Path) -> None:
    words.stream().save(tmp_path / "stream")
    with pytest.raises(ArtifactError, match="another model"):
        letters.stream(saved=tmp_path / "stream")
    (tmp_path / "stream").write_bytes(b"no")
    with pytest.raises(ArtifactError, match="holds no stream"):
        words.stream(saved=tmp_path / "stream")
    with pytest.raises(ArtifactError, match="holds no stream"):
        words.stream(saved=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("last", torch.tensor([10**6])),
        ("last", torch.tensor([-1])),
        ("last", torch.tensor([1.0])),
        ("last", torch.tensor([], dtype=torch.int64)),
        ("rest", torch.tensor([2**40])),
        ("tail", torch.tensor([-5])),
        ("state.0.0", torch.zeros(1, 1, 3)),
        ("state.0.0", torch.zeros(3, 1, 12, dtype=torch.float64)),
        ("state.0.1", None),
        ("cache.tokens", torch.tensor([10**6])),
        ("cache.features", torch.zeros(2, 2)),
    ],
)
def test_a_file_with_other_parts(
    words: LanguageModel, tmp_path: Path, name: str, value: torch.Tensor | None
) -> None:
    stream = words.stream(adapt=True)
    stream.push("I love tea.\nthey read ol")
    stream.save(tmp_path / "stream")
    with safe_open(str(tmp_path / "stream"), "pt") as saved:
        tensors = {key: saved.get_tensor(key) for key in saved.keys()}  # noqa: SIM118
        metadata = saved.metadata()
    tensors = {key: one for key, one in (tensors | {name: value}).items() if one is not None}
    save_file(tensors, tmp_path / "stream", metadata)
    with pytest.raises(ArtifactError, match="is damaged, its parts don't fit each other"):
        words.stream(adapt=True, saved=tmp_path / "stream")


def test_a_stream_is_not_read_from_a_pipe(words: LanguageModel, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtifactError, match="not a regular file"):
        words.stream(saved=tmp_path / "pipe")


def test_rows_share_one_cache(letters: LanguageModel) -> None:
    stream = letters.stream(adapt=True)
    stream.push("they read tea.\n" * 3)

    tokens = [3, 4, 5, 3]
    together, _ = stepped(stream, tokens, stream._state.select(torch.zeros(4, dtype=torch.int64)))
    for row, token in enumerate(tokens):
        alone, _ = stepped(stream, [token], stream._state)
        torch.testing.assert_close(together[row], alone[0], rtol=1e-6, atol=1e-6)


# ---- generated text


def test_generated_text(model: LanguageModel) -> None:
    first = "".join(model.generate("I love", 200, seed=1))
    assert first == "".join(model.generate("I love", 200, seed=1))
    assert first != "".join(model.generate("I love", 200, seed=2))
    assert 190 <= len(first) <= 200
    characters = set(sentences(600)) | {" "}
    assert set(first) <= characters
    generated = first.replace("\n", " ").split()
    assert sum(w.strip(".") in sentences(600) for w in generated) > 0.5 * len(generated)


def test_temperature_0_is_the_likeliest(model: LanguageModel) -> None:
    texts = {"".join(model.generate("they", 60, temperature=0, seed=s)) for s in (1, 2, 3)}
    assert len(texts) == 1
    assert texts == {"".join(model.generate("they", 60, top_k=1, seed=5))}


def test_the_first_of_several_stops_and_a_number_of_tokens(model: LanguageModel) -> None:
    stream = model.stream()
    stream.push("I")
    whole = "".join(stream.generate(300, seed=3))
    stops = ["zzz", whole[40:44], whole[20:23]]
    cut = "".join(stream.generate(300, seed=3, stop=stops))
    assert cut == whole[: min(whole.index(stop) for stop in stops[1:])]
    assert stream.written is not None and stream.written.reason == "stop"
    pieces = list(stream.generate(300, seed=3, tokens=5))
    assert "".join(pieces) == whole[: len("".join(pieces))] and stream.written == (5, "length")
    assert stream.num_tokens("".join(pieces)) in (4, 5, 6)  # not always those that were drawn
    for wrong in (0, -1, 1.5):
        with pytest.raises(UsageError, match="tokens must be a whole number"):
            stream.generate(tokens=wrong)  # type: ignore[arg-type]


def test_stop_and_length(model: LanguageModel) -> None:
    text = "".join(model.generate("I", 300, seed=3))
    stopped = "".join(model.generate("I", 300, seed=3, stop=".\n"))
    assert ".\n" in text and stopped == text[: text.index(".\n")]
    assert "".join(model.generate("I", 0)) == ""
    for length in (1, 7):
        assert "".join(model.generate("I", length, seed=3)) == text[:length]


def test_generating_does_not_change_the_stream(model: LanguageModel) -> None:
    stream = model.stream()
    stream.push("they like")
    before = stream.result()
    "".join(stream.generate(50, seed=1))
    assert stream.result() == before


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"length": -1}, "length"),
        ({"length": 1.5}, "length"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"top_k": "3"}, "top_k"),
        ({"top_p": "all"}, "top_p"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"stop": ""}, "stop"),
        ({"seed": 2**64}, "seed"),
        ({"seed": "1"}, "seed"),
    ],
)
def test_wrong_options(letters: LanguageModel, options: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        "".join(letters.generate("I", **options))


# ---- many at once


@settings(max_examples=25)
@given(
    drawn=events(
        st.sampled_from(["I love", " deep le", "a", ".\n", "", "x y\r", "\nthey", b"no"]), 4, ("result",)
    )
)
def test_streams_in_a_pool_are_streams(
    letters: LanguageModel, words: LanguageModel, subwords: LanguageModel, drawn: list[Any]
) -> None:
    for model in (letters, words, subwords):
        options = [{"adapt": adapt} for adapt in (False, True, False, True)]
        check_pool(model.pool(4), model.stream, options, drawn)


@settings(max_examples=25)
@given(
    prompts=st.lists(
        st.sampled_from(["I love ", "they", "", "tea.\n", "I read old b"]), min_size=1, max_size=5
    ),
    temperature=st.sampled_from([0, 0.7, 1.3]),
    top_k=st.sampled_from([0, 4]),
    stop=st.sampled_from([None, ".\n", "o"]),
)
def test_texts_written_in_a_pool_are_those_of_streams(
    letters: LanguageModel,
    words: LanguageModel,
    prompts: list[str],
    temperature: float,
    top_k: int,
    stop: str | None,
) -> None:
    for model in (letters, words):
        pool, expected = model.pool(9), {}
        for seed, prompt in enumerate(prompts):
            stream, alone = pool.open(adapt=seed == 1), model.stream(adapt=seed == 1)
            options = {"length": 10 + 7 * seed, "seed": seed, "temperature": temperature, "top_k": top_k}
            pool.push({stream: prompt})
            alone.push(prompt)
            pool.write(stream, **options, stop=stop)
            expected[stream] = list(alone.generate(**options, stop=stop))
        assert written(pool, list(pool)) == expected


def test_a_stream_of_a_pool_is_saved_and_continued(letters: LanguageModel, tmp_path: Path) -> None:
    pool = letters.pool(2)
    first = pool.open()
    pool.push({first: "they read ol"})
    first.save(tmp_path / "stream")
    again = pool.open(saved=tmp_path / "stream")
    answers = pool.result([first, again])
    assert answers.done[first] == answers.done[again]


def test_a_stream_whose_state_becomes_nan_begins_anew_alone(letters: LanguageModel) -> None:
    network = copy.deepcopy(letters.network)
    bad = int(letters.vocabulary.encode("v")[0])
    with torch.no_grad():
        network.embedding.weight[bad] = math.nan
    broken = dataclasses.replace(letters, network=network)
    pool, alone = broken.pool(3), broken.stream()
    good, other, third = pool.open(), pool.open(), pool.open()
    answers = pool.push({good: "tea", other: "I love tea", third: "the"})
    assert set(answers.failed) == {other} and isinstance(answers.failed[other], NotFinite)
    with pytest.raises(NotFinite):
        alone.push("I love tea")
    for stream in (other, alone):
        assert stream._state == DecoderState(None, None)
    assert good._state.layers is not None


def test_wrong_options_in_a_pool(letters: LanguageModel) -> None:
    pool = letters.pool(1)
    stream = pool.open()
    with pytest.raises(UsageError, match="temperature"):
        pool.write(stream, temperature=-1)
    with pytest.raises(UsageError, match="open: close one"):
        pool.open()
