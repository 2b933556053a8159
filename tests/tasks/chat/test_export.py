"""Exported chatbots in onnxruntime: elman's search among replies, with numbers from the exported files."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

import elman
from elman.data.batches import pad
from elman.export.graph import write
from elman.tasks.chat.export import ranker_graph
from elman.tasks.chat.network import DualEncoder
from onnx_files import call, session
from saved_models import QUESTIONS, SAVED


class Exported:
    """The calls of a language model's network and of its decoder, answered by ONNX files."""

    def __init__(self, whole: Path, step: Path) -> None:
        self._whole, self._step = session(whole), session(step)

    def __call__(self, ids: Tensor, state: Any = None) -> tuple[Tensor, None, Any]:
        return self._run(self._whole, ids, state)

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        log_probs, _, state = self._run(self._step, ids, state)
        return log_probs, state

    def log_probs(self, features: Tensor) -> Tensor:
        return features

    logits = log_probs

    def _run(self, run: onnxruntime.InferenceSession, ids: Tensor, state: Any) -> tuple[Tensor, None, Any]:
        ((h, c),) = state or ((None, None),)
        feeds = {} if h is None else {"state_in_l0_h": h[0], "state_in_l0_c": c[0]}
        found = {k: torch.from_numpy(v) for k, v in call(run, ids=ids, **feeds).items()}
        return found["log_probs"], None, ((found["state_out_l0_h"][None], found["state_out_l0_c"][None]),)


def test_the_replies_are_those_of_predict(tmp_path: Path) -> None:
    model, exported = (elman.load(SAVED / "chat") for _ in range(2))
    whole, step = exported.export_onnx(tmp_path / "model.onnx")
    speaker: Any = exported.stream()._speaker
    speaker.network = speaker._decoder = Exported(whole, step)
    for question in QUESTIONS["chat"]:
        replies, expected = (one.predict(question, count=3) for one in (exported, model))
        assert [text for text, _ in replies] == [text for text, _ in expected]
        assert np.allclose([p for _, p in replies], [p for _, p in expected], atol=1e-5)


def test_the_ranker(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = DualEncoder(6, 20).eval()
    write(tmp_path / "ranker.onnx", ranker_graph(network).model("ranker", {}))
    turns = [[3, 4, 5], [7], [2, 2, 9, 11, 4]]
    ids, lengths = pad(turns)
    found = call(session(tmp_path / "ranker.onnx"), ids=ids, lengths=lengths)
    with torch.no_grad():
        contexts, replies = network(turns)
    assert np.abs(found["contexts"] - contexts.numpy()).max() <= 1e-5
    assert np.abs(found["replies"] - replies.numpy()).max() <= 1e-5
