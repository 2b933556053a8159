"""Calls of the operator without gradients, prepared once for each shape: a compiled graph then costs no more
than the layer's own prepared calls.

T steps, B sequences, I inputs, H units.
"""

from typing import Any, Final, NamedTuple

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from elman.engine.call import Arguments, Spec, Stack, State, flatten
from elman.engine.cpu import host
from elman.engine.cpu.prepared import Prepared
from elman.engine.cpu.weights import Snapshot, is_countable
from elman.engine.forked import Lock
from elman.engine.memory import find_rows
from elman.engine.recent import Recent

_LOCK: Final = Lock()


class _Entry(NamedTuple):
    weights: Snapshot
    calls: Recent[Prepared | None]  # by the rest of the request; None where units don't fill panels


# By the first matrix of a layer.
_ENTRIES: Final[Any] = WeakIdKeyDictionary()


def run(spec: Spec, arguments: Arguments[Tensor]) -> tuple[Tensor, State] | None:
    """Return the output (T, B, H) and the final state of a call in which all rows take all steps.

    None for any other call, where units don't fill panels, and where a kernel can't read a tensor as it is.
    """
    x, lengths, clear, mask = arguments.x, arguments.lengths, arguments.clear, arguments.mask
    if not all(option is None for option in (lengths, clear, mask)) or spec.every_state:
        return None
    if spec.shares or spec.zoneout_masks or x.dim() != 3 or not x.numel():
        return None
    first = arguments.weights.weight_ih
    if first.dim() != 2 or not find_rows(x, x.shape, first.dtype):
        return None
    call = _prepared(spec, arguments)
    return None if call is None else call.along(x, arguments.state)


def _prepared(spec: Spec, arguments: Arguments[Tensor]) -> Prepared | None:
    x, weights = arguments.x, arguments.weights
    tensors = [w for w in flatten(weights) if w is not None]
    key = (spec, x.shape, x.dtype, host.threads(), len(tensors))
    entry = _ENTRIES.get(weights.weight_ih)
    if entry is None or not entry.weights.holds(tensors, whole=True):
        if not is_countable(tensors, x.dtype):
            return None
        with _LOCK:
            entry = _ENTRIES[weights.weight_ih] = _Entry(Snapshot(host.vector(x.dtype), tensors), Recent())
    if key not in entry.calls:
        stack = Stack(spec.cell, (weights,), 1, False, 0.0, 0.0, 0.0, 0.0, int8=spec.int8, bf16=spec.bf16)
        steps, batch = x.shape[:2]
        call = Prepared(stack._replace(heads=spec.heads), steps, batch, x.dtype, spec.reverse)
        fits = call.fills_panels and call.width == spec.hidden
        entry.calls.add(key, call if fits else None)
    prepared: Prepared | None = entry.calls.get(key)
    return prepared
