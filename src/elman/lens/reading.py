"""What the first recurrent layer of a model reads, and the score of what else it could have read.

T steps, B sequences, I inputs.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from elman.errors import UsageError
from elman.lens.numbers import check_least
from elman.lens.recording import call, evaluating, recording
from elman.lens.view import View
from elman.nn import Recurrent


class Piece(NamedTuple):
    """What a layer reads in one call, laid out as it takes it: (T, B, I), (B, T, I), (T, I), or the data
    (N, I) of a PackedSequence.

    Attributes:
        x: numbers.
        steps, sequences: of each row of x, int64, shaped like x without its last axis.
    """

    x: Tensor
    steps: Tensor
    sequences: Tensor


class Reading:
    """What the first recurrent layer that a model calls reads in a pass, over all its calls.

    Args:
        target: from what the module returns to a number for each sequence; None: the view's score.
        baseline: a number, or a tensor that broadcasts to (T, B, I).

    Attributes:
        name: of the first layer.
        taken: (T, B) bool.

    Raises:
        UsageError: no recurrent layer is called, there is no target, or the baseline does not fit.
    """

    def __init__(
        self, view: View, target: Callable[[Any], Tensor] | None, baseline: Tensor | float = 0.0
    ) -> None:
        scored = target or view.score
        if scored is None:
            raise UsageError(
                "attribution of a module needs a target: from what it returns to a number for each sequence, "
                "such as lambda output: output[-1, :, 0]"
            )
        self._view, self._target = view, scored
        with evaluating(view.module, learning=False), torch.no_grad(), recording(view.module) as layers:
            name, self._layer, inputs = _calls(view)
        self.name = f"{name} l0"
        self._pieces = _pieces(inputs, self._layer.batch_first)
        taken = torch.cat([one.taken for one in layers() if one.name == self.name]).cpu()
        for b, labels in enumerate(view.labels_of(self.name)):
            taken[len(labels) :, b] = False  # a layer may read padding, to no effect
        self.taken = taken
        self._baseline = baseline
        self._baselines = self._spread(baseline)

    def baseline_of(self, steps: int) -> Tensor | float:
        """Return the baseline of the first steps."""
        baseline = self._baseline
        by_step = isinstance(baseline, Tensor) and baseline.dim() == 3 and len(baseline) > 1
        return baseline[:steps] if by_step else baseline  # type: ignore[index]

    def integrated(self, points: int) -> tuple[Tensor, Tensor]:
        """Return integrated gradients (T, B), and the score's whole difference from the baseline (B,)."""
        check_least("steps", points)
        xs = [piece.x for piece in self._pieces]
        sums = [torch.zeros_like(x, dtype=torch.float64, device="cpu") for x in xs]
        nodes, weights = np.polynomial.legendre.leggauss(points)  # from -1 to 1
        for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
            for total, gradient in zip(sums, self._gradients((node + 1) / 2), strict=True):
                total += weight / 2 * gradient.double().cpu()
        ways = [(x - base).double().cpu() for x, base in zip(xs, self._baselines, strict=True)]
        parts = [(total * way).sum(-1) for total, way in zip(sums, ways, strict=True)]
        return self._by_step(parts), self._score(xs) - self._score(self._baselines)

    def occluded(self) -> Tensor:
        """Return by how much the score falls if a step alone is replaced by the baseline, (T, B)."""
        falls = torch.zeros(self.taken.shape, dtype=torch.float64)
        whole = self._score([piece.x for piece in self._pieces])
        for t in range(len(falls)):
            xs = [
                torch.where((piece.steps == t).unsqueeze(-1), base, piece.x)
                for piece, base in zip(self._pieces, self._baselines, strict=True)
            ]
            falls[t] = whole - self._score(xs)
        return falls.where(self.taken, 0.0)

    def _gradients(self, share: float) -> Sequence[Tensor]:
        """Return the gradients of the score at a point on the way from the baseline to the input."""
        leaves = [
            torch.lerp(base, piece.x, share).requires_grad_()
            for piece, base in zip(self._pieces, self._baselines, strict=True)
        ]
        with evaluating(self._view.module, learning=False), torch.enable_grad():
            scores = self._scores(leaves)
            if not scores.requires_grad:
                raise UsageError(f"target does not depend on what {self.name} reads")
            return torch.autograd.grad(scores.sum(), leaves, materialize_grads=True)

    def _score(self, xs: Sequence[Tensor]) -> Tensor:
        with torch.no_grad():
            return self._scores(xs).double().cpu()

    def _scores(self, xs: Sequence[Tensor]) -> Tensor:
        """Return the scores (B,) where the layer reads these in its calls, one after another."""
        module, count = self._view.module, self.taken.shape[1]
        with evaluating(module, learning=False), _substituted(self._layer, xs):
            scores = self._target(call(module, self._view.input))
        if not isinstance(scores, Tensor) or scores.numel() != count:
            shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise UsageError(f"target must return one number for each of {count} sequences, not {shape}")
        return scores.reshape(count)

    def _by_step(self, parts: Sequence[Tensor]) -> Tensor:
        values = torch.zeros(self.taken.shape, dtype=torch.float64)
        for piece, part in zip(self._pieces, parts, strict=True):
            values.index_put_((piece.steps.cpu(), piece.sequences.cpu()), part, accumulate=True)
        return values

    def _spread(self, baseline: Tensor | float) -> list[Tensor]:
        """Return the baseline as each piece is laid out."""
        shape = (*self.taken.shape, self._pieces[0].x.shape[-1])
        like = self._pieces[0].x
        try:
            whole = torch.as_tensor(baseline, dtype=like.dtype, device=like.device).expand(shape)
        except (RuntimeError, TypeError, ValueError):
            size = tuple(getattr(baseline, "shape", ())) or baseline
            raise UsageError(f"baseline must be a number or broadcast to {shape}, not {size}") from None
        return [whole[piece.steps, piece.sequences] for piece in self._pieces]


