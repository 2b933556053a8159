"""One training loop for every task: backpropagation through time, full or truncated with carried state.

A task describes itself as a `Problem`; `Run` trains it and yields a `Record` per step. The randomness of a
step depends only on (seed, step, rank), and the order of the batches only on (seed, epoch): a run that is
killed and resumed from its checkpoint ends with exactly the weights of an undisturbed run.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from elman.errors import TrainingError, UsageError
from elman.training import checkpoint, distributed
from elman.training.checkpoint import Progress, journal
from elman.training.malloc import retain_freed_memory
from elman.training.plan import Plan
from elman.training.problem import DeadEnd, Problem, detached
from elman.training.signals import StopSignal


@dataclass(frozen=True)
class Record:
    step: int
    epoch: int
    done: float  # share of the planned run
    loss: float  # training loss, mean over the items of this step
    learning_rate: float
    rate: float  # sequences per second, a moving average
    left: float  # seconds to the planned end of the run
    scores: dict[str, float] | None = None  # held-out scores, after a validation
    best: bool = False  # whether these scores are the best so far


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `error` is set if it failed after the first validation, by a NaN loss for instance."""

    best: dict[str, float]
    stopped: str  # "finished", "early" or "interrupted", or the error's sentence
    steps: int
    seconds: float
    error: TrainingError | None = None

    @property
    def resumable(self) -> bool:
        """Whether the run was cut short by something temporary: Ctrl-C, a full disk."""
        temporary = self.error is not None and not isinstance(self.error, DeadEnd)
        return temporary or self.stopped == "interrupted"


