"""An ONNX graph under construction: values are names, and operators are added in the order they run."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from elman.atomic import as_path, null_if_infinite, replace_file, writing
from elman.errors import UsageError
from elman.export.packages import onnx
from elman.version import __version__

# The first opset with LayerNormalization, and the first file format that goes with it: onnxruntime 1.12 reads
# both.
OPSET: Final = 17
IR_VERSION: Final = 8
METADATA_KEY: Final = "elman"

Value = str  # the name of a tensor in the graph
Dims = Sequence[int | str | None]  # a name stands for a size that each call may choose


class Graph:
    """A graph, or the body of a Scan inside one, whose names and constants are the outer graph's."""

    def __init__(self, outer: "Graph | None" = None) -> None:
        self._onnx: Any = outer._onnx if outer else onnx()
        self._constants: dict[Any, Any] = outer._constants if outer else {}
        self._numbers: Iterator[int] = outer._numbers if outer else count()
        self._defaults: list[Any] = []
        self._nodes: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def op(self, kind: str, *inputs: Value, **attributes: Any) -> Value:
        """Add an operator with one output; "" stands for an input that is left out."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: Value, **attributes: Any) -> list[Value]:
        """Add an operator with several outputs."""
        names = [f"{kind.lower()}_{next(self._numbers)}" for _ in range(outputs)]
        node = self._onnx.helper.make_node(kind, inputs, names, name=names[0], **attributes)
        self._nodes.append(node)
        return names

    def constant(self, value: Any, dtype: Any = np.float32) -> Value:
        """Return a constant: a tensor, or numbers of this type. Equal small ones are stored once."""
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value, dtype)
        key: Any = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{next(self._numbers)}"
            self._constants[key] = self._onnx.numpy_helper.from_array(np.array(array, order="C"), name)
        return str(self._constants[key].name)

    def ints(self, *values: int) -> Value:
        """Return a constant vector of int64, as operators take axes and sizes."""
        return self.constant(values, np.int64)

    def input(self, name: str, dims: Dims, dtype: Any = np.float32, default: Any = None) -> Value:
        """Declare an input. One with a default may be left out in a call."""
        self._inputs.append(self._declared(name, dims, dtype))
        if default is not None:
            self._defaults.append(self._onnx.numpy_helper.from_array(np.asarray(default, dtype), name))
        return name

    def output(self, name: str, value: Value, dims: Dims, dtype: Any = np.float32) -> None:
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(self._declared(name, dims, dtype))

    def body(self) -> "Graph":
        """Start the body of a Scan."""
        return Graph(self)

    def size(self, value: Value, axis: int) -> Value:
        """Return the size of an axis, as a vector of one number."""
        return self.op("Shape", value, start=axis, end=axis + 1)

    def kind(self, dtype: Any) -> int:
        """Return ONNX's number of a type of NumPy, as the operator Cast takes it."""
        return int(self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def proto(self, name: str) -> Any:
        """Return the graph as onnx has it; the constants of a body are those of the outer graph."""
        return self._onnx.helper.make_graph(self._nodes, name, self._inputs, self._outputs)

    def model(self, name: str, metadata: Mapping[str, Any]) -> bytes:
        """Return the file, which onnx.checker has passed. The metadata are JSON under the key "elman"."""
        helper = self._onnx.helper
        proto = self.proto(name)
        proto.initializer.extend([*self._defaults, *self._constants.values()])
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(proto, opset_imports=[opset], ir_version=IR_VERSION, producer_name="elman")
        model.producer_version = __version__
        described = {"version": __version__, **null_if_infinite(metadata)}
        helper.set_model_props(model, {METADATA_KEY: json.dumps(described, ensure_ascii=False)})
        self._onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content

    def _declared(self, name: str, dims: Dims, dtype: Any) -> Any:
        return self._onnx.helper.make_tensor_value_info(name, self.kind(dtype), list(dims))


def write(path: Any, content: bytes) -> Path:
    """Write a file whole or not at all. Raises UsageError if it can't be written."""
    target = as_path(path, "path")
    with writing(target, UsageError), replace_file(target) as file:
        file.write(content)
    return target


def remove_written(path: Path, graph: str) -> None:
    """Remove the file that an earlier export wrote here, if its metadata say that it is this graph of a
    model; leave any other. Raises UsageError if it can't be removed."""
    if path.is_file() and _graph_in(path) == graph:
        with writing(path, UsageError):
            path.unlink()


def _graph_in(path: Path) -> str | None:
    """Return which graph of a model a file holds, None if it is of somebody else."""
    from google.protobuf.message import DecodeError  # of a package that onnx brings

    try:
        properties = onnx().load(path, load_external_data=False).metadata_props
        about = [json.loads(one.value) for one in properties if one.key == METADATA_KEY]
        return str(about[0]["graph"])
    except (DecodeError, LookupError, OSError, TypeError, ValueError):
        return None


def require_float32(tensors: Sequence[Tensor], what: str) -> None:
    """Raise UsageError for other precisions: onnxruntime's recurrent operators take no other."""
    other = next((t.dtype for t in tensors if t.is_floating_point() and t.dtype != torch.float32), None)
    if other is not None:
        raise UsageError(f"{what} has weights of {other}, and the graph is of float32: export {what}.float()")
