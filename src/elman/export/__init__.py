"""Export: layers and models for other runtimes, with their state as inputs and outputs."""

from elman.export.layer import export_onnx
from elman.export.torch_module import export_torch

__all__ = ["export_onnx", "export_torch"]
