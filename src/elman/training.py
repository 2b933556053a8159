"""One training loop for every task: backpropagation through time, whole or truncated with carried state.

A task describes itself as a `Problem`; `Run` trains it and yields a `Record` a step. All randomness of a step
is a function of (seed, step, rank), and the order of the batches one of (seed, epoch): a run that is killed
and resumed from its checkpoint ends with the very same weights as one that was not.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch
from torch import Tensor, nn

from elman import checkpoint, processes
from elman.checkpoint import Progress
from elman.errors import TrainingError, UsageError
from elman.interrupt import StopSignal


@dataclass(frozen=True)
class Plan:
    """How to train. Lengths of time are counted in epochs or shares of the run, rates per step."""

    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01  # AdamW's, on matrices only
    clip: float = 1.0  # largest norm of the gradient
    warmup: float = 0.05  # share of the run in which the learning rate rises; then it falls as a cosine
    patience: int = 3  # validations without a better score before stopping early
    validations: int = 1  # an epoch
    seed: int = 0
    device: str = "auto"  # "auto", "cpu" or "cuda"
    precision: str = "32-true"  # Lightning Fabric's names: "32-true", "bf16-mixed", ...

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "validations"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {getattr(self, name)!r}")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise UsageError(f"seed must be a whole number of 0 to 2**31 - 1, not {self.seed!r}")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.warmup < 1:
            raise UsageError(f"warmup must be a share of the run, from 0 to below 1, not {self.warmup}")
        if not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"weight_decay must be 0 or more, not {self.weight_decay}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f'device must be "auto", "cpu" or "cuda", not {self.device!r}')
        if self.precision not in processes.PRECISIONS:
            raise UsageError(
                f"precision must be one of {', '.join(processes.PRECISIONS)}, not {self.precision!r}"
            )


class Problem(Protocol):
    """What the loop needs to know of a task. Its data lie inside it.

    `score` names the validation score that picks the best model, `maximize` says which way is better.
    """

    score: str
    maximize: bool

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Any]:
        """This rank's share of every batch of an epoch: a pure function, equally long on all ranks."""

    def loss(self, model: nn.Module, batch: Any, state: Any) -> tuple[Tensor, float, Any]:
        """Sum of the loss over a batch's items, their number, and the state that the next batch starts from.

        `state` is None at the start of an epoch. A task with full BPTT returns None; one with truncated BPTT
        returns tensors (nested in tuples, lists or dicts), which the loop cuts off the graph and hands back.
        """

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Scores on held-out data; the model is in eval mode and nothing is recorded for gradients."""


@dataclass(frozen=True)
class Record:
    """One step of training. `rate` is in items (sequences, tokens: what the loss counts) a second."""

    step: int
    epoch: int
    done: float  # share of the planned run
    loss: float  # mean over the items of this step
    learning_rate: float
    rate: float
    left: float  # seconds, if the run goes to its planned end
    scores: dict[str, float] | None = None  # after a validation
    best: bool = False  # whether these scores are the best so far


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `error` is set when the loss became NaN or infinite after a good model was found."""

    best: dict[str, float]
    stopped: str  # "finished", "early" or "interrupted", or the error's sentence
    steps: int
    seconds: float
    error: TrainingError | None = None


