"""Is a state carried across a boundary where it should be reset?

T steps, B sequences.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import Tensor

from elman.errors import UsageError
from elman.lens.finding import Finding
from elman.lens.recording import call, evaluating, passes_of
from elman.lens.view import View
from elman.nn import Recurrent

BETTER: Final = 0.01  # share of the loss that a reset must save, to be more than a chance of few sequences


def check_boundaries(view: View, begins: Any, loss: Callable[[Any], Tensor] | None) -> Iterator[Finding]:
    """Yield a finding where the loss is smaller with a state cleared before the steps that `begins` marks.

    Args:
        begins: (T, B) bool: the first steps of sequences that have nothing to do with what came before.

    Raises:
        UsageError: `begins` has another shape, or there is no loss to compare.
    """
    if loss is None and view.score is None:
        raise UsageError("begins needs a loss, to compare the states with and without a reset")
    marks = torch.as_tensor(begins).bool()
    layers = passes_of(view.module, view.input)
    shapes = {tuple(layer.run.x.shape[:2]) for layer in layers}
    if tuple(marks.shape) not in shapes:
        steps, batch = max(shapes)
        raise UsageError(f"begins must be ({steps}, {batch}), steps and sequences, not {tuple(marks.shape)}")
    of = loss or view.loss
    with torch.no_grad(), evaluating(view.module, learning=False):
        carried = float(of(call(view.module, view.input)))
        with resetting(view.module, marks):
            cleared = float(of(call(view.module, view.input)))
    if carried - cleared <= BETTER * abs(carried):
        return
    count = int(marks.sum())
    yield Finding(
        "carried_state",
        f"The state is carried where it should be reset: cleared at the {count} beginnings, the loss is "
        f"{cleared:.4g} in place of {carried:.4g}",
        {"carried": carried, "cleared": cleared, "beginnings": count},
        "clear the state there, also in training: layer(x, state, reset=begins)",
    )


@contextmanager
def resetting(module: Any, begins: Tensor) -> Iterator[None]:
    """Let recurrent layers, within the block, clear their state before the steps that `begins` (T, B) marks.
    Inputs of other shapes, and packed ones, are read as they are."""

    def with_reset(layer: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        x = arguments[0] if arguments else named.get("input")
        marks = begins.T if layer.batch_first else begins
        if not isinstance(x, Tensor) or x.shape[:-1] != marks.shape or len(arguments) > 3:
            return None
        before = named.get("reset")
        return arguments, named | {"reset": marks if before is None else marks | before}

    handles = [
        one.register_forward_pre_hook(with_reset, with_kwargs=True)
        for one in module.modules()
        if isinstance(one, Recurrent)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
