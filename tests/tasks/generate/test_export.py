"""Exported language models in onnxruntime."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.data.text.tokenizers import RESERVED
from elman.export.graph import write
from elman.tasks.generate.export import language_graph
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.settings import MAX_FULL_VOCABULARY, Settings
from onnx_files import call, metadata, session
from saved_models import SAVED


def stepped(file: Path, ids: list[int]) -> np.ndarray:
    run, state, found = session(file), {}, {}
    for token in ids:
        found = call(run, ids=np.array([token], np.int64), **state)
        state = {k.replace("_out", "_in"): v for k, v in found.items() if k.startswith("state")}
    return found["log_probs"][0]


def test_the_next_words_are_those_of_predict(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "generate")
    files = model.export_onnx(tmp_path / "model.onnx")
    tokens = ["", "<unk>", *metadata(session(files[0]))["vocabulary"]["tokens"]]
    ids = [0, *(tokens.index(token) for token in ("they", " read", " old"))]
    expected = dict(model.predict("they read old", count=10))
    whole = call(session(files[0]), ids=np.array(ids)[:, None])["log_probs"][-1, 0]
    for log_probs in (whole, stepped(files[1], ids)):
        shares = np.exp(log_probs[RESERVED:])
        words = [token.strip() for token in tokens[RESERVED:]]
        total = sum(p for p, word in zip(shares, words, strict=True) if word)
        found = {word: p / total for p, word in zip(shares, words, strict=True) if word in expected}
        assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("tokens", [60, MAX_FULL_VOCABULARY + 7])
@pytest.mark.parametrize("cell", ["gru", "mgu"])
def test_networks(cell: str, tokens: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    settings = replace(Settings(), cell=cell, hidden=6, layers=2, embedding=4)
    network = LanguageNet(settings, tokens).eval()
    ids = torch.randint(0, tokens, (5, 2))
    with torch.no_grad():
        features, _, _ = network(ids)
        expected = network.log_probs(features).numpy()
    write(tmp_path / "whole.onnx", language_graph(network, step=False).model("whole", {}))
    write(tmp_path / "step.onnx", language_graph(network, step=True).model("step", {}))
    assert np.abs(call(session(tmp_path / "whole.onnx"), ids=ids)["log_probs"] - expected).max() <= 1e-5
    assert np.abs(stepped(tmp_path / "step.onnx", ids[:, 1].tolist()) - expected[-1, 1]).max() <= 1e-5
