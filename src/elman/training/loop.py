"""One training loop for every task: backpropagation through time, full or truncated with carried state.

A task describes itself as a `Problem`; `Run` trains it and yields a `Record` per step. The randomness of a
step depends only on (seed, step, rank), and the order of the batches only on (seed, epoch): a run that is
killed and resumed from its checkpoint ends with exactly the weights of an undisturbed run.
"""

import math
import time
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from torch import Tensor, nn

from elman import lock
from elman.atomic import writing
from elman.errors import ElmanError, TrainingError, UsageError
from elman.training import checkpoint, distributed
from elman.training.checkpoint import Progress, journal
from elman.training.inspector import Inspector, Unwrapped, look_due
from elman.training.malloc import retain_freed_memory
from elman.training.matching import check_position, matched, matched_moments
from elman.training.optimizer import adamw
from elman.training.plan import Plan
from elman.training.problem import DeadEnd, Problem, detached
from elman.training.seeds import set_seed, step_seed
from elman.training.signals import Interrupted, StopSignal, end, time_limit
from elman.training.stderr import say

# For the first validation of a run that is interrupted before it, so that there is a model to save.
LAST_VALIDATION_SECONDS: Final = 3.0


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
    memory: dict[str, float] | None = None  # the memory horizon in the task's unit, where it is measured


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `error` is set if it failed after the first validation, by a NaN loss for instance."""

    best: dict[str, float]
    stopped: str  # "finished", "early" or "interrupted", or the error's sentence
    steps: int
    seconds: float
    error: TrainingError | None = None
    signal: int | None = None  # that interrupted the run
    epochs: float = 0.0  # read, with the part of the last one

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
        inspector: looks into the network where a loss is not finite, and for `watch_memory`.

    Under `torchrun` every process takes its share of each batch and gradients are averaged.

    The first SIGINT, SIGTERM or SIGHUP interrupts the run after its step, or in the middle of a validation,
    which is then repeated when the run is resumed; `keep` raises what the signal calls for. The second acts
    at once. In another thread than the main one, signals are left to the caller.

    Raises:
        TrainingError: no checkpoint to resume from, or one of another run; a loss that is NaN or infinite
            before any validation (later it ends the run with `outcome.error` set and the best model kept).
        UsageError: another process or thread is training in this folder.
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
        inspector: Inspector | None = None,
    ) -> None:
        self.inspector = inspector
        self.problem, self.plan, self.checkpoint_seconds = problem, plan, checkpoint_seconds
        self.folder = Path(folder) if folder is not None else None
        self.fabric = distributed.fabric(plan.device, plan.precision)
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        self.module = model
        # of the model before and after a run, whose precision may be another
        self._dtype = next((p.dtype for p in model.parameters()), torch.float32)
        # looking on changes nothing
        told = {name: value for name, value in asdict(plan).items() if name != "watch_memory"}
        self.identity = {"plan": told, "processes": self.world, **(identity or {})}
        self.optimizer: Any = adamw(model, plan.learning_rate, plan.weight_decay, self.fabric.device)
        self.model, self.optimizer = self.fabric.setup(model, self.optimizer)
        self.progress, self._rate = Progress(), 0.0
        self.outcome: Outcome | None = None
        self.heard: Callable[[int], None] | None = None  # called with a signal when it arrives
        self._unlock: Callable[[], object] = self._lock(resume)
        with self._unlocked_on_error():
            if resume:
                self._resume()
            else:
                self._checkpoint()  # a folder that can't be written fails now, not after the first epoch

    def __iter__(self) -> Iterator[Record]:
        progress, error, stopped = self.progress, None, ""
        with self._unlocked_on_error():
            with StopSignal(self.heard) as signal, retain_freed_memory():
                try:
                    stopped = yield from self._steps(signal)
                except Interrupted:
                    stopped = "interrupted"
                except TrainingError as caught:
                    if progress.best is None:
                        if isinstance(caught, DeadEnd):
                            self.discard_checkpoint()
                        raise
                    error, stopped = caught, str(caught)
            number = self._signal(signal) if stopped == "interrupted" else None
            if progress.best is None:
                hurried = number is not None and self.world == 1
                with suppress(Interrupted), time_limit(LAST_VALIDATION_SECONDS) if hurried else nullcontext():
                    self._validate()
            if progress.best is not None:
                self.module.load_state_dict(progress.best)
            self.module.to(self._dtype).eval()
        steps, seconds, epochs = progress.step, progress.seconds, self._epochs()
        self.outcome = Outcome(progress.best_scores, stopped, steps, seconds, error, number, epochs)

    def discard_checkpoint(self) -> None:
        """Remove the checkpoint once the model is saved, unless the run can be resumed; unlock the folder."""
        if self.folder is not None and self.rank == 0 and not (self.outcome and self.outcome.resumable):
            checkpoint.discard(self.folder)
        self._unlock()

    def keep(self, save: Callable[[Path], None], number: int | None = None) -> None:
        """Save the finished model in the run's folder, if there is one, and discard the checkpoint.

        Raises KeyboardInterrupt or SystemExit, once the best model so far is saved, if a signal interrupted
        the run, or a later part of the training: `number`.
        """
        number = number or (self.outcome.signal if self.outcome is not None else None)
        try:
            if self.folder is not None and self.rank == 0:
                save(self.folder)
                if number is None:
                    self.discard_checkpoint()
        finally:
            self._unlock()
        if number is not None:
            self.stop(number, saved=True)

    def require_model(self) -> None:
        """Raise as `keep` does if a signal interrupted the run and no model can be saved."""
        outcome = self.outcome
        if outcome is not None and outcome.signal is not None and (self.folder is None or not outcome.best):
            self.stop(outcome.signal)

    def stop(self, number: int, saved: bool = False) -> NoReturn:
        """End as a signal demands, and say what is saved and how the training goes on."""
        self._unlock()
        sentence = f"interrupted after step {self.progress.step}"
        going_on = "resume=True (--resume) continues"
        if self.folder is None:
            sentence += ": nothing is saved, as there is no folder to keep the model and its checkpoint"
        elif saved:
            sentence += f": {self.folder} holds the best model so far; {going_on}"
        else:
            sentence += f": {self.folder} holds a checkpoint, but no model yet; {going_on}"
        end(number, sentence, say if self.rank == 0 else lambda _: None)

    def _lock(self, resume: bool) -> Callable[[], object]:
        """Lock the folder, and return the function that unlocks it."""
        if self.folder is None or self.rank > 0 or (resume and not self.folder.is_dir()):
            return lambda: None
        with writing(self.folder, TrainingError):
            self.folder.mkdir(parents=True, exist_ok=True)
            return weakref.finalize(self, lock.release, lock.acquire(self.folder))

    @contextmanager
    def _unlocked_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._unlock()
            raise

    def _signal(self, signal: StopSignal) -> int | None:
        """Return the signal that one of the processes has received."""
        numbers = [n for n in distributed.gather(self.fabric, signal.number) if n is not None]
        return max(numbers, default=None)

    def _out_of_patience(self) -> bool:
        return self.progress.stale >= self.plan.patience

    def _out_of_steps(self) -> bool:
        return self.plan.max_steps is not None and self.progress.step >= self.plan.max_steps

    def _epochs(self) -> float:
        """Return the epochs so far, with the part of the last one."""
        epoch, index = self.progress.epoch, self.progress.index
        return epoch + index / len(self.problem.batches(epoch, self.rank, self.world)) if index else epoch

    def _done(self, epochs: float, steps: float) -> float:
        """Return the share of the run after a number of epochs and steps."""
        share = epochs / self.plan.epochs
        return share if self.plan.max_steps is None else max(share, min(steps / self.plan.max_steps, 1.0))

    def _steps(self, signal: StopSignal) -> Generator[Record, None, str]:
        """Train to the end; return "finished", "early" or "interrupted"."""
        progress = self.progress
        with journal(self.folder if self.rank == 0 else None, progress.step) as write:
            saved = time.monotonic()
            while progress.epoch < self.plan.epochs and not (self._out_of_patience() or self._out_of_steps()):
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
                    if self._out_of_patience() or self._out_of_steps():
                        break
        return "early" if self._out_of_patience() else "finished"

    def _advance(
        self, batches: Sequence[Sized], index: int, due: bool, signal: StopSignal
    ) -> tuple[Record, bool, bool]:
        """Train on one batch, validate if that is due, and advance `progress`.

        All processes agree on the result: the record, whether to write a checkpoint, whether to stop.
        """
        progress, epoch, start = self.progress, self.progress.epoch, time.monotonic()
        middle = self._done(epoch + (index + 0.5) / len(batches), progress.step + 0.5)
        learning_rate = self.plan.learning_rate * schedule(middle, self.plan.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        memory = self._memory(batches, index)
        loss, due, stop = self._step(batches[index], due, signal)
        rate = self.world * len(batches[index]) / (time.monotonic() - start)
        self._rate = 0.9 * self._rate + 0.1 * rate if self._rate else rate
        scores, best = None, False
        if _validation_due(index + 1, len(batches), self.plan.validations) or self._out_of_steps():
            scores, best = self._validate(signal)
            # signals during validation, which several processes finish together
            stop = any(n is not None for n in distributed.gather(self.fabric, signal.number))
        last = index + 1 == len(batches)
        progress.epoch, progress.index = (epoch + 1, 0) if last else (epoch, index + 1)
        progress.carried = None if last else progress.carried
        progress.seconds += time.monotonic() - start
        done = self._done(epoch + (index + 1) / len(batches), progress.step)
        left = progress.seconds / done * (1 - done)
        step, rate = progress.step, self._rate
        record = Record(step, epoch, done, loss, learning_rate, rate, left, scores, best, memory)
        return record, due, stop

    def _step(self, batch: Any, due: bool, signal: StopSignal) -> tuple[float, bool, bool]:
        """Take one optimizer step; return the mean loss, and whether any process is due or must stop."""
        progress = self.progress
        self.model.train()
        set_seed(step_seed(self.plan.seed, progress.step, self.rank), self.fabric.device)
        total, items, state = self.problem.loss(self.model, batch, progress.carried)
        numbers = torch.tensor([total.item(), items, due, signal.number is not None], dtype=torch.float64)
        loss_sum, all_items, due_any, stop_any = distributed.sum_over(self.fabric, numbers).tolist()
        mean = loss_sum / (all_items or 1.0)
        if not math.isfinite(mean):
            raise self._diverged("loss", mean, batch)
        self.optimizer.zero_grad()
        # gradients are averaged over processes, so scale each loss to the mean over all their items
        self.fabric.backward(total * (self.world / (all_items or 1.0)))
        norm = self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self.plan.clip, error_if_nonfinite=False
        )
        # 16-mixed raises the loss scale until gradients overflow, and skips such steps
        if norm is not None and not norm.isfinite() and self.plan.precision != "16-mixed":
            raise self._diverged("gradient", norm.item(), batch)
        self.optimizer.step()
        if self.plan.ema_decay:
            self._update_ema()
        progress.carried = detached(state)
        progress.step += 1
        return mean, due_any > 0, stop_any > 0

    def _diverged(self, what: str, value: float, batch: Any) -> DeadEnd:
        phrase = ""
        if self.inspector is not None:
            # a look that fails must not hide what happened
            with suppress(ElmanError, RuntimeError), self._inspected(batch) as loss:
                phrase = self.inspector.explain(self.module, loss)
        phrase = next(filter(None, distributed.gather(self.fabric, phrase)), "")
        return DeadEnd(
            f"the {what} became {value} at step {self.progress.step + 1}{phrase and f' ({phrase})'}: lower "
            f"learning_rate (now {self.plan.learning_rate:g}) or clip ({self.plan.clip:g}), or look for "
            "extreme values"
        )

    def _memory(self, batches: Sequence[Any], index: int) -> dict[str, float] | None:
        """Return the memory horizon before a step if it is due."""
        watched = self.plan.watch_memory and self.inspector is not None and self.rank == 0
        if not watched or not look_due(self.progress.epoch, index, len(batches)):
            return None
        assert self.inspector is not None
        self.module.eval()
        with self._inspected(batches[index]) as loss:
            horizon = self.inspector.horizon(self.module, loss)
        return None if horizon is None else {self.inspector.unit: horizon}

    @contextmanager
    def _inspected(self, batch: Any) -> Iterator[Callable[[], Tensor]]:
        """Yield a function that returns a batch's loss as the next step computes it, without trace."""
        seed = step_seed(self.plan.seed, self.progress.step, self.rank)
        model = Unwrapped(self.module, self.fabric.strategy.precision)

        def loss() -> Tensor:
            set_seed(seed, self.fabric.device)
            return self.problem.loss(model, batch, self.progress.carried)[0]

        devices = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            yield loss

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

    def _validate(self, signal: StopSignal | None = None) -> tuple[dict[str, float], bool]:
        """Return the held-out scores and whether they are the best so far; keep the weights if they are.

        Raises Interrupted where a signal comes before the scores.
        """
        progress, name = self.progress, self.problem.score
        aborting = signal.aborting() if signal is not None and self.world == 1 else nullcontext()
        self.model.eval()
        with torch.no_grad(), self._ema_weights():
            with self.fabric.autocast(), aborting:
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
        progress, carried, states = checkpoint.load(self.folder, self.identity)
        try:
            if len(carried) != self.world:
                raise ValueError("the hidden states are those of another number of processes")
            self._restore(progress, carried[self.rank], states)
        except (RuntimeError, TypeError, ValueError) as error:
            sentence = f"the checkpoint in {self.folder} is of another model"
            raise TrainingError(f"{sentence} ({error}): start without resume") from error

    def _restore(self, progress: Progress, carried: Any, states: Mapping[str, Any]) -> None:
        """Continue from a checkpoint. Raises ValueError for a part that is not like this run's own."""
        weights, precision = self.module.state_dict(), self.fabric.strategy.precision
        model = matched(states.get("model"), weights, "the model")
        batches = self.problem.batches(min(progress.epoch, self.plan.epochs - 1), self.rank, self.world)
        check_position(progress, self.plan.epochs, len(batches), self.problem.score)
        state = None
        if progress.index:
            with torch.no_grad():  # a state like the one that the checkpoint must hold
                state = detached(self.problem.loss(self.model, batches[0], None)[2])
        parameters = [p.detach() for p in self.module.parameters()]
        averages = parameters if self.plan.ema_decay and progress.step else None
        progress.ema = self.fabric.to_device(matched(progress.ema, averages, "the average"))
        best = None if progress.best is None else weights
        progress.best = matched(progress.best, best, "the best model")
        progress.carried = self.fabric.to_device(matched(carried, state, "the hidden state"))
        own = self.optimizer.state_dict()  # the groups of the same plan
        numbers = [k for group in own["param_groups"] for k in group["params"]]
        ours = [p for group in self.optimizer.param_groups for p in group["params"]]
        numbered = dict(zip(numbers, ours, strict=True))
        moments = matched_moments(states.get("optimizer"), numbered, progress.step)
        self.module.load_state_dict(model)
        self.optimizer.load_state_dict({**own, "state": moments})
        precision.load_state_dict(matched(states.get("precision"), precision.state_dict(), "the precision"))
        self.progress = progress


def schedule(done: float, warmup: float) -> float:
    """Return the factor of the learning rate after a share `done` of the run: linear warmup, cosine decay."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _validation_due(taken: int, total: int, validations: int) -> bool:
    """Return whether one of an epoch's evenly spaced validations follows batch `taken` of `total`."""
    return any(taken == math.ceil(total * k / validations) for k in range(1, validations + 1))
