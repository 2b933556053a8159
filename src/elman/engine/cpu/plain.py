"""What a kernel is asked to read, checked tensor by tensor against the shapes that it will assume.

Requests come from layers, from the operator, which anybody may call, and from tensors saved for the backward
pass, which hooks may have replaced. T steps, B sequences, I inputs, H units, G gates, J states.
"""

from typing import Any

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine.call import Arguments, Result, Spec, Trace, Weights
from elman.engine.memory import Shape, plain
from elman.errors import UsageError


def arguments(spec: Spec, request: Arguments[Any]) -> Arguments[Tensor]:
    """Return the same request in memory that a kernel can read; UsageError if it can't be had."""
    x, hidden, cell = request.x, spec.hidden, spec.cell
    if not isinstance(x, Tensor) or x.dtype not in (torch.float32, torch.float64):
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise UsageError(f"input must be a tensor of float32 or float64 for a kernel, not {kind}")
    if x.dim() != 3 or not x.numel() or hidden < 1:
        raise UsageError(f"input must be (T, B, I) and hold numbers, not {tuple(x.shape)} for {hidden} units")
    (steps, batch, inputs), dtype = x.shape, x.dtype
    if spec.shares and (len(spec.shares) != len(cell.state) or request.zoneout):
        raise UsageError(
            f"zoneout has one share for each of {cell.name}'s {len(cell.state)} states, or masks"
        )
    state = zip(cell.state, request.state, strict=True)
    masks = zip(cell.state, request.zoneout, strict=bool(request.zoneout))
    return Arguments(
        x=plain("input", x, (steps, batch, inputs), dtype, rows=True),
        state=tuple([plain(f"state {name}", s, (batch, hidden), dtype) for name, s in state]),
        weights=weights(cell, request.weights, inputs, hidden, dtype),
        lengths=lengths(request.lengths, steps, batch),
        clear=_optional("reset", request.clear, (steps, batch), torch.bool),
        mask=_optional("recurrent mask", request.mask, (batch, hidden), dtype),
        zoneout=tuple([plain(f"zoneout mask of {n}", z, (steps, batch, hidden), dtype) for n, z in masks]),
    )


def weights(cell: Cell, w: Weights[Any], inputs: int, hidden: int, dtype: torch.dtype) -> Weights[Tensor]:
    """Return the weights of one layer in one direction in memory that a kernel can read."""
    rows, recurrent = len(cell.gates) * hidden, cell.recurrent
    both = {"weight_hh": recurrent, "bias_hh": recurrent and w.bias_ih is not None}
    both |= {"gain_hh": recurrent and w.gain_ih is not None, "weight_hr": False}
    for name, present in both.items():
        if (getattr(w, name) is not None) != present:
            raise UsageError(
                f"a kernel of {cell.name} with these weights {'needs' if present else 'has no'} {name}"
            )
    units = zip(cell.weights, w.units, strict=True)
    return Weights(
        weight_ih=plain("weight_ih", w.weight_ih, (rows, inputs), dtype),
        weight_hh=_optional("weight_hh", w.weight_hh, (rows, hidden), dtype),
        bias_ih=_optional("bias_ih", w.bias_ih, (rows,), dtype),
        bias_hh=_optional("bias_hh", w.bias_hh, (rows,), dtype),
        gain_ih=_optional("gain_ih", w.gain_ih, (rows,), dtype),
        gain_hh=_optional("gain_hh", w.gain_hh, (rows,), dtype),
        units=tuple([plain(name, unit, (hidden,), dtype) for name, unit in units]),
    )


def lengths(values: Any, steps: int, batch: int) -> Tensor | None:
    """Return a copy of the lengths, which a kernel trusts: nobody can change it after this look."""
    if values is None:
        return None
    copy = plain("lengths", values, (batch,), torch.int64).clone()
    numbers = copy.numpy()
    if numbers.min() < 0 or numbers.max() > steps:
        raise UsageError(f"lengths must lie between 0 and the {steps} steps of input")
    return copy


def upstream(spec: Spec, gradients: Result[Any], x: Tensor) -> Result[Any]:
    """Return the gradients of a result, or None for each, in memory that a kernel can read."""
    (steps, batch, _), hidden, names = x.shape, spec.hidden, spec.cell.state
    every = zip(names, gradients.every, strict=bool(gradients.every))
    return Result(
        _optional("gradient of the output", gradients.output, (steps, batch, hidden), x.dtype, rows=True),
        tuple(
            [
                _optional(f"gradient of the final {name}", g, (batch, hidden), x.dtype)
                for name, g in zip(names, gradients.state, strict=True)
            ]
        ),
        tuple([_optional(f"gradient of every {n}", g, (steps, batch, hidden), x.dtype) for n, g in every]),
    )


def trace(kept: Trace, shapes: Any, dtype: torch.dtype) -> Trace:
    """Return what the forward pass has kept, a Trace of `shapes`, in memory that a kernel can read."""
    parts = kept._asdict()
    for name, shape in shapes._asdict().items():
        if name == "states":
            pairs = zip(kept.states, shape, strict=True)
            parts[name] = tuple([plain("a saved state", s, size, dtype) for s, size in pairs])
        elif (parts[name] is not None) != (shape is not None):
            raise UsageError(
                f"the backward pass of this kernel {'needs' if shape else 'has no'} saved {name}"
            )
        else:
            parts[name] = _optional(f"saved {name}", parts[name], shape, dtype)
    return Trace(**parts)


def _optional(name: str, tensor: Any, shape: Shape, dtype: torch.dtype, rows: bool = False) -> Any:
    return None if tensor is None else plain(name, tensor, shape, dtype, rows)
