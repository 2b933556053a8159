"""Load mutants of small models and use what loads: each must end in an ArtifactError or in a working model.

    python bench/fuzz_models.py --count 2000                   # mutants of each task
    python bench/fuzz_models.py --task chat --only 17          # one mutant, with its traceback
    python bench/fuzz_models.py --seed 2 --keep /tmp/fallen    # keep the folders of those that fall

The checksums of the mutants are right, as anyone can compute them. A process of limited memory loads one
after the other; a mutant that takes too long, or kills it, counts as fallen. UsageError and DataError, for
the input, are right answers of a model. Ends with 1 if any mutant falls.
"""

import argparse
import collections
import json
import multiprocessing
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import torch

import elman
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks import TASKS, task_class

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))
import mutants  # noqa: E402

EXTRA_BYTES: Final = 2 << 30  # of address space beside what Python and PyTorch take
SECONDS: Final = 20.0  # of processor time for one mutant
WAIT_SECONDS: Final = 400.0  # in all, on a busy machine
QUIET: Final[dict[str, Any]] = {"progress": False, "epochs": 1, "hidden": 8, "device": "cpu"}


@elman.cell(gates="f n", state="h c", weights="p")
def Own(x: Any, u: Any, s: Any, w: Any) -> Any:
    """A cell that a folder describes by its equations."""
    f = torch.sigmoid(x.f + u.f + w.p * s.c)
    c = torch.where(s.c > 0.25, f * s.c, torch.maximum(x.n, u.n)) - 1e-3
    return (1 - f) * s.h + 0.5 * torch.tanh(c), c


def originals(task: str, place: Path) -> None:
    """Save a few small models of a task, with different parts."""
    models = [elman.load(ROOT / "tests" / "tasks" / "saved" / task)]
    text = place / "text.txt"
    text.write_text(mutants.TEXT * 20, encoding="utf-8")
    if task == "classify":
        rows = {key: value * 4 for key, value in mutants.ROWS.items()}
        rows["text"] = [f"{one} {i}" for i, one in enumerate(rows["text"])]
        options = {"cell": "gru", "tokenizer": "subword", "embedding": 4, "layers": 2, "bidirectional": True}
        models.append(elman.Classifier.fit(rows, **QUIET, **options))
        models.append(elman.Classifier.fit(rows, **QUIET, cell=Own, embedding=4, bidirectional=False))
    elif task == "generate":
        for kind in ("character", "subword", "space"):
            models.append(elman.LanguageModel.fit(text, tokenizer=kind, embedding=4, cell="gru", **QUIET))
    elif task == "translate":
        rows = {
            key: [f"{one} {i}" for i in range(15) for one in value] for key, value in mutants.PAIRS.items()
        }
        models.append(elman.Translator.fit(rows, embedding=4, vocabulary=270, **QUIET))
    elif task == "chat":
        talks = [
            [{"role": "user", "content": f"Hi {i}"}, {"role": "assistant", "content": f"Hello {i}!"}]
            for i in range(20)
        ]
        options = {"embedding": 4, "num_samples": 2, "beam_width": 2, "max_tokens": 5, "vocabulary": 260}
        models.append(elman.Chatbot.fit(talks, cell="gru", **options, **QUIET))
    else:
        models += forecasters()
    for i, model in enumerate(models):
        model.save(place / "originals" / str(i))


def forecasters() -> Iterator[Any]:
    days = [f"2024-{month:02}-{day:02}" for month in range(1, 4) for day in range(1, 29)]
    frame = {
        "shop": ["a"] * len(days) + ["b"] * len(days),
        "day": days * 2,
        "sold": [float(i % 7 + i % 3) for i in range(2 * len(days))],
        "sale": [float(i % 5 == 0) for i in range(2 * len(days))],
        "sky": ["sun" if i % 3 else "rain" for i in range(2 * len(days))],
        "town": ["Ulm"] * len(days) + ["Bonn"] * len(days),
        "size": [3.0] * len(days) + [5.0] * len(days),
    }
    roles = {
        "time": "day",
        "value": "sold",
        "series": "shop",
        "future": ("sale", "sky"),
        "static": ("town", "size"),
    }
    yield elman.Forecaster.fit(frame, horizon=3, **roles, **QUIET)
    steps = {"step": list(range(0, 120, 2)), "y": [float(i % 4) for i in range(60)]}
    yield elman.Forecaster.fit(steps, horizon=4, mode="recursive", season=4, **QUIET)
    hours = [f"2024-03-{1 + i // 24:02}T{i % 24:02}:00:00+01:00" for i in range(96)]
    yield elman.Forecaster.fit(
        {"hour": hours, "y": [float(i % 24 - 9) for i in range(96)]}, horizon=6, **QUIET
    )


