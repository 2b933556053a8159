"""What a kernel is asked to read, checked tensor by tensor against the shapes that it will assume.

Requests come from layers, from the operator, which anybody may call, and from tensors saved for the backward
pass, which hooks may have replaced. T steps, B sequences, I inputs, H units, G gates, J states.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine.call import Arguments, Form, Result, Spec, Trace, Weights, flatten, unflatten
from elman.engine.memory import CPU, Shape, find, plain
from elman.errors import UsageError


class Slot(NamedTuple):
    """What a kernel takes one tensor for."""

    name: str
    shape: Shape
    dtype: torch.dtype
    needed: bool | None = True  # None: it may be missing; False: it must be
    rows: bool = False  # only the last axis need be contiguous


NOTHING: Final = Form((), torch.float32)


# Numbers that the kernels of a kind of device read.
TYPES: Final = {
    "cpu": (torch.float32, torch.float64),
    "cuda": (torch.float32, torch.float16, torch.bfloat16),
}


def named(types: Sequence[torch.dtype]) -> str:
    """Return names of types as a sentence has them."""
    names = [str(one).removeprefix("torch.") for one in types]
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def kernel_device(x: Tensor) -> torch.device:
    """Return the device whose kernels read x, on which every other tensor must then be."""
    return x.device if x.is_cuda else CPU


def arguments(spec: Spec, request: Arguments[Any]) -> Arguments[Tensor]:
    """Return the same request in memory that a kernel can read; UsageError if it can't be had."""
    x = request.x
    types = TYPES["cuda" if isinstance(x, Tensor) and x.is_cuda else "cpu"]
    if not isinstance(x, Tensor) or x.dtype not in types:
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise UsageError(f"input must be a tensor of {named(types)} for a kernel, not {kind}")
    if x.dim() != 3 or not x.numel() or spec.hidden < 1:
        raise UsageError(
            f"input must be (T, B, I) and hold numbers, not {tuple(x.shape)} for {spec.hidden} units"
        )
    leaves = flatten(request)
    checked = _checked(leaves, _argument_slots(spec, *x.shape, x.dtype), kernel_device(x))
    _check_pairs(spec.cell, request.weights)
    result = request if checked is leaves else spec.arguments(checked)
    if result.lengths is None:
        return result
    return result._replace(lengths=lengths(result.lengths, x.shape[0], x.shape[1]))


@functools.lru_cache(1024)
def _argument_slots(spec: Spec, steps: int, batch: int, inputs: int, dtype: torch.dtype) -> Sequence[Slot]:
    """Return the slots of Arguments in the order of `flatten`."""
    hidden, cell = spec.hidden, spec.cell
    if spec.shares and (len(spec.shares) != len(cell.state) or spec.zoneout_masks):
        raise UsageError(
            f"zoneout has one share for each of {cell.name}'s {len(cell.state)} states, or masks"
        )
    masks = cell.state if spec.zoneout_masks else ()
    return (
        Slot("input", (steps, batch, inputs), dtype, rows=True),
        *[Slot(f"state {name}", (batch, hidden), dtype) for name in cell.state],
        *_weight_slots(cell, inputs, hidden, dtype, spec.heads),
        Slot("lengths", (batch,), torch.int64, None),
        Slot("reset", (steps, batch), torch.bool, None),
        Slot("recurrent mask", (batch, hidden), dtype, None),
        *[Slot(f"zoneout mask of {name}", (steps, batch, hidden), dtype) for name in masks],
    )


