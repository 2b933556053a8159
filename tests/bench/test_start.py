"""bench/start.py: which command runs how often, and what belongs to an installation."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("start")


def test_commands_take_turns_and_the_first_turn_is_not_counted(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ran = [0.0], []
    monkeypatch.setattr(start.time, "perf_counter", lambda: now[0])

    def run(command: list[str]) -> None:
        ran.append(command[0])
        now[0] += {"a": 1.0, "b": 2.0}[command[0]] * (100 if len(ran) <= 2 else len(ran))

    assert start.medians({"A": ["a"], "B": ["b"]}, 3, run) == {"A": 5.0, "B": 12.0}
    assert ran == ["a", "b"] * 4


def test_requirements_are_followed_but_not_those_of_extras_or_of_other_systems(start: ModuleType) -> None:
    lines = {
        "elman": [
            "torch<2.14,>=2.11",
            "optuna>=4; extra == 'tune'",
            'Scikit_Learn>=1.6; python_version > "3"',
        ],
        "torch": ["sympy", "cuda-toolkit; platform_system == 'Linux'"],
        "scikit-learn": ["scipy[test]>=1.13"],
        "scipy": ["elman"],
        "sympy": [],
        "optuna": [],
    }
    assert start.required(["elman"], lines.get) == {"elman", "torch", "scikit-learn", "scipy", "sympy"}


def test_small_distributions_are_summed_up(start: ModuleType) -> None:
    sizes = start.sizes_in_order({"tiny": 1.0, "mid": 10.0, "big": 700.0, "small": 2.5})
    assert list(sizes.items()) == [("big", 700.0), ("mid", 10.0), ("others", 3.5), ("together", 713.5)]
    assert start.rows(sizes, ".0f")[0] == "| big | 700 |"
