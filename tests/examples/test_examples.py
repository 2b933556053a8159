"""Every program in examples/ runs on small data, and what it prints is true."""

import ast
import importlib.util
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import elman
from elman.demo import series
from saved_models import SAVED
from tones import RATE, sentence

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On a busy machine, threads on tiny shapes wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_cell_learns_to_add(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("own_cell").main(updates=300, steps=8) < 0.08
    assert "times)" in capsys.readouterr().out


def test_char_rnn_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "plays.txt"
    text.write_text("".join(f"ROMEO:\nI love deep water, {k} times.\n\n" for k in range(80)))
    written = example("char_rnn").main(text, "ROMEO:", 20, hidden=16, epochs=1, progress=False)
    assert len(written) == 20
    out = capsys.readouterr().out
    assert out.endswith(f"ROMEO:{written}\n") and "perplexity" in out


def test_replacing_keeps_the_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert example("replace_torch_lstm").main(hidden=16, steps=10, rounds=1) < 1e-5
    assert "torch.nn.modules.rnn → elman.nn" in capsys.readouterr().out


def test_forecast_csv_looks_a_horizon_ahead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "forecast.png"
    frame = example("forecast_csv").main(
        series.sales()[-100:], 6, picture, epochs=1, hidden=4, progress=False
    )
    assert frame.height == 6 and picture.stat().st_size > 1000
    out = capsys.readouterr().out
    assert "seasonal naive" in out and "2016-11-01" in out


@pytest.fixture(scope="module")
def classifiers() -> dict[str, elman.Classifier]:
    """Of single words, pairs and clitics, and the same that may give several labels."""
    rows = [{"text": f"I don't like {a} {b}!", "label": a} for a in ("it", "film's") for b in "abcdefgh"]
    options = {"progress": False, "epochs": 1, "hidden": 8, "embedding": 8, "networks": 2, "stream": True}
    several = [row | {"label": f"{row['label']};x"} for row in rows]
    return {
        "one": elman.Classifier.fit(rows, **options),
        "several": elman.Classifier.fit(several, separator=";", **options),
    }


TEXTS = ["I don't like it a", "don’t<br/>LIKE the film's e...", "", "東京 it's 3.5 it it it"]


@pytest.mark.parametrize("kind", ["one", "several"])
def test_onnx_runtime_classifies_whole_texts_and_streams(
    classifiers: dict[str, elman.Classifier], kind: str, tmp_path: Path
) -> None:
    model, reader = classifiers[kind], example("onnx_runtime")
    assert model.blend is not None
    model = replace(model, blend=model.blend._replace(network=1.0))  # so that it counts
    whole, step = model.export_onnx(tmp_path / "m.onnx")
    for text in TEXTS:
        expected = pytest.approx(model.predict(text, probabilities=True), abs=1e-5)
        assert reader.classify(reader.Model(whole), text) == expected
        assert reader.classify(reader.Model(step), text) == expected
    stream, ours = reader.Model(step), model.stream()
    for k, piece in enumerate(["I don't ", "like the film's ", "end"]):
        ours.push(piece)
        found = reader.classify(stream, piece, more=k > 0)
        assert found == pytest.approx(ours.result(probabilities=True), abs=1e-5)


@pytest.mark.parametrize("tokenizer", ["word", "character"])
def test_onnx_runtime_writes(tokenizer: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("I love deep water.\nYou love\tdeep nets.\n" * 40)
    options = {"tokenizer": tokenizer, "epochs": 2, "hidden": 16, "embedding": 8, "progress": False}
    model, reader = elman.LanguageModel.fit(tmp_path / "text.txt", **options), example("onnx_runtime")
    for path in model.export_onnx(tmp_path / "m.onnx"):
        for prompt in ("I love", "You  do\tnot", ""):
            written = reader.write(reader.Model(path), prompt, 12)
            assert written == "".join(model.generate(prompt, len(written), temperature=0))


def test_onnx_runtime_transcribes(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "transcribe")
    reader, samples = example("onnx_runtime"), sentence("three one two", 9)
    exported = reader.Model(model.export_onnx(tmp_path / "m.onnx")[0])
    assert reader.transcribe(exported, samples) == model.predict(samples, RATE) != ""


def test_onnx_live_transcribes_pieces(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "transcribe")
    _, step = model.export_onnx(tmp_path / "m.onnx")
    live, samples = example("onnx_live").LiveModel(step), sentence("three one two", 9)
    for _ in range(2):  # recordings, one after the other
        words = [word for piece in np.array_split(samples, 50) for word in live.push(piece)]
        words += live.push(samples[:0], final=True)
        assert " ".join(words) == model.predict(samples, RATE) != ""


def test_onnx_live_reads_a_file_with_numpy_and_onnxruntime_alone(tmp_path: Path) -> None:
    model: Any = elman.load(SAVED / "transcribe")
    _, step = model.export_onnx(tmp_path / "m.onnx")
    samples = sentence("one three", 9)
    with wave.open(str(tmp_path / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32767).astype(np.int16).tobytes())
    program = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    program += "; assert not {'torch', 'elman', 'onnx'} & sys.modules.keys()"
    arguments = [EXAMPLES / "onnx_live.py", step, tmp_path / "said.wav"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == model.predict(samples, RATE).split() != []


def test_onnx_runtime_needs_numpy_and_onnxruntime_alone(tmp_path: Path) -> None:
    elman.load(SAVED / "classify").export_onnx(tmp_path / "m.onnx")
    program = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    program += "; assert not {'torch', 'elman', 'onnx'} & sys.modules.keys()"
    arguments = [EXAMPLES / "onnx_runtime.py", tmp_path / "m.onnx", "the film was not good"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(ast.literal_eval(done.stdout)) == {"bad", "good"}


def test_every_example_is_short_and_tested() -> None:
    tested = Path(__file__).read_text()
    for file in EXAMPLES.glob("*.py"):
        assert len(file.read_text().splitlines()) < 80
        assert f'example("{file.stem}")' in tested
