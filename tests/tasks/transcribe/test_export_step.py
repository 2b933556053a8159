"""Exported live transcribers in onnxruntime: recordings in pieces."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import elman
from elman.data.audio.normalise import Normaliser
from elman.decode.ctc import greedy
from elman.export.graph import write
from elman.tasks.transcribe.export import transcriber_graph
from elman.tasks.transcribe.export_step import step_graph
from elman.tasks.transcribe.features import Features, ReadyFrames, Sound
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.settings import Settings
from onnx_files import call, metadata, session
from saved_models import SAVED
from tones import RATE, sentence


def in_pieces(run: onnxruntime.InferenceSession, name: str, pieces: list[Any]) -> np.ndarray:
    """Return the log-probabilities of all steps; each state goes into the next call."""
    state: dict[str, Any] = {}
    parts = []
    for k, piece in enumerate(pieces):
        found = call(run, **{name: piece, "final": [k == len(pieces) - 1]}, **state)
        parts.append(found.pop("log_probs"))
        state = {key.replace("_out_", "_in_"): value for key, value in found.items()}
    return np.concatenate(parts)


def cut(recording: Any, seed: int) -> list[Any]:
    """Cut at random places, some of them next to each other or the same."""
    random = np.random.default_rng(seed)
    places = random.integers(0, len(recording), random.integers(1, 9))
    return np.split(recording, np.sort([*places, places[0] + 1, places[-1]]))


@pytest.mark.parametrize("window", [0, 30])
@pytest.mark.parametrize("features", [Sound(8000, 24), Sound(11025, 24), ReadyFrames(7, 0.01, torch.ones(7))])
@pytest.mark.parametrize(("cell", "stride"), [("gru", 4), ("lstm", 2), ("mgu", 1)])
def test_pieces_are_the_whole(
    features: Features, cell: str, stride: int, window: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    settings = Settings(cell=cell, hidden=6, layers=2, front=5, stride=stride, bidirectional=False)
    network = TranscriberNet(settings, features.width, 9).eval()
    normaliser = Normaliser(torch.randn(features.width), torch.rand(features.width) + 0.5, 10, window)
    runs = []
    for name, graph in (("whole", transcriber_graph), ("step", step_graph)):
        write(tmp_path / name, graph(network, features, normaliser).model("g", {}))
        runs.append(session(tmp_path / name))
    whole, step = runs
    sound = isinstance(features, Sound)
    name = "samples" if sound else "frames"
    for size in (57, 102, 211, 1003, 5003):
        random = np.random.default_rng(size)
        recording = random.uniform(-0.3, 0.3, (size,) if sound else (size % 101, 7)).astype(np.float32)
        expected = call(whole, **{name: recording})["log_probs"]
        for seed in range(4):
            found = in_pieces(step, name, cut(recording, seed))
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() <= 1e-4


def test_the_words_are_those_of_a_stream(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "transcribe")
    assert not model.settings.bidirectional
    samples = sentence("one two three", 5)
    _, file = model.export_onnx(tmp_path / "model.onnx")
    run = session(file)
    labels = ["", *metadata(run)["alphabet"]["labels"]]
    pieces = np.array_split(samples, 23)
    found = greedy(in_pieces(run, "samples", pieces), blank=0)
    stream, words = model.stream(rate=RATE), []
    for piece in pieces:
        words += stream.push(piece)
    words += stream.finish()
    assert [labels[token.token] for token in found] == [word.text for word in words] != []


def test_nothing_but_the_end_is_no_step(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "transcribe")
    _, file = model.export_onnx(tmp_path / "model.onnx")
    found = call(session(file), samples=np.zeros(0, np.float32), final=[True])
    assert found["log_probs"].shape == (0, len(model.alphabet.labels) + 1)
