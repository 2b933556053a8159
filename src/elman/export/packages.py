"""The package of the extra "onnx", imported when a graph is first built."""

from importlib import import_module
from typing import Any

from elman.errors import UsageError


def onnx() -> Any:
    """Return the package onnx. Raises UsageError if it is not installed."""
    try:
        import_module("onnx.checker")
        return import_module("onnx")
    except ImportError:
        raise UsageError("export to ONNX needs the package onnx: pip install 'elman[onnx]'") from None
