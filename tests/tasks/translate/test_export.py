"""Exported translators in onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.data.text.tokenizers import UNKNOWN
from elman.export.graph import write
from elman.tasks.translate.copying import NUM_SLOTS
from elman.tasks.translate.export import decoder_graph, encoder_graph
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.search import translate
from elman.tasks.translate.settings import Settings
from onnx_files import call, session
from saved_models import QUESTIONS, SAVED

ENCODED = ("keys", "values", "padding")


def carried(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.replace("_out", "_in"): v for k, v in found.items() if k.startswith("state")}


def test_greedy_search_translates_as_predict_does(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "translate")
    encoder, decoder = map(session, model.export_onnx(tmp_path / "model.onnx"))
    for text in QUESTIONS["translate"]:
        source = model.codec.encode_source(text)
        encoded = call(encoder, ids=np.array(source.ids, np.int64)[:, None])
        state, written = carried(encoded), [0]
        while len(written) == 1 or (written[-1] and len(written) < 2 * len(source.ids) + 11):
            feeds = {name: encoded[name] for name in ENCODED} | state
            found = call(decoder, ids=np.array(written[-1:]), slots=np.array([len(source.slots)]), **feeds)
            state = carried(found)
            written.append(int(found["log_probs"][0].argmax()))
        (best,) = translate(model.network, model.codec, [text], beam_width=1)[0]
        assert tuple(written[1:]) == best.ids


@pytest.mark.parametrize("options", [{}, {"input_feeding": False, "layers": 2, "cell": "mgu"}], ids=str)
def test_networks(options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = EncoderDecoder(Settings(hidden=6, embedding=4, shared_vocabulary=False, **options), 20, 23)
    network.eval()
    write(tmp_path / "whole.onnx", encoder_graph(network).model("whole", {}))
    write(tmp_path / "step.onnx", decoder_graph(network).model("step", {}))
    ids, lengths = torch.randint(0, 20, (7, 3)), torch.tensor([7, 2, 4])
    with torch.no_grad():
        encoded, state = network.encode(ids, lengths)
    found = call(session(tmp_path / "whole.onnx"), ids=ids, lengths=lengths)
    for name in ENCODED:
        assert np.allclose(found[name], getattr(encoded, name), atol=1e-5)
    run, ours, slots = session(tmp_path / "step.onnx"), carried(found), torch.tensor([0, 2, NUM_SLOTS])
    for tokens in torch.randint(0, 23, (4, 3)):
        features, state = network.step(tokens, state, encoded)
        with torch.no_grad():
            logits = network.logits(features)
        for row, count in enumerate(slots):
            logits[row, 23 - NUM_SLOTS + count :] = -torch.inf
        logits[:, UNKNOWN] = -torch.inf
        stepped = call(run, ids=tokens, slots=slots, **{name: found[name] for name in ENCODED}, **ours)
        ours = carried(stepped)
        expected = logits.log_softmax(-1).numpy()
        assert np.array_equal(np.isinf(stepped["log_probs"]), np.isinf(expected))
        assert np.abs(np.exp(stepped["log_probs"]) - np.exp(expected)).max() <= 1e-5
        assert np.abs(stepped["attention"] - state.weights.numpy()).max() <= 1e-5
