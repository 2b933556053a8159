"""`elman serve`: its options, and what it says of what can't be served."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import Call
from saved_models import SAVED


def test_help_lists_the_limits(call: Call) -> None:
    code, out, _ = call("serve", "--help")
    assert code == 0 and "--deadline" in out and "--message-bytes" in out and "[MODEL]" in out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["runs/nope"], "elman: there is no model at runs/nope"),
        ([str(SAVED / "chat"), str(SAVED / "chat")], "elman: two models are called 'chat'"),
        (
            [str(SAVED / "chat"), "--host", "0.0.0.0"],
            "elman: listening on 0.0.0.0 needs a key: set ELMAN_KEY",
        ),
        ([str(SAVED / "chat"), "--key", "short"], "elman: a key has at least 8 printable ASCII characters"),
        ([str(SAVED / "chat"), "--origin", "x.example"], "elman: --origin 'x.example' is no origin"),
        (["bot="], "elman: 'bot=' names no folder: give one, as in bot=runs/reviews"),
        ([str(SAVED / "chat"), "--sessions", "0"], "elman: sessions must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_served(call: Call, arguments: list[str], error: str) -> None:
    code, _, err = call("serve", *arguments)
    assert code == 2 and err.startswith(error)


def test_without_the_extra_it_says_what_to_install(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "elman.serve.run", raising=False)
    code, _, err = call("serve", str(SAVED / "chat"))
    assert code == 2 and err.strip() == "elman: serving needs uvicorn: pip install 'elman[serve]'"


@pytest.mark.parametrize("installed", [False, True])
def test_without_a_model_those_that_come_with_elman_or_the_demo_s(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: bool
) -> None:
    served = []

    def run(make: Any, host: str, port: int, workers: int, show: bool) -> int:
        served.append(([(one.name, one.task) for one in make().state.shelf], host, port, workers, show))
        return 0

    demo = {"a": SAVED / "classify", "b": SAVED / "chat"}
    own = [SimpleNamespace(name=f"own={SAVED / 'forecast'}")] if installed else []
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path))
    monkeypatch.setattr("elman.demo.models.small_models", lambda: demo)
    monkeypatch.setattr("elman.pretrained.all_models", lambda: own)
    monkeypatch.setattr("elman.serve.run.run", run)
    code, _, err = call("serve", "--open", "--workers", "2")
    models = [("own", "forecast")] if installed else [("a", "classify"), ("b", "chat")]
    assert code == 0 and served == [(models, "127.0.0.1", 8300, 2, True)]
    told = "no model is named: small ones are trained, once (sentiment, words, "
    assert err == "" if installed else err.startswith(told)
