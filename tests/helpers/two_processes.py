"""A script for torchrun: train toys in several processes, write each one's results to FOLDER/rank*.json."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from elman.training.loop import Run
from elman.training.plan import Plan
from elman.training.progress import watch
from toy import Stream, Sums, Toy

PLAN = Plan(epochs=2, batch_size=6, learning_rate=0.05, clip=0.5)
STOP = 2


class Stopped(Sums):
    """One process, not the first, gets a Ctrl-C in its second step."""

    taken = 0

    def loss(self, *arguments: Any) -> Any:
        self.taken += 1
        if self.taken == STOP and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGINT)
        return super().loss(*arguments)


def curves(problem: Any, **more: Any) -> dict[str, Any]:
    """Return losses, scores and final weights, without dropout, whose masks differ between processes."""
    model = Toy(dropout=0.0)
    run = Run(model, problem, PLAN, **more)
    records = list(run)
    assert run.outcome is not None
    return {
        "losses": [r.loss for r in records],
        "scores": [r.scores for r in records if r.scores],
        "weights": [p.tolist() for p in model.parameters()],
        "stopped": run.outcome.stopped,
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    result = {"whole": curves(Sums(PLAN), folder=folder / "run"), "truncated": curves(Stream())}
    result["stopped"] = curves(Stopped(PLAN), folder=folder / "stopped")
    result["resumed"] = curves(Sums(PLAN), folder=folder / "stopped", resume=True)
    result["carried"] = curves(Stream(), folder=folder / "carried")
    steps = iter(Run(Toy(dropout=0.0), Stream(), PLAN, folder=folder / "carried", checkpoint_seconds=0))
    next(steps), next(steps)
    result["carried again"] = curves(Stream(), folder=folder / "carried", resume=True)
    watch(Run(Toy(), Sums(PLAN), PLAN), title="watched")
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
