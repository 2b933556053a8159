"""The bench of streams and pools runs, and prints its figures."""

import importlib
import re
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *names: str) -> str:
    monkeypatch.syspath_prepend(str(BENCH))
    streams = importlib.import_module("streams")
    monkeypatch.setattr(streams, "STREAMS", (20,))
    monkeypatch.setattr(streams, "TEXTS", 3)
    monkeypatch.setattr(sys, "argv", ["streams.py", *names, "--seconds", "0.01"])
    streams.main()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (
            "pool",
            r"pool: 20 streams at 100 steps a second: \d+% of a core; a tick takes [\d.]+ ms",
        ),
        ("texts", r"texts: 3 in a pool .* [\d.]+ times as many as one by one"),
    ],
)
def test_figures_are_printed(
    name: str, pattern: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(pattern, printed(monkeypatch, capsys, name))


def test_an_unknown_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        printed(monkeypatch, capsys, "pools")
    assert "there is no 'pools': there are step, pool, generate, texts" in capsys.readouterr().err
