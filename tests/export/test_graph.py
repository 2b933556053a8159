from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from elman import UsageError
from elman.export.graph import Graph, remove_written, require_float32, write
from onnx_files import call, metadata, session


def doubled(path: Path) -> None:
    graph = Graph()
    x = graph.input("x", ("n",))
    factor = graph.input("factor", (), default=2.0)
    graph.output("y", graph.op("Mul", x, factor), ("n",))
    write(path, graph.model("doubled", {"task": "double", "loss": float("nan")}))


def test_an_input_with_a_default_may_be_left_out(tmp_path: Path) -> None:
    doubled(tmp_path / "g.onnx")
    run = session(tmp_path / "g.onnx")
    x = np.array([1.0, 2.0], np.float32)
    assert call(run, x=x)["y"].tolist() == [2, 4]
    assert call(run, x=x, factor=np.float32(3))["y"].tolist() == [3, 6]
    assert (metadata(run)["task"], metadata(run)["loss"]) == ("double", None)


def test_equal_constants_are_stored_once() -> None:
    graph = Graph()
    body = graph.body()
    assert graph.constant([1.0, 2.0]) == body.constant(torch.tensor([1.0, 2.0]))
    assert len({graph.constant(1.0), graph.constant([1.0]), graph.constant(1, np.int64)}) == 3


def test_the_checker_refuses_a_wrong_graph() -> None:
    graph = Graph()
    graph.output("y", graph.op("Add", "nothing", "nothing"), ())
    with pytest.raises(onnx.checker.ValidationError, match="nothing"):
        graph.model("wrong", {})


def test_other_precisions() -> None:
    require_float32([torch.zeros(1), torch.zeros(1, dtype=torch.int64)], "the model")
    with pytest.raises(UsageError, match=r"the model has weights of torch\.bfloat16"):
        require_float32([torch.zeros(1, dtype=torch.bfloat16)], "the model")


def test_only_the_graph_of_an_earlier_export_is_removed(tmp_path: Path) -> None:
    graph = Graph()
    graph.output("y", graph.input("x", ()), ())
    contents = {
        "step.onnx": graph.model("g", {"graph": "step"}),
        "whole.onnx": graph.model("g", {"graph": "whole"}),
        "layer.onnx": graph.model("g", {}),
        "text.onnx": b"no graph",
        "empty.onnx": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        remove_written(tmp_path / name, "step")
    assert {file.name for file in tmp_path.iterdir()} == contents.keys() - {"step.onnx"}
    remove_written(tmp_path / "none.onnx", "step")
    (tmp_path / "folder.onnx").mkdir()
    remove_written(tmp_path / "folder.onnx", "step")
    assert (tmp_path / "folder.onnx").is_dir()