def attempt(files: mutants.Files, place: Path) -> tuple[str, str]:
    """Return what came of a mutant, and the traceback if that was wrong."""
    folder = place / "mutant"
    shutil.rmtree(place, ignore_errors=True)
    mutants.write(files, folder)
    try:
        model = elman.load(folder)
    except ArtifactError as error:
        if "\n" in str(error) or len(str(error)) > 1000:
            return "a long message", str(error)[:3000]
        return "refused", ""
    except BaseException:
        return "fell at load", traceback.format_exc()
    try:
        mutants.use(model, place / "again")
        elman.load(place / "again")
    except (UsageError, DataError) as error:
        return f"{type(error).__name__}", str(error)
    except BaseException:
        return "fell in use", traceback.format_exc()
    return "worked", ""


def limited() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + EXTRA_BYTES, size + EXTRA_BYTES))
    warnings.simplefilter("ignore")


def processor_seconds(process: int) -> float:
    """Return the time that a process has had a processor: the wall's depends on what else runs."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(jobs: list[tuple[int, str, mutants.Files]], place: Path) -> Iterator[tuple[int, str, str, str]]:
    """Yield the number, change, outcome and traceback of each mutant, from child processes."""
    while jobs:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            limited()
            for number, _, files in jobs:
                result = attempt(files, place / "trial")
                os.write(writer, json.dumps([number, *result]).encode() + b"\n")
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb", buffering=0) as answers:
            waiting, start = b"", 0.0
            while jobs:
                late, since = False, time.time()
                while not (late or select.select([answers], [], [], 2.0)[0]):
                    late = processor_seconds(child) > start + SECONDS or time.time() > since + WAIT_SECONDS
                more = b"" if late else os.read(answers.fileno(), 1 << 20)
                if not more:
                    os.kill(child, signal.SIGKILL)
                    status = os.waitpid(child, 0)[1]
                    number, change, _ = jobs.pop(0)
                    yield number, change, "took too long" if late else "died", f"status {status}"
                    break
                *lines, waiting = (waiting + more).split(b"\n")
                for line in lines:
                    number, change, _ = jobs.pop(0)
                    _, outcome, trace = json.loads(line)
                    yield number, change, outcome, trace
                start = processor_seconds(child)
            else:
                os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=TASKS, action="append")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="number of one mutant")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that fall")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for task in TASKS:
        task_class(task)  # imported once, for all children
    fallen = 0
    for task in chosen.task or TASKS:
        with tempfile.TemporaryDirectory() as place:
            # in another process: a thread pool that has worked would be dead in the children
            maker = multiprocessing.get_context("fork").Process(target=originals, args=(task, Path(place)))
            maker.start()
            maker.join()
            sources = [mutants.read(folder) for folder in sorted((Path(place) / "originals").iterdir())]
            jobs = []
            for number in range(chosen.count) if chosen.only is None else [chosen.only]:
                draw = random.Random(f"{chosen.seed} {task} {number}")
                jobs.append((number, *mutants.mutated(draw.choice(sources), draw)))
            contents = {number: files for number, _, files in jobs}
            outcomes: collections.Counter[str] = collections.Counter()
            for number, change, outcome, trace in run(jobs, Path(place)):
                outcomes[outcome] += 1
                if outcome in ("UsageError", "DataError") and chosen.only is not None:
                    print(outcome, trace)
                if outcome not in ("refused", "worked", "UsageError", "DataError"):
                    fallen += 1
                    print(f"--- {task} {number}: {change}\n{outcome}: {trace}", flush=True)
                    if chosen.keep:
                        mutants.write(contents[number], chosen.keep / f"{task}{number}")
            print(task, json.dumps(outcomes), flush=True)
    sys.exit(fallen > 0)


if __name__ == "__main__":
    main()
