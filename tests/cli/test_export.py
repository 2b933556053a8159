"""`elman export`: files that onnxruntime runs, and a sentence for what is wrong."""

import json
from pathlib import Path

import pytest

from command_line import Call
from onnx_files import metadata, session
from saved_models import SAVED


def test_a_model_of_every_kind(call: Call, tmp_path: Path) -> None:
    code, out, err = call("export", str(SAVED / "translate"), "-o", "t.onnx")
    assert (code, err) == (0, "")
    assert [line.partition(": ")[0] for line in out.splitlines()] == ["t.onnx", "t.step.onnx"]
    assert metadata(session(tmp_path / "t.step.onnx"))["task"] == "translate"
    code, out, err = call("export", str(SAVED / "classify"), "--json")
    assert (code, err) == (0, "")
    files = json.loads(out)["files"]
    assert [one["path"] for one in files] == ["model.onnx", "model.step.onnx"]
    assert all(Path(tmp_path / one["path"]).stat().st_size == one["bytes"] for one in files)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([str(SAVED / "classify"), "-o", "model.pt"], "the file is an ONNX model, such as model.onnx"),
        ([str(SAVED / "classify"), "-o", "missing/model.onnx"], "name a file in a folder that exists"),
        (["nowhere"], "there is no model at nowhere"),
    ],
)
def test_what_is_wrong_is_said(call: Call, tmp_path: Path, arguments: list[str], words: str) -> None:
    code, out, err = call("export", *arguments)
    assert (code, out) != (0, "") and words in err
    assert len(err.splitlines()) == 1 and not list(tmp_path.glob("*.onnx"))
