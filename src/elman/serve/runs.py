"""The trainings of this machine, as far as their metrics tell."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from elman.atomic import open_regular
from elman.training.announced import Announced, is_alive, trainings

MAX_KEPT: Final = 20  # trainings that have ended while the server ran
MAX_LINES: Final = 2_000  # of one reading; of more, every few are left out
TAIL_BYTES: Final = 1 << 16
KEPT: Final = (b'"scores"', b'"memory"')  # in lines that are never left out


class Runs:
    """The trainings that go on, and those that have ended since they were first asked for."""

    def __init__(self) -> None:
        self._seen: dict[str, Announced] = {}

    def all(self) -> list[Announced]:
        """Return the trainings, the latest first."""
        self._seen |= {one.id: one for one in trainings()}
        each = sorted(self._seen.values(), key=lambda one: -one.started)
        alive = [one for one in each if is_alive(one)]
        ended = [one for one in each if one not in alive][:MAX_KEPT]
        self._seen = {one.id: one for one in [*alive, *ended]}
        return sorted([*alive, *ended], key=lambda one: -one.started)

    def find(self, run: str) -> Announced | None:
        """Return a training by its id; None if there is none."""
        return next((one for one in self.all() if one.id == run), None)


def told(one: Announced) -> dict[str, Any]:
    """Return what a list of trainings says of one, without its folder."""
    lines = _parsed(_tail(Path(one.folder)))
    last = lines[-1] if lines else {}
    scores = next((line["scores"] for line in reversed(lines) if "scores" in line), None)
    about = {name: last.get(name) for name in ("epoch", "step", "done", "loss", "left")}
    about |= {"scores": scores, "alive": is_alive(one), "started": one.started}
    return {"id": one.id, "name": one.name, "task": one.task} | about


class Metrics:
    """Reads the metrics of a run as they are written."""

    def __init__(self, folder: str) -> None:
        self._file, self._offset, self._identity = Path(folder) / "metrics.jsonl", 0, -1

    def more(self) -> tuple[bool, list[dict[str, Any]]]:
        """Return whether the file began anew, and its complete lines since the last call."""
        try:
            with open_regular(self._file) as file:
                status = self._file.stat()
                anew = status.st_ino != self._identity or status.st_size < self._offset
                if anew:
                    self._offset, self._identity = 0, status.st_ino
                file.seek(self._offset)
                whole, end, _ = file.read().rpartition(b"\n")
        except OSError:  # not written yet
            return False, []
        self._offset += len(whole) + len(end)
        return anew, _parsed(_thinned(whole.splitlines()))


def _thinned(lines: Sequence[bytes]) -> Iterable[bytes]:
    """Leave out lines of steps without scores, so that no more than MAX_LINES of them are left."""
    step = -(-len(lines) // MAX_LINES)
    return (
        line
        for k, line in enumerate(lines)
        if step <= 1 or k % step == 0 or k + 1 == len(lines) or any(mark in line for mark in KEPT)
    )


def _tail(folder: Path) -> list[bytes]:
    try:
        with open_regular(folder / "metrics.jsonl") as file:
            file.seek(max(file.seek(0, 2) - TAIL_BYTES, 0))
            return file.read().splitlines()
    except OSError:
        return []


def _parsed(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """Return the lines that are objects: the first of a tail and the last may be cut."""
    each = []
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            each.append(value)
    return each
