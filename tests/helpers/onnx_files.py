"""Run ONNX files as their users do: with onnxruntime and NumPy alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from torch import Tensor

# Of inputs with a default onnxruntime warns that they are no constants.
onnxruntime.set_default_logger_severity(3)


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def call(session: onnxruntime.InferenceSession, **inputs: Any) -> dict[str, np.ndarray]:
    """Return the outputs by name."""
    arrays = {k: v.numpy() if isinstance(v, Tensor) else np.asarray(v) for k, v in inputs.items()}
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, arrays), strict=True))


def metadata(session: onnxruntime.InferenceSession) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map["elman"])
    return found