def _calls(view: View) -> tuple[str, Recurrent, list[Any]]:
    """Run a module; return the first recurrent layer that it called: its name, the layer, and its inputs."""
    calls: list[tuple[str, Recurrent, Any]] = []

    def noting(name: str) -> Callable[[Recurrent, Any, Any], None]:
        return lambda layer, args, kwargs: calls.append((name, layer, args[0] if args else kwargs["input"]))

    with ExitStack() as hooks:
        for name, layer in view.module.named_modules():
            if isinstance(layer, Recurrent):
                hook = noting(name or type(layer).__name__)
                hooks.callback(layer.register_forward_pre_hook(hook, with_kwargs=True).remove)
        call(view.module, view.input)
    if not calls:
        raise UsageError(f"{type(view.module).__name__} called no recurrent layer for this input")
    name, first, _ = calls[0]
    return name, first, [x for _, layer, x in calls if layer is first]


def _pieces(inputs: Sequence[Any], batch_first: bool) -> list[Piece]:
    pieces, begin = [], 0
    for given in inputs:
        if isinstance(given, PackedSequence):
            x, sizes = given.data.detach(), given.batch_sizes
            count = len(sizes)
            steps = torch.arange(count).repeat_interleave(sizes)
            sequences = torch.cat([torch.arange(size) for size in sizes.tolist()])
            if given.sorted_indices is not None:
                sequences = given.sorted_indices.cpu()[sequences]
        else:
            x = given.detach()
            grid = x.shape[:-1] if x.dim() == 3 else (x.shape[0], 1)
            if batch_first and x.dim() == 3:
                grid = grid[::-1]
            count, batch = grid
            steps = torch.arange(count).unsqueeze(1).expand(count, batch)
            sequences = torch.arange(batch).expand(count, batch)
            if x.dim() == 2:
                steps, sequences = steps.squeeze(1), sequences.squeeze(1)
            elif batch_first:
                steps, sequences = steps.T, sequences.T
        pieces.append(Piece(x, begin + steps.to(x.device), sequences.to(x.device)))
        begin += count
    return pieces


@contextmanager
def _substituted(layer: Recurrent, xs: Sequence[Tensor]) -> Iterator[None]:
    """Let a layer read these, in its calls within the block, in place of what it is called with."""
    waiting = iter(xs)

    def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x: Any = next(waiting, None)
        if x is None:
            return None
        given = args[0] if args else kwargs["input"]
        if isinstance(given, PackedSequence):
            x = given._replace(data=x)
        return ((x, *args[1:]), kwargs) if args else (args, {**kwargs, "input": x})

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