class Run:
    """Train `model` on `problem` as `plan` says; iterate to run. Afterwards the model holds its best weights.

    Args:
        folder: where `metrics.jsonl` and `checkpoint.pt` go; None keeps nothing on disk.
        resume: go on from the folder's checkpoint.
        identity: whatever must be equal for a checkpoint to fit (settings, the data's fingerprint).
        checkpoint_seconds: how often to write a checkpoint between validations.

    Under `torchrun` every process takes its share of each batch and gradients are averaged.

    Raises:
        TrainingError: no checkpoint to resume from, or one of another run; a loss that is not a number before
            any validation (later it ends the run with `outcome.error` set and the best model kept).
    """

    def __init__(
        self,
        model: nn.Module,
        problem: Problem,
        plan: Plan,
        *,
        folder: str | Path | None = None,
        resume: bool = False,
        identity: Mapping[str, Any] | None = None,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        self.problem, self.plan, self.checkpoint_seconds = problem, plan, checkpoint_seconds
        self.folder = Path(folder) if folder is not None else None
        self.fabric = processes.fabric(plan.device, plan.precision)
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        self.module = model
        self.identity = {"plan": asdict(plan), "world": self.world, **(identity or {})}
        self.optimizer: Any = torch.optim.AdamW(_groups(model, plan.weight_decay), lr=plan.learning_rate)
        self.model, self.optimizer = self.fabric.setup(model, self.optimizer)
        self.progress = Progress()
        if resume:
            self._resume()
        self.outcome: Outcome | None = None

    def __iter__(self) -> Iterator[Record]:
        progress, error = self.progress, None
        with StopSignal() as signal, self._metrics() as metrics:
            try:
                yield from self._steps(signal, metrics)
            except TrainingError as caught:
                if progress.best is None:
                    raise
                error = caught
        if progress.best is None:
            self._validate()
        self.module.load_state_dict(progress.best or {})
        ended = "interrupted" if signal.stopped else "early" if self._stale else "finished"
        stopped = str(error) if error else ended
        self.outcome = Outcome(progress.best_scores, stopped, progress.step, progress.seconds, error)

    def discard_checkpoint(self) -> None:
        """Remove the checkpoint: call it once the trained model is safely saved."""
        if self.folder is not None and self.rank == 0:
            checkpoint.path(self.folder).unlink(missing_ok=True)

    @property
    def _stale(self) -> bool:
        return self.progress.stale >= self.plan.patience

    def _steps(self, signal: StopSignal, metrics: TextIO) -> Iterator[Record]:
        progress, saved = self.progress, time.monotonic()
        while progress.epoch < self.plan.epochs and not self._stale:
            batches = self.problem.batches(progress.epoch, self.rank, self.world)
            if not batches:
                raise TrainingError("there is nothing to train on: an epoch has no batches")
            for index in range(progress.index, len(batches)):
                due = time.monotonic() - saved > self.checkpoint_seconds
                record, due = self._advance(batches, index, due, signal)
                # metrics first: lines beyond the checkpoint are dropped on resuming, lines before it can't be
                metrics.write(json.dumps({k: v for k, v in asdict(record).items() if v is not None}) + "\n")
                metrics.flush()
                if record.scores or due or signal.stopped:
                    self._checkpoint()
                    saved = time.monotonic()
                yield record
                if signal.stopped or self._stale:
                    return

    def _advance(
        self, batches: Sequence[Any], index: int, due: bool, signal: StopSignal
    ) -> tuple[Record, bool]:
        """Train on one batch, validate if it is time, and move `progress` on."""
        progress, start, epoch, last = (
            self.progress,
            time.monotonic(),
            self.progress.epoch,
            index + 1 == len(batches),
        )
        rate = self._set_rate((epoch + (index + 0.5) / len(batches)) / self.plan.epochs)
        loss, items, due, signal.stopped = self._step(batches[index], due, signal.stopped)
        trained = time.monotonic() - start
        progress.epoch, progress.index = (epoch + 1, 0) if last else (epoch, index + 1)
        progress.carried = None if last else progress.carried
        validate = _validation_due(index + 1, len(batches), self.plan.validations)
        scores, best = self._validate() if validate else (None, False)
        progress.seconds += time.monotonic() - start
        done = (epoch + (index + 1) / len(batches)) / self.plan.epochs
        left = progress.seconds / done * (1 - done)
        return Record(progress.step, epoch, done, loss, rate, items / trained, left, scores, best), due

    def _step(self, batch: Any, due: bool, stop: bool) -> tuple[float, float, bool, bool]:
        """One optimizer step; the mean loss, the items of all ranks, and flags that all ranks agree on."""
        progress = self.progress
        self.model.train()
        torch.manual_seed(_mixed(self.plan.seed, progress.step, self.rank))
        total, items, state = self.problem.loss(self.model, batch, progress.carried)
        numbers = torch.tensor([total.item(), items, float(due), float(stop)], dtype=torch.float64)
        loss_sum, all_items, due_any, stop_any = processes.sum_over(self.fabric, numbers).tolist()
        mean = loss_sum / (all_items or 1.0)
        if not math.isfinite(mean):
            raise TrainingError(
                f"the loss became {mean} at step {progress.step + 1}: lower learning_rate (now "
                f"{self.plan.learning_rate:g}) or clip ({self.plan.clip:g}), or look for extreme values"
            )
        self.optimizer.zero_grad()
        # processes average gradients, so each scales its sum to the mean over the items of all
        self.fabric.backward(total * (self.world / (all_items or 1.0)))
        self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        self.optimizer.step()
        progress.carried = detached(state)
        progress.step += 1
        return mean, all_items, due_any > 0, stop_any > 0

    def _validate(self) -> tuple[dict[str, float], bool]:
        progress = self.progress
        self.model.eval()
        with torch.no_grad(), self.fabric.autocast():
            scores = dict(self.problem.validate(self.model))
        score = scores[self.problem.score]
        sign = 1 if self.problem.maximize else -1
        before = progress.best_scores.get(self.problem.score, -sign * math.inf)
        best = sign * score > sign * before or progress.best is None
        if best:
            progress.best_scores = scores
            progress.best = {k: v.detach().cpu().clone() for k, v in self.module.state_dict().items()}
        progress.stale = 0 if best else progress.stale + 1
        return scores, best

    def _set_rate(self, done: float) -> float:
        rate = self.plan.learning_rate * schedule(done, self.plan.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    # ---- on disk

    def _metrics(self) -> Any:
        return checkpoint.metrics(self.folder if self.rank == 0 else None, self.progress.step)

    def _checkpoint(self) -> None:
        if self.folder is None:
            return
        carried = processes.gather(self.fabric, self.progress.carried)
        if self.rank == 0:
            states = (self.module.state_dict(), self.optimizer.state_dict())
            checkpoint.save(self.folder, self.progress, carried, *states, self.identity)

    def _resume(self) -> None:
        if self.folder is None:
            raise UsageError("resume needs the folder of the run")
        self.progress, carried, model, optimizer = checkpoint.load(self.folder, self.identity)
        self.progress.carried = carried[self.rank]
        self.module.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)


def schedule(done: float, warmup: float) -> float:
    """Factor of the learning rate after a share `done` of the run: linear rise, then half a cosine to 0."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def detached(state: Any) -> Any:
    """The same nest of tuples, lists and dicts with every tensor cut off its graph: truncated BPTT."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, dict):
        return {k: detached(v) for k, v in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(detached(v) for v in state)
    return state


def share(batches: Sequence[Sequence[int]], rank: int, world: int) -> list[list[int]]:
    """This rank's part of every batch.

    Raises:
        TrainingError: a batch with fewer items than there are processes.
    """
    if smallest := [len(b) for b in batches if len(b) < world]:
        raise TrainingError(
            f"a batch of {smallest[0]} can't be shared by {world} processes: raise batch_size"
        )
    return [list(batch[rank::world]) for batch in batches]


def device_of(model: nn.Module) -> torch.device:
    """Where the model's parameters are."""
    return next(model.parameters()).device


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Biases and gains are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [g for g in groups if g["params"]]


def _validation_due(taken: int, total: int, validations: int) -> bool:
    """Whether one of the epoch's evenly spread validations comes after `taken` of `total` batches."""
    return any(taken == math.ceil(total * k / validations) for k in range(1, validations + 1))


def _mixed(seed: int, step: int, rank: int) -> int:
    """One number from three, far apart for neighbours."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**63
