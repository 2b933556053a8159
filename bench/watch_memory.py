"""What `watch_memory` costs of a training, in CPU seconds of one thread.

    python bench/watch_memory.py

A language model of characters and a classifier of texts of 60 words are trained for two epochs. Prints the
CPU seconds of all steps with validations, those of the looks among them, and their share of the rest.
"""

import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import elman
from elman.lens.watching import Watcher
from elman.training.loop import Run

WORDS = ["the", "film", "was", "a", "good", "and", "not", "so", "bad", "story", "of", "one", "who", "came"]


def language(folder: Path) -> None:
    text = folder / "text.txt"
    text.write_text(" ".join(random.Random(0).choices(WORDS, k=25_000)))
    elman.LanguageModel.fit(text, hidden=128, epochs=2, watch_memory=True, progress=False)


def classifier(folder: Path) -> None:
    file, rng = folder / "texts.csv", random.Random(0)
    rows = [f"{' '.join(rng.choices(WORDS, k=60))},{rng.choice('ab')}" for _ in range(4000)]
    file.write_text("text,label\n" + "\n".join(rows))
    elman.Classifier.fit(
        file, text="text", label="label", hidden=64, epochs=2, watch_memory=True, progress=False
    )


def timed(method: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        started = time.process_time()
        result = method(*arguments)
        seconds.append(time.process_time() - started)
        return result

    return called


def main() -> None:
    torch.set_num_threads(1)
    looks, steps = list[float](), list[float]()
    # every step of training, and every look that one begins with
    Watcher.horizon = timed(Watcher.horizon, looks)  # type: ignore[method-assign]
    Run._advance = timed(Run._advance, steps)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        for task in (language, classifier):
            looks.clear()
            steps.clear()
            task(Path(folder))
            rest = sum(steps) - sum(looks)
            line = {"task": task.__name__, "steps": len(steps), "seconds": sum(steps), "looks": looks}
            print(json.dumps(line | {"share": sum(looks) / rest}), flush=True)


if __name__ == "__main__":
    main()
