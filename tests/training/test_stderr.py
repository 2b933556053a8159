"""Standard error that can't be written, is closed, or is missing."""

import io
import sys

import pytest

from elman.training.stderr import say, stderr


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        self.write("")


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_nothing_is_raised_by_a_stream_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        say("hello")
        assert not stderr().isatty()
    assert capsys.readouterr().out == ""  # where print would put it
