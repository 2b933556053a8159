"""Exported classifiers in onnxruntime beside `predict`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.tasks.classify.classifier import Classifier
from elman.tasks.classify.examples import encode
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.ngrams import words_of
from labelled_texts import QUICK, order_matters
from onnx_files import call, metadata, session
from saved_models import SAVED

TEXTS = ["the film was not bad the plot good", "good", "not good. It was bad, we SAW it, don't you?", ""]
ONE_EPOCH = QUICK | {"epochs": 1}


def shares(model: Any, texts: list[str]) -> np.ndarray:
    return np.array([list(row.values()) for row in model.predict(texts, probabilities=True)])


def ngrams(model: Any, texts: list[str]) -> dict[str, np.ndarray]:
    """The inputs of the linear model, padded with a count of 0."""
    if model.blend is None:
        return {}
    (counts,) = model.baseline.ngrams.count([words_of(text) for text in texts])
    size = int(np.bincount(counts.texts, minlength=len(texts)).max())
    numbers, times = np.zeros((len(texts), size), np.int64), np.zeros((len(texts), size), np.float32)
    for row in range(len(texts)):
        own = counts.texts == row
        numbers[row, : own.sum()], times[row, : own.sum()] = counts.ngrams[own], counts.counts[own]
    return {"ngrams": numbers, "counts": times}


def decided_by_both(model: Classifier) -> Classifier:
    """A model whose network counts, however little it has learned."""
    assert model.blend is not None
    return replace(model, blend=model.blend._replace(network=1.0, linear=0.5))


def whole(model: Any, file: Path, texts: list[str]) -> np.ndarray:
    encoded = [torch.tensor(encode(model.tokenizer, text)) for text in texts]
    ids = torch.nn.utils.rnn.pad_sequence(encoded)
    lengths = np.array([len(one) for one in encoded])
    return call(session(file), ids=ids, lengths=lengths, **ngrams(model, texts))["probabilities"]


def stepped(model: Any, file: Path, text: str) -> np.ndarray:
    run, state, found = session(file), {}, {}
    for token in encode(model.tokenizer, text):
        found = call(run, ids=np.array([token], np.int64), **ngrams(model, [text]), **state)
        state = {k.replace("_out", "_in"): v for k, v in found.items() if k.startswith("state")}
    return found["probabilities"][0]


@pytest.fixture(scope="module")
def quick() -> Classifier:
    return Classifier.fit(order_matters(80), **ONE_EPOCH, stream=True)


def test_a_stream_is_the_whole_text(quick: Classifier, tmp_path: Path) -> None:
    model = decided_by_both(quick)
    files = model.export_onnx(tmp_path / "model.onnx")
    assert [file.name for file in files] == ["model.onnx", "model.step.onnx"]
    expected = shares(model, TEXTS)
    assert np.abs(whole(model, files[0], TEXTS) - expected).max() <= 1e-5
    for text, row in zip(TEXTS, expected, strict=True):
        assert np.abs(stepped(model, files[1], text) - row).max() <= 1e-5


@pytest.mark.parametrize(
    "options",
    [
        {"phrase": 3, "networks": 1},
        {"phrase": 2, "stream": True, "pooling": "last+mean"},
        {"pooling": "mean+max+last", "layers": 2, "dropout": 0.1, "cell": "mgu"},
        {"tokenizer": "subword", "vocabulary": 300, "pooling": "last", "stream": True},
    ],
    ids=str,
)
def test_options(options: dict[str, Any], tmp_path: Path) -> None:
    model = decided_by_both(Classifier.fit(order_matters(80), **ONE_EPOCH | options))
    files = model.export_onnx(tmp_path / "model.onnx")
    assert len(files) == (2 if "stream" in options else 1)
    expected = shares(model, TEXTS)
    assert np.abs(whole(model, files[0], TEXTS) - expected).max() <= 1e-5
    if "stream" in options:
        assert np.abs(stepped(model, files[1], TEXTS[0]) - expected[0]).max() <= 1e-5


def test_several_labels(tmp_path: Path) -> None:
    rows = [row | {"label": f"{row['label']};{'ab'[i % 2]}"} for i, row in enumerate(order_matters(80))]
    model = Classifier.fit(rows, separator=";", **ONE_EPOCH)
    files = model.export_onnx(tmp_path / "model.onnx")
    assert np.abs(whole(model, files[0], TEXTS) - shares(model, TEXTS)).max() <= 1e-5
    assert metadata(session(files[0]))["labels"]["separator"] == ";"


def test_a_model_without_a_linear_part(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "classify")
    files = model.export_onnx(tmp_path / "model.onnx")
    assert not isinstance(model.baseline, LinearModel)
    assert np.abs(whole(model, files[0], TEXTS) - shares(model, TEXTS)).max() <= 1e-5


def test_metadata_say_all_that_a_reader_needs(quick: Classifier, tmp_path: Path) -> None:
    found = metadata(session(quick.export_onnx(tmp_path / "model.onnx")[0]))
    assert (found["task"], found["graph"], found["labels"]) == ("classify", "whole", ["bad", "good"])
    assert found["card"].startswith("# Text classifier") and found["equations"].startswith("LSTM(")
    assert found["vocabulary"]["words"][found["start"] - 3 :] == [found["vocabulary"]["words"][-1]]
    assert {*found["patterns"]} == {"tag", "word", "run", "clitic"}
