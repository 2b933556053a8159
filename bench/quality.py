"""Scores on public data through the public API, one command per figure.

    ELMAN_DATA=... python bench/quality.py imdb          # one figure, or several names
    ELMAN_DATA=... python bench/quality.py               # all of them
    ELMAN_DATA=... python bench/quality.py trec6 --seed 1
    ELMAN_DATA=... python bench/quality.py fsdd joined=1 epochs=8    # with other settings of the training

Prints one line of JSON per figure: score, baseline's score, wall time. `ELMAN_DATA` is a folder with the data
sets, as `sentiment/imdb`, `timeseries/m4` and so on; the modules beside this one say what each holds.
"""

import argparse
import json
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


def main() -> None:
    """Compute the named figures, or all."""
    parser = argparse.ArgumentParser(description="Scores on public data, a line of JSON each.")
    parser.add_argument("names", nargs="*", help=f"{', '.join(RUNS)}; and setting=value, in JSON")
    parser.add_argument("--seed", type=int, help="of the training; some figures have seeds of their own")
    arguments = parser.parse_args()
    names = [one for one in arguments.names if "=" not in one]
    if unknown := [name for name in names if name not in RUNS]:
        parser.error(f"there is no figure {unknown[0]!r}: there are {', '.join(RUNS)}")
    pairs = (one.split("=", 1) for one in arguments.names if "=" in one)
    settings = {setting: json.loads(value) for setting, value in pairs}
    if arguments.seed is not None:
        settings["seed"] = arguments.seed
    for name in names or RUNS:
        print(json.dumps({"figure": name} | settings | RUNS[name](**settings)), flush=True)


if __name__ == "__main__":
    main()
