"""The command that computes figures."""

import json
import sys
from pathlib import Path

import pytest


def test_settings_reach_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    import quality

    monkeypatch.setattr(quality, "RUNS", {"one": lambda **settings: {"used": settings}})
    monkeypatch.setattr(sys, "argv", ["quality.py", "one", "joined=1", "live=true", "--seed", "3"])
    quality.main()
    settings = {"joined": 1, "live": True, "seed": 3}
    assert json.loads(capsys.readouterr().out) == {"figure": "one", **settings, "used": settings}
    monkeypatch.setattr(sys, "argv", ["quality.py", "two", "joined=1"])
    with pytest.raises(SystemExit):
        quality.main()
    assert "there is no figure 'two'" in capsys.readouterr().err
