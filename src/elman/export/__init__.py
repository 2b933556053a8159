"""Export: layers and models for other runtimes, with their state as inputs and outputs."""

from elman.export.layer import export_onnx

__all__ = ["export_onnx"]
