"""bench/training_steps.py: that a training ends after its steps, and leaves the loop as it was."""

import importlib
from pathlib import Path

import pytest

from elman.training.loop import Run
from small_fits import FITS

BENCH = Path(__file__).parents[2] / "bench"


def test_steps_are_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    bench, step = importlib.import_module("training_steps"), Run._step
    seconds = bench.times(lambda **settings: FITS["generate"](tmp_path / "m", **settings), 4)
    assert len(seconds) == 4 and all(0 < one < 60 for one in seconds)
    assert Run._step is step
    assert set(bench.TASKS) == {"imdb", "m4_hourly", "german", "ptb"}