@functools.lru_cache(1024)
def _weight_slots(cell: Cell, inputs: int, hidden: int, dtype: torch.dtype, heads: int) -> Sequence[Slot]:
    """Return the slots of Weights in the order of `flatten`."""
    if heads < 1 or hidden % heads:
        raise UsageError(f"{heads} heads can't share {hidden} units equally")
    rows, recurrent = len(cell.gates) * hidden, cell.recurrent
    second = None if recurrent else False
    return (
        Slot("weight_ih", (rows, inputs), dtype),
        Slot("weight_hh", (rows, hidden // heads), dtype, recurrent),
        Slot("bias_ih", (rows,), dtype, None),
        Slot("bias_hh", (rows,), dtype, second),
        Slot("weight_hr", (), dtype, False),
        Slot("gain_ih", (rows,), dtype, None),
        Slot("gain_hh", (rows,), dtype, second),
        *[Slot(name, (hidden,), dtype) for name in cell.weights],
    )


def weights(
    cell: Cell, w: Weights[Any], inputs: int, hidden: int, dtype: torch.dtype, heads: int
) -> Weights[Tensor]:
    """Return the weights of one layer in one direction in memory that a kernel can read."""
    leaves = flatten(w)
    checked = _checked(leaves, _weight_slots(cell, inputs, hidden, dtype, heads), CPU)
    _check_pairs(cell, w)
    return w if checked is leaves else unflatten(w, checked)


def _check_pairs(cell: Cell, w: Weights[Any]) -> None:
    if cell.recurrent and (
        (w.bias_ih is None) != (w.bias_hh is None) or (w.gain_ih is None) != (w.gain_hh is None)
    ):
        raise UsageError(f"a kernel of {cell.name} needs both biases or none, and both gains or none")


def slots(spec: Spec, request: Arguments[Any]) -> Sequence[Slot]:
    """Return the slots of other Arguments with the same tensors, in the order of `flatten`."""
    each = _argument_slots(spec, *request.x.shape, request.x.dtype)
    present = zip(flatten(request), each, strict=True)
    return [slot._replace(needed=tensor is not None) for tensor, slot in present]


def _checked(leaves: list[Any], slots: Iterable[Slot], device: torch.device) -> list[Any]:
    """Return tensors that fit their slots: the list itself, or one with the copies that this needs."""
    checked = leaves
    for k, (tensor, slot) in enumerate(zip(leaves, slots, strict=True)):
        name, shape, dtype, needed, rows = slot
        if tensor is None and not needed:
            continue
        if needed is False:
            raise UsageError(f"this kernel has no {name}")
        if device.type != "cpu" or not find(tensor, shape, dtype):
            if checked is leaves:
                checked = [*leaves]
            checked[k] = plain(name, tensor, shape, dtype, rows, device)
    return checked


def lengths(values: Tensor, steps: int, batch: int) -> Tensor:
    """Return a copy of the lengths, which a kernel trusts: nobody can change it after this look.

    Those on a GPU are cut to what is right, since a look at them would wait for the GPU.
    """
    if values.is_cuda:
        return plain("lengths", values, (batch,), torch.int64, device=values.device).clamp(0, steps)
    numbers = plain("lengths", values, (batch,), torch.int64).numpy().copy()
    if numbers.min() < 0 or numbers.max() > steps:
        raise UsageError(f"lengths must lie between 0 and the {steps} steps of input")
    return torch.from_numpy(numbers)


def upstream(spec: Spec, gradients: Result[Any], x: Tensor) -> Result[Any]:
    """Return the gradients of a result, or None for each, in memory that a kernel can read."""
    leaves = flatten(gradients)
    checked = _checked(leaves, _gradient_slots(spec, *x.shape[:2], x.dtype), kernel_device(x))
    return gradients if checked is leaves else spec.result(checked)


@functools.lru_cache(1024)
def _gradient_slots(spec: Spec, steps: int, batch: int, dtype: torch.dtype) -> Sequence[Slot]:
    each, names = (steps, batch, spec.hidden), spec.cell.state
    return (
        Slot("gradient of the output", each, dtype, None, rows=True),
        *[Slot(f"gradient of the final {name}", each[1:], dtype, None) for name in names],
        *[Slot(f"gradient of every {name}", each, dtype, None) for name in names if spec.every_state],
    )


def trace(spec: Spec, kept: Trace, forms: Any, device: torch.device) -> Trace:
    """Return what the forward pass has kept, a Trace of these Forms, in memory that a kernel can read."""
    leaves = flatten(kept)
    checked = _checked(leaves, trace_slots(forms), device)
    return kept if checked is leaves else spec.trace(checked)


@functools.lru_cache(1024)
def trace_slots(forms: Any) -> Sequence[Slot]:
    """Return the slots of a Trace of these Forms, in the order of `flatten`."""
    slots = [Slot("a saved state", *form) for form in forms.states]
    return slots + [
        Slot(f"saved {name}", (form or NOTHING).shape, (form or NOTHING).dtype, form is not None)
        for name, form in zip(Trace._fields[1:], forms[1:], strict=True)
    ]
