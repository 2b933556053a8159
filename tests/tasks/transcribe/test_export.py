"""Exported transcribers in onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.data.audio.normalise import Normaliser
from elman.decode.ctc import greedy
from elman.export.graph import write
from elman.tasks.transcribe.export import transcriber_graph
from elman.tasks.transcribe.features import Features, ReadyFrames, Sound, with_edges
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.settings import Settings
from onnx_files import call, metadata, session
from saved_models import SAVED
from tones import RATE, sentence


def test_the_words_are_those_of_predict(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "transcribe")
    file, _ = model.export_onnx(tmp_path / "model.onnx")
    samples = sentence("one two three", 5)
    run = session(file)
    labels = ["", *metadata(run)["alphabet"]["labels"]]
    found = greedy(call(run, samples=samples)["log_probs"], blank=0)
    assert " ".join(labels[token.token] for token in found) == model.predict(samples, RATE) != ""


@pytest.mark.parametrize("window", [0, 30])
@pytest.mark.parametrize("features", [Sound(8000, 24), Sound(16000, 40), ReadyFrames(7, 0.01, torch.ones(7))])
@pytest.mark.parametrize(("stride", "bidirectional"), [(4, True), (2, False), (1, False)])
def test_networks(features: Features, stride: int, bidirectional: bool, window: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = Settings(cell="gru", hidden=6, layers=2, front=5, stride=stride, bidirectional=bidirectional)
    network = TranscriberNet(settings, features.width, 9).eval()
    normaliser = Normaliser(torch.randn(features.width), torch.rand(features.width) + 0.5, 10, window)
    write(tmp_path / "g.onnx", transcriber_graph(network, features, normaliser).model("g", {}))
    run = session(tmp_path / "g.onnx")
    for size in (311, 5003):
        if isinstance(features, Sound):
            recording: Any = np.random.default_rng(size).uniform(-0.3, 0.3, size).astype(np.float32)
            read, name = features.bank.features(recording), "samples"
        else:
            recording = read = torch.randn(size // 60, features.width)
            name = "frames"
        x = normaliser(with_edges(read, features)).unsqueeze(1)
        with torch.no_grad():
            expected, _ = network(x, torch.tensor([len(x)]))
        found = call(run, **{name: recording})["log_probs"]
        assert found.shape == expected[:, 0].shape
        assert np.abs(found - expected[:, 0].numpy()).max() <= 1e-4
