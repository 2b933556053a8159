"""What a user reads without the extra."""

import importlib

import pytest

from elman.data.audio.packages import speech_package
from elman.errors import UsageError


def test_a_package_is_imported() -> None:
    assert speech_package("soxr").__name__ == "soxr"


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (ImportError(), r"audio requires the package soxr; install it with `pip install 'elman\[speech\]'`"),
        (OSError("no libsndfile"), "soxr does not find its library .no libsndfile."),
    ],
)
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, problem: Exception, message: str) -> None:
    def fail(name: str) -> None:
        raise problem

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(UsageError, match=message):
        speech_package("soxr")
