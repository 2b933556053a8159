"""One training loop for every task: backpropagation through time, whole or truncated with carried state.

A task describes itself as a `Problem`; `Run` trains it and yields a `Record` a step. All randomness of a step
is a function of (seed, step, rank), and the order of the batches one of (seed, epoch): a run that is killed
and resumed from its checkpoint ends with the very same weights as one that was not.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from elman.errors import TrainingError, UsageError
from elman.training import checkpoint
from elman.training import distributed as processes
from elman.training.checkpoint import Journal, Progress
from elman.training.malloc import kept_memory
from elman.training.signals import StopSignal


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
    # Decay of a running average of the weights, which is then what is validated and kept (after Polyak,
    # Juditsky, SIAM J. Control Optim. 30, 1992); 0 keeps the weights themselves.
    average: float = 0.0
    seed: int = 0
    device: str = "auto"  # "auto", "cpu" or "cuda"
    precision: str = "32-true"  # Lightning Fabric's names: "32-true", "bf16-mixed", ...

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "validations"):
            if not is_whole(getattr(self, name)) or getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number of at least 1, not {getattr(self, name)!r}")
        if not is_whole(self.seed) or not 0 <= self.seed < 2**31:
            raise UsageError(f"seed must be a whole number of 0 to 2**31 - 1, not {self.seed!r}")
        for name in ("learning_rate", "clip"):
            if not is_number(getattr(self, name)) or not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be a number above 0, not {getattr(self, name)!r}")
        if not is_number(self.warmup) or not 0 <= self.warmup < 1:
            raise UsageError(f"warmup must be a share of the run, from 0 to below 1, not {self.warmup!r}")
        if not is_number(self.average) or not 0 <= self.average < 1:
            raise UsageError(f"average must be a decay from 0 to below 1, not {self.average!r}")
        if not is_number(self.weight_decay) or not 0 <= self.weight_decay < math.inf:
            raise UsageError(f"weight_decay must be a number of 0 or more, not {self.weight_decay!r}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise UsageError(f'device must be "auto", "cpu" or "cuda", not {self.device!r}')
        if self.precision not in processes.PRECISIONS:
            raise UsageError(
                f"precision must be one of {', '.join(processes.PRECISIONS)}, not {self.precision!r}"
            )


class DeadEnd(TrainingError):
    """A run that would come to the same end each time; without a good model, its checkpoint is of no use."""


class Problem(Protocol):
    """What the loop needs to know of a task. Its data lie inside it.

    `score` names the validation score that picks the best model, `maximize` says which way is better.
    """

    score: str
    maximize: bool

    def batches(self, epoch: int, rank: int, world: int) -> Sequence[Sized]:
        """This rank's share of every batch of an epoch: a pure function, equally long on all ranks.

        len() of a batch is its number of sequences.
        """

    def loss(self, model: nn.Module, batch: Any, state: Any) -> tuple[Tensor, float, Any]:
        """Sum of the loss over a batch's items, their number, and the state that the next batch starts from.

        `state` is None at the start of an epoch. A task with full BPTT returns None; one with truncated BPTT
        returns tensors (nested in tuples, lists or dicts), which the loop cuts off the graph and hands back.
        """

    def validate(self, model: nn.Module) -> Mapping[str, float]:
        """Scores on held-out data; the model is in eval mode and nothing is recorded for gradients."""


@dataclass(frozen=True)
class Record:
    """One step of training."""

    step: int
    epoch: int
    done: float  # share of the planned run
    loss: float  # mean over the items of this step
    learning_rate: float
    rate: float  # sequences a second, a moving average
    left: float  # seconds, if the run goes to its planned end
    scores: dict[str, float] | None = None  # after a validation
    best: bool = False  # whether these scores are the best so far


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `error`: why it had to stop after a good model was found, such as a loss of NaN."""

    best: dict[str, float]
    stopped: str  # "finished", "early" or "interrupted", or the error's sentence
    steps: int
    seconds: float
    error: TrainingError | None = None

    @property
    def resumable(self) -> bool:
        """Whether the run was cut short by something that need not come again: Ctrl-C, a full disk."""
        cut = self.error is not None and not isinstance(self.error, DeadEnd)
        return cut or self.stopped == "interrupted"


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
        self.identity = {"plan": asdict(plan), "processes": self.world, **(identity or {})}
        self.optimizer: Any = torch.optim.AdamW(_groups(model, plan.weight_decay), lr=plan.learning_rate)
        self.model, self.optimizer = self.fabric.setup(model, self.optimizer)
        self.progress, self._rate = Progress(), 0.0
        if resume:
            self._resume()
        self.outcome: Outcome | None = None

    def __iter__(self) -> Iterator[Record]:
        progress, error, stopped = self.progress, None, ""
        with StopSignal() as signal, kept_memory():
            try:
                stopped = yield from self._steps(signal)
            except TrainingError as caught:
                if progress.best is None:
                    if isinstance(caught, DeadEnd):
                        self.discard_checkpoint()
                    raise
                error = caught
        if progress.best is None:
            self._validate()
        self.module.load_state_dict(progress.best or {})
        self.module.eval()
        ended = str(error) if error else stopped
        self.outcome = Outcome(progress.best_scores, ended, progress.step, progress.seconds, error)

    def discard_checkpoint(self) -> None:
        """Remove the checkpoint once the model is safely saved, unless the run can go on from it."""
        if self.folder is not None and self.rank == 0 and not (self.outcome and self.outcome.resumable):
            checkpoint.discard(self.folder)

    def keep(self, save: Callable[[Path], None]) -> None:
        """Save the finished model in the run's folder, if it has one; then the checkpoint has done its work,
        unless the run can go on from it."""
        if self.folder is not None and self.rank == 0:
            save(self.folder)
            self.discard_checkpoint()

    def _stale(self) -> bool:
        return self.progress.stale >= self.plan.patience

    def _steps(self, signal: StopSignal) -> Generator[Record, None, str]:
        """Train until the end, which is named: "finished", "early" or "interrupted"."""
        progress = self.progress
        if progress.step == 0:
            self._checkpoint()  # from now on a kill may come; and a folder that can't be written shows early
        with Journal(self.folder if self.rank == 0 else None, progress.step) as journal:
            saved = time.monotonic()
            while progress.epoch < self.plan.epochs and not self._stale():
                batches = self.problem.batches(progress.epoch, self.rank, self.world)
                if not batches:
                    raise DeadEnd("there is nothing to train on: an epoch has no batches")
                for index in range(progress.index, len(batches)):
                    due = time.monotonic() - saved >= self.checkpoint_seconds
                    record, due, stop = self._advance(batches, index, due, signal)
                    # metrics first: resuming drops the lines beyond the checkpoint, but could not add any
                    journal.write(asdict(record))
                    if record.scores is not None or due or stop:
                        self._checkpoint()
                        saved = time.monotonic()
                    yield record
                    if stop:
                        return "interrupted"
                    if self._stale():
                        break
        return "early" if self._stale() else "finished"

    def _advance(
        self, batches: Sequence[Sized], index: int, due: bool, signal: StopSignal
    ) -> tuple[Record, bool, bool]:
        """Train on one batch, validate if it is time, and move `progress` on.

        Whether a checkpoint is due and whether to stop is what all processes agree on.
        """
        progress, epoch, start = self.progress, self.progress.epoch, time.monotonic()
        learning_rate = self._set_rate((epoch + (index + 0.5) / len(batches)) / self.plan.epochs)
        loss, due, stop = self._step(batches[index], due, signal)
        rate = self.world * len(batches[index]) / (time.monotonic() - start)
        self._rate = 0.9 * self._rate + 0.1 * rate if self._rate else rate
        scores, best = None, False
        if _validation_due(index + 1, len(batches), self.plan.validations):
            scores, best = self._validate()
            stop = any(processes.gather(self.fabric, signal.stopped))  # it may have come meanwhile
        last = index + 1 == len(batches)
        progress.epoch, progress.index = (epoch + 1, 0) if last else (epoch, index + 1)
        progress.carried = None if last else progress.carried
        progress.seconds += time.monotonic() - start
        done = (epoch + (index + 1) / len(batches)) / self.plan.epochs
        left = progress.seconds / done * (1 - done)
        record = Record(progress.step, epoch, done, loss, learning_rate, self._rate, left, scores, best)
        return record, due, stop

    def _step(self, batch: Any, due: bool, signal: StopSignal) -> tuple[float, bool, bool]:
        """One optimizer step: the mean loss of all processes, and whether any of them is due or must stop."""
        progress = self.progress
        self.model.train()
        torch.manual_seed(_mixed(self.plan.seed, progress.step, self.rank))
        total, items, state = self.problem.loss(self.model, batch, progress.carried)
        numbers = torch.tensor([total.item(), items, due, signal.stopped], dtype=torch.float64)
        loss_sum, all_items, due_any, stop_any = processes.sum_over(self.fabric, numbers).tolist()
        mean = loss_sum / (all_items or 1.0)
        if not math.isfinite(mean):
            raise self._diverged("loss", mean)
        self.optimizer.zero_grad()
        # processes average gradients, so each scales its sum to the mean over the items of all
        self.fabric.backward(total * (self.world / (all_items or 1.0)))
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        # in half precision the loss is scaled up until gradients overflow; such steps are skipped
        if norm is not None and not norm.isfinite() and self.plan.precision != "16-mixed":
            raise self._diverged("gradient", norm.item())
        self.optimizer.step()
        if self.plan.average:
            self._average()
        progress.carried = detached(state)
        progress.step += 1
        return mean, due_any > 0, stop_any > 0

    def _diverged(self, what: str, value: float) -> DeadEnd:
        return DeadEnd(
            f"the {what} became {value} at step {self.progress.step + 1}: lower learning_rate (now "
            f"{self.plan.learning_rate:g}) or clip ({self.plan.clip:g}), or look for extreme values"
        )

    def _average(self) -> None:
        """Move the running average towards the weights; early on further, so that the first ones fade."""
        weights = [p.detach() for p in self.module.parameters()]
        if self.progress.average is None:
            self.progress.average = [w.clone() for w in weights]
        step = self.progress.step + 1
        decay = min(self.plan.average, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.progress.average, weights, 1 - decay)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The model with averaged weights for a while."""
        weights = [p.detach() for p in self.module.parameters()]
        if self.progress.average is None:
            yield
            return
        own = [w.clone() for w in weights]
        torch._foreach_copy_(weights, self.progress.average)
        try:
            yield
        finally:
            torch._foreach_copy_(weights, own)

    def _validate(self) -> tuple[dict[str, float], bool]:
        with torch.no_grad(), self._averaged():
            return self._scored()

    def _scored(self) -> tuple[dict[str, float], bool]:
        progress, name = self.progress, self.problem.score
        self.model.eval()
        with self.fabric.autocast():
            found = {k: float(v) for k, v in self.problem.validate(self.model).items()}
        # processes may differ in the last bit but must go the same way: the first one's scores count
        scores: dict[str, float] = processes.gather(self.fabric, found)[0]
        if math.isnan(scores[name]):
            raise DeadEnd(
                f"the validation score {name} is not a number after step {progress.step}: look for missing "
                "or extreme values in the validation data"
            )
        sign = 1 if self.problem.maximize else -1
        best = progress.best is None or sign * scores[name] > sign * progress.best_scores[name]
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

    def _checkpoint(self) -> None:
        if self.folder is None:
            return
        carried = processes.gather(self.fabric, self.progress.carried)
        if self.rank == 0:
            states = {
                "model": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
            }
            checkpoint.save(self.folder, self.progress, carried, states, self.identity)

    def _resume(self) -> None:
        if self.folder is None:
            raise UsageError("resume needs the folder of the run that was stopped")
        self.progress, carried, states = checkpoint.load(self.folder, self.identity)
        self.progress.carried = self.fabric.to_device(carried[self.rank])
        self.progress.average = self.fabric.to_device(self.progress.average)
        try:
            self.module.load_state_dict(states["model"])
            self.optimizer.load_state_dict(states["optimizer"])
            self.fabric.strategy.precision.load_state_dict(states["precision"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"the checkpoint in {self.folder} is of another model: start without resume"
            ) from error


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
    if small := [len(b) for b in batches if len(b) < world]:
        raise DeadEnd(f"{world} processes can't share a batch of {small[0]}: choose another batch_size")
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


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
