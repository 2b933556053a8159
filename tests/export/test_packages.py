import sys

import pytest

from elman import UsageError
from elman.export.packages import onnx


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert onnx().__name__ == "onnx"
    monkeypatch.setitem(sys.modules, "onnx.checker", None)
    with pytest.raises(UsageError, match=r"pip install 'elman\[onnx\]'"):
        onnx()