class Run:
    """Train `model` on `problem` by `plan`; iterate to run. Afterwards the model holds its best weights.

    Args:
        folder: where `metrics.jsonl` and `checkpoint.pt` are written; None keeps nothing on disk.
        resume: continue from the folder's checkpoint.
        identity: what must be equal for a checkpoint to fit: settings, the data's fingerprint.
        checkpoint_seconds: interval of checkpoints between validations.

    Under `torchrun` every process takes its share of each batch and gradients are averaged.

    Raises:
        TrainingError: no checkpoint to resume from, or one of another run; a loss that is NaN or infinite
            before any validation (later it ends the run with `outcome.error` set and the best model kept).
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
        self.fabric = distributed.fabric(plan.device, plan.precision)
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
        with StopSignal() as signal, retain_freed_memory():
            try:
                stopped = yield from self._steps(signal)
            except TrainingError as caught:
                if progress.best is None:
                    if isinstance(caught, DeadEnd):
                        self.discard_checkpoint()
                    raise
                error, stopped = caught, str(caught)
        if progress.best is None:
            self._validate()
        self.module.load_state_dict(progress.best or {})
        self.module.eval()
        self.outcome = Outcome(progress.best_scores, stopped, progress.step, progress.seconds, error)

    def discard_checkpoint(self) -> None:
        """Remove the checkpoint once the model is saved, unless the run can be resumed from it."""
        if self.folder is not None and self.rank == 0 and not (self.outcome and self.outcome.resumable):
            checkpoint.discard(self.folder)

    def keep(self, save: Callable[[Path], None]) -> None:
        """Save the finished model in the run's folder, if there is one, and discard the checkpoint."""
        if self.folder is not None and self.rank == 0:
            save(self.folder)
            self.discard_checkpoint()

    def _out_of_patience(self) -> bool:
        return self.progress.stale >= self.plan.patience

    def _steps(self, signal: StopSignal) -> Generator[Record, None, str]:
        """Train to the end; return "finished", "early" or "interrupted"."""
        progress = self.progress
        if progress.step == 0:
            self._checkpoint()  # a folder that can't be written fails now, not after the first epoch
        with journal(self.folder if self.rank == 0 else None, progress.step) as write:
            saved = time.monotonic()
            while progress.epoch < self.plan.epochs and not self._out_of_patience():
                batches = self.problem.batches(progress.epoch, self.rank, self.world)
                if not batches:
                    raise DeadEnd("there is nothing to train on: an epoch has no batches")
                for index in range(progress.index, len(batches)):
                    due = time.monotonic() - saved >= self.checkpoint_seconds
                    record, due, stop = self._advance(batches, index, due, signal)
                    # metrics first: resuming drops lines beyond the checkpoint but can't add missing ones
                    write(asdict(record))
                    if record.scores is not None or due or stop:
                        self._checkpoint()
                        saved = time.monotonic()
                    yield record
                    if stop:
                        return "interrupted"
                    if self._out_of_patience():
                        break
        return "early" if self._out_of_patience() else "finished"

    def _advance(
        self, batches: Sequence[Sized], index: int, due: bool, signal: StopSignal
    ) -> tuple[Record, bool, bool]:
        """Train on one batch, validate if that is due, and advance `progress`.

        All processes agree on the result: the record, whether to write a checkpoint, whether to stop.
        """
        progress, epoch, start = self.progress, self.progress.epoch, time.monotonic()
        middle = (epoch + (index + 0.5) / len(batches)) / self.plan.epochs
        learning_rate = self.plan.learning_rate * schedule(middle, self.plan.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss, due, stop = self._step(batches[index], due, signal)
        rate = self.world * len(batches[index]) / (time.monotonic() - start)
        self._rate = 0.9 * self._rate + 0.1 * rate if self._rate else rate
        scores, best = None, False
        if _validation_due(index + 1, len(batches), self.plan.validations):
            scores, best = self._validate()
            stop = any(distributed.gather(self.fabric, signal.stopped))  # signals during validation
        last = index + 1 == len(batches)
        progress.epoch, progress.index = (epoch + 1, 0) if last else (epoch, index + 1)
        progress.carried = None if last else progress.carried
        progress.seconds += time.monotonic() - start
        done = (epoch + (index + 1) / len(batches)) / self.plan.epochs
        left = progress.seconds / done * (1 - done)
        record = Record(progress.step, epoch, done, loss, learning_rate, self._rate, left, scores, best)
        return record, due, stop

    def _step(self, batch: Any, due: bool, signal: StopSignal) -> tuple[float, bool, bool]:
        """Take one optimizer step; return the mean loss, and whether any process is due or must stop."""
        progress = self.progress
        self.model.train()
        torch.manual_seed(_step_seed(self.plan.seed, progress.step, self.rank))
        total, items, state = self.problem.loss(self.model, batch, progress.carried)
        numbers = torch.tensor([total.item(), items, due, signal.stopped], dtype=torch.float64)
        loss_sum, all_items, due_any, stop_any = distributed.sum_over(self.fabric, numbers).tolist()
        mean = loss_sum / (all_items or 1.0)
        if not math.isfinite(mean):
            raise self._diverged("loss", mean)
        self.optimizer.zero_grad()
        # gradients are averaged over processes, so scale each loss to the mean over all their items
        self.fabric.backward(total * (self.world / (all_items or 1.0)))
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        # 16-mixed raises the loss scale until gradients overflow, and skips such steps
        if norm is not None and not norm.isfinite() and self.plan.precision != "16-mixed":
            raise self._diverged("gradient", norm.item())
        self.optimizer.step()
        if self.plan.ema_decay:
            self._update_ema()
        progress.carried = detached(state)
        progress.step += 1
        return mean, due_any > 0, stop_any > 0

    def _diverged(self, what: str, value: float) -> DeadEnd:
        return DeadEnd(
            f"the {what} became {value} at step {self.progress.step + 1}: lower learning_rate (now "
            f"{self.plan.learning_rate:g}) or clip ({self.plan.clip:g}), or look for extreme values"
        )

    def _update_ema(self) -> None:
        """Update the EMA of the weights, with a smaller decay early on."""
        weights = [p.detach() for p in self.module.parameters()]
        if self.progress.ema is None:
            self.progress.ema = [w.clone() for w in weights]
        step = self.progress.step + 1
        decay = min(self.plan.ema_decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.progress.ema, weights, 1 - decay)

    @contextmanager
    def _ema_weights(self) -> Iterator[None]:
        """Put the EMA into the model temporarily, if there is one."""
        if self.progress.ema is None:
            yield
            return
        weights = [p.detach() for p in self.module.parameters()]
        latest = [w.clone() for w in weights]
        torch._foreach_copy_(weights, self.progress.ema)
        try:
            yield
        finally:
            torch._foreach_copy_(weights, latest)

    def _validate(self) -> tuple[dict[str, float], bool]:
        """Return the held-out scores and whether they are the best so far; keep the weights if they are."""
        progress, name = self.progress, self.problem.score
        self.model.eval()
        with torch.no_grad(), self._ema_weights():
            with self.fabric.autocast():
                local = {k: float(v) for k, v in self.problem.validate(self.model).items()}
            # processes may differ in the last bit but must decide alike: the first one's scores count
            scores: dict[str, float] = distributed.gather(self.fabric, local)[0]
            if math.isnan(scores[name]):
                raise DeadEnd(
                    f"the validation score {name} is NaN after step {progress.step}: look for missing or "
                    "extreme values in the validation data"
                )
            sign = 1 if self.problem.maximize else -1
            best = progress.best is None or sign * scores[name] > sign * progress.best_scores[name]
            if best:
                progress.best_scores = scores
                progress.best = {k: v.detach().cpu().clone() for k, v in self.module.state_dict().items()}
            progress.stale = 0 if best else progress.stale + 1
        return scores, best

    def _checkpoint(self) -> None:
        if self.folder is None:
            return
        carried = distributed.gather(self.fabric, self.progress.carried)
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
        self.progress.ema = self.fabric.to_device(self.progress.ema)
        try:
            self.module.load_state_dict(states["model"])
            self.optimizer.load_state_dict(states["optimizer"])
            self.fabric.strategy.precision.load_state_dict(states["precision"])
        except (KeyError, RuntimeError, ValueError) as error:
            sentence = f"the checkpoint in {self.folder} is of another model: start without resume"
            raise TrainingError(sentence) from error


def schedule(done: float, warmup: float) -> float:
    """Return the factor of the learning rate after a share `done` of the run: linear warmup, cosine decay."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return AdamW's parameter groups: matrices with weight decay, biases and gains without."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices, vectors = [p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return [g for g in groups if g["params"]]


def _validation_due(taken: int, total: int, validations: int) -> bool:
    """Return whether one of an epoch's evenly spaced validations follows batch `taken` of `total`."""
    return any(taken == math.ceil(total * k / validations) for k in range(1, validations + 1))


def _step_seed(seed: int, step: int, rank: int) -> int:
    """Return a seed that differs widely between neighbouring steps and ranks."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**63
