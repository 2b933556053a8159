"""Scores on public data through the public API, one command per figure.

    ELMAN_DATA=... python bench/quality.py imdb          # one figure, or several names
    ELMAN_DATA=... python bench/quality.py               # all of them

Prints one line of JSON per figure: score, baseline's score, wall time. `ELMAN_DATA` is a folder with the data
sets, as `sentiment/imdb`, `timeseries/m4` and so on; the modules beside this one say what each holds.
"""

import json
import sys
from collections.abc import Callable
from typing import Any, Final

import quality_chat
import quality_language
import quality_pretrained
import quality_scope
import quality_series
import quality_speech
import quality_text
import quality_translate

MODULES: Final = (
    *(quality_text, quality_pretrained, quality_scope, quality_series, quality_speech),
    *(quality_language, quality_translate, quality_chat),
)
RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    name: run for module in MODULES for name, run in module.RUNS.items()
}


def main(names: list[str]) -> None:
    """Compute the named figures, or all."""
    if unknown := [name for name in names if name not in RUNS]:
        sys.exit(f"there is no figure {unknown[0]!r}: there are {', '.join(RUNS)}")
    for name in names or RUNS:
        print(json.dumps({"figure": name} | RUNS[name]()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
