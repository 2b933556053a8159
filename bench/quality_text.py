"""Text classification on public data (variable ELMAN_DATA), through the public API with its default settings.

The test set is scored once, at the end. The best model is chosen on a held-out tenth of the training reviews
(IMDB) or on the official validation sentences (SST-2).

    ELMAN_DATA=... python bench/quality_text.py imdb sst2
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import elman


def imdb(**settings: Any) -> dict[str, Any]:
    """25,000 / 25,000 film reviews (Maas et al., ACL 2011). The star rating is not an input."""
    folder = _data("sentiment/imdb")
    return _measure(folder / "train.tsv", folder / "test.tsv", **settings)


def sst2(**settings: Any) -> dict[str, Any]:
    """6,920 / 872 / 1,821 sentences (Socher et al., EMNLP 2013), no pretrained vectors."""
    folder = _data("sentiment/sst2")
    return _measure(
        folder / "train.tsv",
        folder / "test.tsv",
        valid=folder / "dev.tsv",
        text="1",
        label="2",
        header=False,
        **settings,
    )


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"imdb": imdb, "sst2": sst2}


def _data(part: str) -> Path:
    root = os.environ.get("ELMAN_DATA")
    if not root or not (Path(root) / part).is_dir():
        sys.exit(f"set ELMAN_DATA to the folder that holds {part}")
    return Path(root) / part


def _measure(train: Path, test: Path, *, header: bool = True, **settings: Any) -> dict[str, Any]:
    """Train, then return the accuracy on the test set, the baseline's, and the seconds both took."""
    start = time.perf_counter()
    model = elman.Classifier.fit(train, header=header, **settings)
    trained = time.perf_counter() - start
    result = model.evaluate(test, header=header)
    return {
        "score": result.scores["accuracy"],
        "baseline": result.baseline["accuracy"],
        "seconds": round(trained, 1),
        "seconds of scoring": round(time.perf_counter() - start - trained, 1),
        "validation": model.validation.scores["accuracy"],
        "macro-F1": result.scores["macro_f1"],
        "settings": asdict(model.settings),
        "notes": list(result.notes),
    }


if __name__ == "__main__":
    for name in sys.argv[1:] or RUNS:
        print(json.dumps({name: RUNS[name]()}), flush=True)
