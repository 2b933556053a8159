"""Hours of training and streaming in one process, whose memory and open files must stay as they were.

    python bench/soak.py MINUTES

Prints a line a minute. The first fifth of the time is for warming up; afterwards, the process fails if its
memory grows by more than MAX_GROWTH_MB, or the number of its open files or threads at all.
"""

import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch

import elman

MAX_GROWTH_MB = 24
SMALL: dict[str, Any] = {"hidden": 8, "epochs": 1, "progress": False}
LABELLED = {
    "text": [f"a {'good' if k % 2 else 'bad'} film {k % 9}" for k in range(60)],
    "label": ["yes" if k % 2 else "no" for k in range(60)],
}
PAIRS = [[f"hello {k}", f"good day {k}"] for k in range(40)]
SERIES = {
    "ds": [f"{2015 + k // 12}-{k % 12 + 1:02}-01" for k in range(60)],
    "y": [float(k % 12) for k in range(60)],
}


def trainings(folder: Path) -> list[Callable[[], Any]]:
    """Return a training of every task, which replaces its model in the folder."""
    text = folder / "text.txt"
    text.write_text("they love deep learning.\n" * 60)
    sides = {"source": [a for a, _ in PAIRS], "target": [b for _, b in PAIRS]}
    small = {"embedding": 8, "vocabulary": 300, **SMALL}
    return [
        lambda: elman.Classifier.fit(LABELLED, folder=folder / "classify", **SMALL),
        lambda: elman.Forecaster.fit(SERIES, horizon=3, folder=folder / "forecast", **SMALL),
        lambda: elman.LanguageModel.fit(
            text, tokenizer="character", embedding=8, folder=folder / "generate", **SMALL
        ),
        lambda: elman.Translator.fit(sides, folder=folder / "translate", **small),
        lambda: elman.Chatbot.fit(PAIRS, max_tokens=4, folder=folder / "chat", **small),
    ]


class Streams:
    """A stream of every task that lasts as long as the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models = {
            task: elman.load(folder / task) for task in ("classify", "generate", "chat", "translate")
        }
        self.forecaster = elman.load(folder / "forecast")
        self.classify, self.generate = self.models["classify"].stream(), self.models["generate"].stream()
        self.adapting, self.chat = self.models["generate"].stream(adapt=True), self.models["chat"].stream()

    def work(self) -> None:
        for k in range(200):
            self.classify.push(f"a good film {k % 9} ")
            self.generate.push("they love ")
            self.adapting.push("deep learning.\n")
        self.classify.result(), self.generate.result(3)
        "".join(islice(self.generate.generate(50, seed=1), 50))
        self.chat.reset()
        for _ in range(3):
            self.chat.push("hello 3")
            self.chat.result()
        self.chat.save(self.folder / "talk.jsonl")
        self.generate.save(self.folder / "stream")
        self.models["translate"].predict(["hello 3", "good day"])
        self.models["classify"].predict(["good", "bad"])
        self.forecaster.predict()
        elman.load(self.folder / "classify")


def usage() -> tuple[float, int, int]:
    """Return the resident memory in MB, and the numbers of open files and threads."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len([*Path("/proc/self/fd").iterdir()]),
        threading.active_count(),
    )


def main(minutes: float) -> None:
    torch.set_num_threads(1)
    start, rounds, told, warm = time.monotonic(), 0, 0.0, None
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for train in trainings(folder):
            train()
        streams = Streams(folder)
        while (passed := (time.monotonic() - start) / 60) < minutes:
            for train in trainings(folder):
                train()
            streams.work()
            rounds += 1
            now = usage()
            if warm is None and passed > minutes / 5:
                warm = now
            if passed - told >= 1:
                told = passed
                print(
                    f"{passed:6.1f} min {rounds:6} rounds {now[0]:8.1f} MB, {now[1]} files, {now[2]} threads",
                    flush=True,
                )
            if warm is not None and (
                now[0] > warm[0] + MAX_GROWTH_MB or now[1] > warm[1] or now[2] > warm[2]
            ):
                sys.exit(f"grown after {rounds} rounds: {warm} → {now}")
    print(f"flat over {rounds} rounds: {warm} → {now}")


if __name__ == "__main__":
    main(float(sys.argv[1]))
