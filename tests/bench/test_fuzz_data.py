"""A hundred of the data files that `bench/fuzz_data.py` breaks, read by every reader."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(BENCH))
    logger = logging.getLogger("elman")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
    sys.modules.pop("fuzz_data", None)


def test_broken_files_end_in_a_value_or_a_sentence(tmp_path: Path) -> None:
    import fuzz_data

    files = fuzz_data.originals()
    assert [line for seed in range(100) for line in fuzz_data.wrong_endings(seed, tmp_path, files)] == []


def test_mutants_are_made_again_from_their_seed() -> None:
    import random

    import fuzz_data

    file = fuzz_data.originals()["quoted.csv"]
    mutants = {fuzz_data.mutate(file, random.Random(seed)) for seed in range(50)}
    assert len(mutants) > 40
    assert fuzz_data.mutate(file, random.Random(3)) == fuzz_data.mutate(file, random.Random(3))
