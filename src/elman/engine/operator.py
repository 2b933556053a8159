"""The compiled engine as one operator of PyTorch: `torch.compile` and `torch.export` see a single node.

Outside of those `elman.engine.compiled` calls the same functions directly, which is quicker. An operator
takes and returns lists of tensors without None: a text describes the rest of a request and which arguments
are present, and an empty tensor replaces a missing part of the Trace.
"""

import itertools
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.cells import CELLS, Cell, cell_with_id
from elman.engine import passes, torch_internals
from elman.engine.call import Arguments, Result, Spec, flatten
from elman.errors import UsageError

# Cells by the name under which a compiled graph refers to them.
# The built-in ones from the start: a graph may come from another process.
_CELLS: Final[dict[str, Cell]] = {cell.name: cell for cell in CELLS.values()}


def scan(spec: Spec, arguments: Arguments[Tensor], keep: bool) -> Result[Tensor]:
    """Do the same as `elman.engine.passes.forward`, as a node of a graph."""
    tensors = flatten(arguments)
    results = torch.ops.elman.scan(_text(spec, tensors, keep), [t for t in tensors if t is not None])
    return spec.result(results)


@torch_internals.constant
def _name(identity: int) -> str:
    """Return a unique name for the cell with this id: its own, numbered where another cell has that."""
    cell, number = cell_with_id(identity), 1
    name = cell.name
    while _CELLS.setdefault(name, cell) is not cell:
        number += 1
        name = f"{cell.name} {number}"
    return name


def _text(spec: Spec, tensors: Sequence[Tensor | None], keep: bool) -> str:
    """Write down all but the tensors, in plain steps that `torch.compile` can follow."""
    present = "".join(["0" if t is None else "1" for t in tensors])
    shares = " ".join([str(share) for share in spec.shares])
    options = (spec.reverse, spec.every_state, spec.int8, spec.bf16, spec.zoneout_masks, keep)
    flags = "".join(["1" if option else "0" for option in options])
    return f"{_name(id(spec.cell))}|{spec.hidden}|{spec.heads}|{shares}|{flags}|{present}"


def _parsed(text: str, tensors: Sequence[Tensor]) -> tuple[Spec, Arguments[Any], bool]:
    """Read `_text`; UsageError if it can't be one, or if it is that of other tensors."""
    try:
        name, hidden, heads, shares, flags, present = text.split("|")
        reverse, every_state, int8, bf16, masks, keep = (flag == "1" for flag in flags)
        constant = tuple(float(share) for share in shares.split())
        rest = constant, masks, int(heads)
        spec = Spec(_CELLS[name], int(hidden), reverse, every_state, int8, bf16, *rest)
        count = len(flatten(spec.arguments(itertools.repeat(None))))
    except (ValueError, KeyError) as error:
        raise UsageError(f"elman::scan is called by layers: {text!r} describes no request") from error
    if len(present) != count or present.count("1") != len(tensors):
        raise UsageError(
            f"elman::scan needs {present.count('1')} tensors of {count} here, not {len(tensors)}"
        )
    remaining = iter(tensors)
    return spec, spec.arguments([next(remaining) if p == "1" else None for p in present]), keep


@torch.library.custom_op("elman::scan", mutates_args=())
def _scan(text: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    spec, arguments, keep = _parsed(text, tensors)
    result, trace = passes.forward(spec, arguments, keep)
    # the results of an operator own their memory
    owned = Result(
        output=result.output.clone(memory_format=torch.contiguous_format),
        state=tuple(s.contiguous() for s in result.state),
        every=tuple(s.clone(memory_format=torch.contiguous_format) for s in result.every),
    )
    if not keep:
        return flatten(owned)
    mask = None if trace.mask is None else trace.mask.clone()  # it may be the very argument
    return flatten(owned) + _filled(flatten(trace._replace(mask=mask)), arguments.x)


def _filled(tensors: Sequence[Tensor | None], x: Tensor) -> list[Tensor]:
    return [x.new_empty(0) if t is None else t for t in tensors]


@_scan.register_fake
def _(text: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    spec, arguments, keep = _parsed(text, tensors)
    if len({t.device for t in tensors}) > 1:
        raise UsageError("elman::scan needs all its tensors on one device")
    x, states = arguments.x, len(spec.cell.state)
    steps, batch = x.shape[:2]
    shapes = [(steps, batch), *[(batch,)] * states, *[(steps, batch)] * (states if spec.every_state else 0)]
    result = [x.new_empty(*shape, spec.hidden) for shape in shapes]
    return result + _filled(flatten(passes.empty_trace(spec, arguments)), x) if keep else result


@torch.library.custom_op("elman::scan_backward", mutates_args=())
@torch_internals.without_autocast
def _scan_backward(
    text: str, tensors: Sequence[Tensor], trace: Sequence[Tensor], upstream: Sequence[Tensor]
) -> list[Tensor]:
    spec, arguments, _ = _parsed(text, tensors)
    sizes = len(spec.cell.state) + 4, len(spec.cell.state) * (1 + spec.every_state) + 1
    if (len(trace), len(upstream)) != sizes:
        raise UsageError(
            f"elman::scan_backward needs {sizes[0]} saved tensors and {sizes[1]} gradients here, "
            f"not {len(trace)} and {len(upstream)}"
        )
    kept = spec.trace([t if t.numel() else None for t in trace])
    leaves = flatten(arguments)
    needed = spec.arguments([t is not None and t.is_floating_point() for t in leaves])
    result = passes.backward(spec, arguments, kept, spec.result(upstream), needed, spare=True)
    gradients = flatten(result)  # which no operator may share with its inputs
    return [
        torch.zeros_like(t) if g is None else g.contiguous().clone()
        for t, g in zip(leaves, gradients, strict=True)
        if t is not None
    ]


@_scan_backward.register_fake
def _(
    text: str, tensors: Sequence[Tensor], trace: Sequence[Tensor], upstream: Sequence[Tensor]
) -> list[Tensor]:
    if len({t.device for t in (*tensors, *trace, *upstream)}) > 1:
        raise UsageError("elman::scan_backward needs all its tensors on one device")
    return [t.new_empty(t.shape) for t in tensors]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.text, tensors = inputs
    spec, _, _ = _parsed(ctx.text, tensors)
    ctx.results = len(flatten(spec.result(output)))
    ctx.count = len(tensors)
    ctx.save_for_backward(*tensors, *output[ctx.results :])


def _differentiate(ctx: Any, upstream: Sequence[Tensor]) -> tuple[None, list[Tensor | None]]:
    saved = list(ctx.saved_tensors)
    tensors, trace = saved[: ctx.count], saved[ctx.count :]
    gradients = torch.ops.elman.scan_backward(ctx.text, tensors, trace, list(upstream[: ctx.results]))
    return None, [g if t.is_floating_point() else None for t, g in zip(tensors, gradients, strict=True)]


_scan.register_autograd(_differentiate, setup_context=_save)
