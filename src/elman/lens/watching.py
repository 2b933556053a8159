"""Look into a network while it trains: where a number went wrong, and how far back it remembers.

T steps, B sequences. What draws pictures is imported when it is first needed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elman.engine.record import LayerPass, recorded
from elman.nn import Recurrent
from elman.training.inspector import Inspector

SHARE = 0.1  # of the influence, down to which a horizon reaches


@dataclass(frozen=True)
class Watcher(Inspector):
    """An inspector of a task's training.

    Attributes:
        unit: of `scale` steps of the network, such as "words" or "ms".
    """

    unit: str = "steps"
    scale: float = 1.0

    def explain(self, network: nn.Module, loss: Callable[[], Tensor]) -> str:
        from elman.lens.bad_step import bad_gradient, bad_value
        from elman.lens.recording import recording

        with torch.enable_grad(), recording(network) as layers:
            value = loss()
            bad = bad_value(network, layers())
            if bad is None and value.requires_grad and bool(value.isfinite()):
                parameters = [p for p in network.parameters() if p.requires_grad]
                torch.autograd.grad(value, parameters, allow_unused=True)
                bad = bad_gradient(layers())
        return "" if bad is None else str(bad)

    def horizon(self, network: nn.Module, loss: Callable[[], Tensor]) -> float | None:
        """See `Inspector`. What a layer's states at the end of the sequences mean to the task's loss is sent
        back through the layer; losses of earlier steps don't count."""
        from elman.lens.horizon import fall, influence
        from elman.lens.recording import Layer

        with torch.enable_grad():
            with _calls(network) as calls:
                value = loss()
            if not calls:
                return None
            ends = torch.autograd.grad(value, [t for one in calls for t in one.results], allow_unused=True)
            del value
            with _calls(network) as calls:
                loss()
            steps, left = [], list(ends)
            for one in calls:
                seeds, left = left[: len(one.results)], left[len(one.results) :]
                for run in _sent_back(one, seeds):
                    curves = influence(Layer("", run))
                    each = [column[~column.isnan()].numpy() for column in curves.T if column[0] > 0]
                    length = max((len(column) for column in each), default=0)
                    if length > 1:
                        steps.append(min(median(fall(column, SHARE) for column in each), length))
        return self.scale * max(steps) if steps else None


class _Call(NamedTuple):
    """A call of a module: the passes of its layers, and its output and final states."""

    module: Recurrent
    passes: list[LayerPass]
    results: list[Tensor]


@contextmanager
def _calls(network: nn.Module) -> Iterator[list[_Call]]:
    """Note the calls of recurrent modules within the block that have gradients and are of plain tensors."""
    calls: list[_Call] = []
    with recorded() as passes:
        begins: list[int] = []

        def begin(module: Recurrent, arguments: Any) -> None:
            begins.append(len(passes))

        def end(module: Recurrent, arguments: Any, result: Any) -> None:
            mine = passes[begins.pop() :]
            states = result[1] if isinstance(result[1], tuple) else (result[1],)
            tensors = [result[0], *states]
            if all(isinstance(one, Tensor) and one.requires_grad for one in tensors):
                calls.append(_Call(module, mine, tensors))

        handles: list[Any] = []
        for module in network.modules():
            if isinstance(module, Recurrent):
                handles.append(module.register_forward_pre_hook(begin))
                handles.append(module.register_forward_hook(end))
        try:
            yield calls
        finally:
            for handle in handles:
                handle.remove()


def _sent_back(one: _Call, gradients: list[Any]) -> list[LayerPass]:
    """Send the gradients at the sequences' ends back through a module; return its passes."""
    output, seed = one.results[0], gradients[0]
    seeds = [torch.zeros_like(r) if g is None else g for r, g in zip(one.results, gradients, strict=True)]
    parameters = [p for p in one.module.parameters() if p.requires_grad]
    if not parameters or not one.passes or all(g is None for g in gradients):
        return []
    if seed is not None:
        seeds[0] = torch.where(_ends(one, output), seed, 0.0)
    torch.autograd.grad(one.results, parameters, seeds, retain_graph=True, allow_unused=True)
    # below a layer that reads both ways, ends and beginnings mix
    passes = one.passes[-2:] if one.module.bidirectional else one.passes
    return [run for run in passes if run.gradients]


def _ends(one: _Call, output: Tensor) -> Tensor:
    """Return which outputs are those of a direction's last step, shaped like the output."""
    run, module = one.passes[0], one.module
    steps, batch = run.x.shape[:2]
    active = torch.ones(steps, batch, dtype=torch.bool) if run.active is None else run.active
    active = active.to(output.device)
    after = torch.cat([active[1:], torch.zeros_like(active[:1])])
    last = (active & ~after).unsqueeze(2).expand(-1, -1, module.output_size)
    first = torch.zeros_like(last)
    first[0] = True
    ends = torch.cat([last, first], 2) if module.bidirectional else last
    ends = ends.transpose(0, 1) if module.batch_first and output.dim() == 3 else ends
    return ends.reshape(output.shape)
