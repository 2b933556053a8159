"""The compiled engine as one operator of PyTorch: `torch.compile` and `torch.export` see a single node.

Outside of those `elman.engine.compiled` calls the same functions directly, which is quicker. An operator
takes and returns plain lists of tensors; which of them are there stands in a text beside them.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine.cpu import passes
from elman.engine.cpu import weights as pack
from elman.engine.spec import Spec, Tensors, read

# Cells by the name under which a compiled graph refers to them.
_CELLS: Final[dict[str, Cell]] = {}


def scan(spec: Spec, tensors: Sequence[Tensor | None], keep: bool) -> tuple[Tensor, ...]:
    """The same as `elman.engine.cpu.passes.forward`, as a node of a graph."""
    text = _text(spec, tensors, keep)
    found = torch.ops.elman.scan(text, [t for t in tensors if t is not None])
    return tuple(found[: _results(spec)])


def _results(spec: Spec) -> int:
    return 1 + spec.counts[0] * (2 if spec.every else 1)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _known(cell: Cell) -> str:
    """A name for a cell: its own, numbered where another one has that."""
    name, number = cell.name, 1
    while _CELLS.setdefault(name, cell) is not cell:
        number += 1
        name = f"{cell.name} {number}"
    return name


def _text(spec: Spec, tensors: Sequence[Tensor | None], keep: bool) -> str:
    """Everything but the tensors. Built of plain pieces, which `torch.compile` can follow."""
    present = "".join(["0" if t is None else "1" for t in tensors])
    shares = "none" if spec.zoneout is None else " ".join([str(z) for z in spec.zoneout])
    states, units = spec.counts
    flags = f"{int(spec.reverse)}{int(spec.every)}{int(spec.int8)}{int(keep)}"
    return f"{_known(spec.cell)}|{spec.hidden}|{shares}|{states}|{units}|{flags}|{present}"


def _understood(text: str, tensors: Sequence[Tensor]) -> tuple[Spec, Tensors, bool]:
    name, hidden, shares, states, units, flags, present = text.split("|")
    zoneout = None if shares == "none" else tuple(float(z) for z in shares.split())
    reverse, every, int8, keep = (flag == "1" for flag in flags)
    spec = Spec(_CELLS[name], int(hidden), reverse, zoneout, (int(states), int(units)), every, int8)
    left = iter(tensors)
    return spec, read([next(left) if there == "1" else None for there in present]), keep


@torch.library.custom_op("elman::scan", mutates_args=())
def _scan(text: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    spec, given, keep = _understood(text, tensors)
    results, trace = passes.forward(spec, given, keep)
    # an operator's results own their memory
    owned = [results[0].clone(memory_format=torch.contiguous_format)]
    owned += [r.contiguous() for r in results[1 : 1 + spec.counts[0]]]
    owned += [r.clone(memory_format=torch.contiguous_format) for r in results[1 + spec.counts[0] :]]
    if not keep:
        return owned
    kept, units, zoneout, mask, *states = trace
    mask = None if mask is None else mask.clone()  # it may be the very input
    return owned + [t for t in (kept, units, zoneout, mask, *states) if t is not None]


@_scan.register_fake
def _(text: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    spec, given, keep = _understood(text, tensors)
    x, hidden = given.x, spec.hidden
    steps, batch = x.shape[:2]
    results = [x.new_empty(steps, batch, hidden)]
    results += [x.new_empty(batch, hidden) for _ in range(spec.counts[0])]
    results += [x.new_empty(steps, batch, hidden) for _ in range(spec.counts[0] * spec.every)]
    if not keep:
        return results
    plan = passes.plan(spec, given, keep=True)
    hp = pack.padded(hidden, plan)
    results.append(x.new_empty(steps, batch, plan.places, hp))
    if spec.counts[1]:
        results.append(x.new_empty(spec.counts[1], hp))
    if plan.zoneout:
        constant = spec.zoneout is not None
        results.append(x.new_empty(spec.counts[0], 1 if constant else steps, 1 if constant else batch, hp))
    if plan.masked:
        results.append(x.new_empty(batch, hp))
    return results + [x.new_empty(steps + 1, batch, hp) for _ in range(spec.counts[0])]


@torch.library.custom_op("elman::scan_backward", mutates_args=())
def _scan_backward(
    text: str, tensors: Sequence[Tensor], trace: Sequence[Tensor], gradients: Sequence[Tensor]
) -> list[Tensor]:
    spec, given, _ = _understood(text, tensors)
    left = iter(trace)
    kept = next(left).clone()  # the kernel writes here, and an operator may not change its inputs
    units = next(left) if spec.counts[1] else None
    zoneout = next(left) if passes.plan(spec, given, keep=True).zoneout else None
    mask = None if given.mask is None else next(left)
    needed = [t is not None and t.is_floating_point() for t in given.flat()]
    found = passes.backward(spec, given, (kept, units, zoneout, mask, *left), gradients, needed)
    return [
        torch.zeros_like(t) if g is None else g.contiguous().clone()
        for t, g in zip(given.flat(), found, strict=True)
        if t is not None
    ]


@_scan_backward.register_fake
def _(
    text: str, tensors: Sequence[Tensor], trace: Sequence[Tensor], gradients: Sequence[Tensor]
) -> list[Tensor]:
    return [t.new_empty(t.shape) for t in tensors]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.text, tensors = inputs
    spec, _, _ = _understood(ctx.text, tensors)
    ctx.results, ctx.count = _results(spec), len(tensors)
    ctx.save_for_backward(*tensors, *output[ctx.results :])


def _differentiate(ctx: Any, gradients: Sequence[Tensor]) -> tuple[None, list[Tensor | None]]:
    saved = list(ctx.saved_tensors)
    tensors, trace = saved[: ctx.count], saved[ctx.count :]
    found = torch.ops.elman.scan_backward(ctx.text, tensors, trace, list(gradients[: ctx.results]))
    return None, [g if t.is_floating_point() else None for t, g in zip(tensors, found, strict=True)]


_scan.register_autograd(_differentiate, setup_context=_save)
