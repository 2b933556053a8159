"""A model of ready frames: trained, answered whole and live, and kept apart from models of sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import elman
from elman.errors import DataError, UsageError
from elman.tasks.transcribe.examples import EDGE_FRAMES
from elman.tasks.transcribe.features import ReadyFrames, Sound, features_of, with_edges
from elman.tasks.transcribe.settings import Settings
from elman.tasks.transcribe.transcriber import Transcriber
from tones import RATE, SMALL, sentence

WIDTH = 5
SHAPES = {word: np.random.default_rng(k).normal(size=(3, WIDTH)) for k, word in enumerate(("one", "two"))}
FEW = SMALL | {"hidden": 16, "front": 16}
del FEW["bins"]


def framed(text: str, seed: int) -> NDArray[np.float32]:
    """Return the frames of a text: each word three sounds of its own, with pauses around it."""
    generator = np.random.default_rng(seed)
    parts = [np.zeros((10, WIDTH))]
    for word in text.split():
        parts += [SHAPES[word].repeat(6, axis=0), np.zeros((10, WIDTH))]
    frames = np.concatenate(parts)
    return (frames + 0.1 * generator.normal(size=frames.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def spoken_frames() -> list[dict[str, Any]]:
    return [
        {"frames": framed(text, k), "text": text} for k in range(12) for text in ("one", "two", "two one")
    ]


@pytest.fixture(scope="module")
def forwards(spoken_frames: list[dict[str, Any]]) -> Transcriber:
    plan = {"epochs": 30, "learning_rate": 1e-2, "batch_size": 4, "joined": 1, "augment": False}
    return Transcriber.fit(spoken_frames, live=True, **FEW, **plan)


def test_it_learns_and_is_saved(
    forwards: Transcriber, spoken_frames: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert forwards.evaluate(spoken_frames).scores["wer"] < 0.1  # type: ignore[operator]
    assert forwards.settings.input == "frames" and forwards.settings.bins == WIDTH
    forwards.save(tmp_path / "model")
    frames = framed("one two one", 99)
    answer = forwards.predict(frames, words=True)
    assert elman.load(tmp_path / "model").predict(frames, words=True) == answer


def test_every_form_has_the_same_answer(forwards: Transcriber, tmp_path: Path) -> None:
    frames = framed("two one", 7)
    answer, path = forwards.predict(frames), tmp_path / "a.npy"
    np.save(path, frames.astype(np.float64))
    table = tmp_path / "t.csv"
    table.write_text("frames\na.npy\n")
    for one in (torch.from_numpy(frames), path, str(path), {"frames": frames}):
        assert forwards.predict(one) == answer
    for several in ([frames], tmp_path, table, [{"frames": frames}], [path]):
        assert forwards.predict(several) == [answer]
    assert [str(one) for one in forwards.answers(str(table))] == [f"{path} ({table}, row 2)\t{answer}"]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5))
@settings(max_examples=10, deadline=None)
def test_live_is_whole(forwards: Transcriber, sizes: list[int]) -> None:
    frames, stream, words = framed("one two two one", 3), forwards.stream(), []
    for _ in range(2):  # the end of a recording begins another
        at, words = 0, []
        while at < len(frames):
            for size in sizes:
                words += stream.push(frames[at : at + size])
                at += size
        words += stream.finish()
    whole = forwards.predict(frames, words=True)
    assert [word[:3] for word in words] == [word[:3] for word in whole]


def test_a_bad_piece_is_refused_and_the_stream_goes_on(forwards: Transcriber) -> None:
    frames, stream = framed("one two", 1), forwards.stream()
    words = stream.push(frames[:20])
    for piece in (frames[:, :2], frames[0], np.full((1, WIDTH), np.nan), "text", None):
        with pytest.raises(DataError, match="the piece"):
            stream.push(piece)
    words += stream.push(frames[:0]) + stream.push(frames[20:]) + stream.finish()
    assert [word[:3] for word in words] == [word[:3] for word in forwards.predict(frames, words=True)]
    assert stream.finish() == []


@pytest.mark.parametrize(
    "data", [[0.0, 0.1], b"RIFF", "a.wav", np.zeros(800, np.float32), np.zeros((9, 2)), np.zeros((0, WIDTH))]
)
def test_a_model_of_frames_refuses_sound(forwards: Transcriber, data: Any) -> None:
    with pytest.raises((DataError, UsageError)):
        forwards.predict(data)
    with pytest.raises(UsageError, match="rate is only for samples"):
        forwards.predict(framed("one", 1), rate=RATE)
    with pytest.raises(UsageError, match="rate is only for samples"):
        forwards.stream(rate=RATE)


def test_a_model_of_sound_refuses_frames(both_ways: Transcriber, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", framed("one", 1))
    rows = [{"frames": framed("one", 1), "text": "one"}]
    for data in (tmp_path / "a.npy", rows, rows[0]):
        with pytest.raises(UsageError, match="holds precomputed frames; this model reads sound"):
            both_ways.predict(data)
    with pytest.raises(DataError, match="names precomputed frames; this model reads sound"):
        both_ways.evaluate(rows)


def test_settings_that_do_not_fit_are_refused(spoken_frames: list[dict[str, Any]], tmp_path: Path) -> None:
    for change in ({"input": "audio"}, {"bins": 40}):
        with pytest.raises((UsageError, DataError), match=r"holds frames|40 are needed"):
            Transcriber.fit(spoken_frames, **FEW, **change)  # type: ignore[arg-type]


def test_time_is_that_of_the_frames(spoken_frames: list[dict[str, Any]]) -> None:
    model = Transcriber.fit(spoken_frames[:12], frame_ms=20, epochs=1, augment=False, **FEW)
    assert model.settings.stride <= 2
    assert model.validation.seconds == pytest.approx(0.02 * sum(len(r["frames"]) for r in held_out(model)), 1)


def held_out(model: Transcriber) -> list[dict[str, Any]]:
    return [{"frames": np.zeros((46, WIDTH))}] * model.validation.recordings


def test_edges_are_silent_or_go_on() -> None:
    features = torch.randn(4, WIDTH)
    sound = with_edges(features, Sound(RATE, WIDTH))
    assert len(sound) == 4 + 2 * EDGE_FRAMES and float(sound[:EDGE_FRAMES].std()) == 0
    ready = with_edges(features, features_of(Settings(input="frames", bins=WIDTH)))
    assert torch.equal(ready[0], features[0]) and torch.equal(ready[-1], features[-1])
    assert torch.equal(ready[EDGE_FRAMES:-EDGE_FRAMES], features)


def test_what_differs_from_the_beginning_is_loud() -> None:
    features = torch.tensor([[5.0, 5.0], [5.0, 4.0], [0.0, 5.0]])
    ready = features_of(Settings(input="frames", bins=2))
    assert ready.loudness(features).tolist() == [0.0, 1.0, 5.0]
    assert Sound(RATE, 2).loudness(features).tolist() == [5.0, 4.5, 2.5]


def test_sound_of_another_model_is_refused() -> None:
    ready = ReadyFrames(WIDTH, 0.01, torch.ones(WIDTH))
    with pytest.raises(UsageError, match="no precomputed frames; this model reads frames of 5 features"):
        ready.read(sentence("one", 1), None, "")
