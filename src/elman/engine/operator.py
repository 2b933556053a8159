"""The compiled engine as one operator of PyTorch: `torch.compile` and `torch.export` see a single node.

Outside of those `elman.engine.compiled` calls the same functions directly, which is quicker. An operator
takes and returns lists of tensors without None: a text describes the rest of a request and which arguments
are present, and an empty tensor replaces a missing part of the Trace.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

from elman.cells import CELLS, Cell, cell_with_id
from elman.engine import passes, torch_internals
from elman.engine.call import Arguments, Result, Spec, flatten
from elman.engine.cpu import graph_calls
from elman.engine.memory import separate
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


class _Request(NamedTuple):
    """What a text says."""

    spec: Spec
    keep: bool
    present: tuple[bool, ...]  # of each tensor, in the order of `flatten`
    tensors: int  # how many are present

    def arguments(self, tensors: Sequence[Any]) -> Arguments[Any]:
        """Return Arguments with these entries; UsageError for another number of them."""
        if len(tensors) != self.tensors:
            of = f"{self.tensors} tensors of {len(self.present)}"
            raise UsageError(f"elman::scan needs {of} here, not {len(tensors)}")
        remaining = iter(tensors)
        return self.spec.arguments([next(remaining) if p else None for p in self.present])


@functools.lru_cache(1024)
def _parsed(text: str) -> _Request:
    """Read `_text`; UsageError if it can't be one."""
    try:
        fields = text.split("|")
        if len(fields) == 5:
            fields.insert(2, "1")  # a graph saved before layers had heads
        name, hidden, heads, shares, flags, present = fields
        reverse, every_state, int8, bf16, masks, keep = (flag == "1" for flag in flags)
        constant = tuple(float(share) for share in shares.split())
        rest = constant, masks, int(heads)
        spec = Spec(_CELLS[name], int(hidden), reverse, every_state, int8, bf16, *rest)
        if spec.heads < 1:
            raise ValueError
        count = len(flatten(spec.arguments(itertools.repeat(None))))
    except (ValueError, KeyError) as error:
        raise UsageError(f"elman::scan is called by layers: {text!r} describes no request") from error
    if len(present) != count:
        raise UsageError(f"elman::scan needs to know of {count} tensors here, not {len(present)}")
    return _Request(spec, keep, tuple([p == "1" for p in present]), present.count("1"))


@torch.library.custom_op("elman::scan", mutates_args=())
def _scan(text: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    request = _parsed(text)
    spec, arguments, keep = request.spec, request.arguments(tensors), request.keep
    # The results of an operator own their memory and begin it: a graph counts offsets from there.
    prepared = None if keep else graph_calls.run(spec, arguments)
    if prepared is not None:
        output, state = prepared
        return [output.clone(), *state]
    result, trace = passes.forward(spec, arguments, keep)
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
    request = _parsed(text)
    spec, arguments, keep = request.spec, request.arguments(tensors), request.keep
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
    text: str, needed: str, tensors: Sequence[Tensor], trace: Sequence[Tensor], upstream: Sequence[Tensor]
) -> list[Tensor]:
    """Return the gradients of those tensors for which `needed` has a 1."""
    request = _parsed(text)
    spec, arguments, needs = request.spec, request.arguments(tensors), _needs(request, needed)
    sizes = len(spec.cell.state) + 4, len(spec.cell.state) * (1 + spec.every_state) + 1
    if (len(trace), len(upstream)) != sizes:
        raise UsageError(
            f"elman::scan_backward needs {sizes[0]} saved tensors and {sizes[1]} gradients here, "
            f"not {len(trace)} and {len(upstream)}"
        )
    kept = spec.trace([t if t.numel() else None for t in trace])
    result = passes.backward(spec, arguments, kept, spec.result(upstream), needs, spare=True)
    leaves = zip(flatten(needs), flatten(arguments), flatten(result), strict=True)
    gradients = [torch.zeros_like(t) if g is None else g for need, t, g in leaves if need]
    return separate(gradients, [*tensors, *trace, *upstream])


def _needs(request: _Request, needed: str) -> Arguments[bool]:
    """Return which gradients are asked for; UsageError if the text doesn't say so."""
    if len(needed) != request.tensors or not {*needed} <= {"0", "1"}:
        raise UsageError(f"elman::scan_backward needs a 0 or 1 for each of {request.tensors} tensors")
    return request.arguments([digit == "1" for digit in needed])


@_scan_backward.register_fake
def _(
    text: str, needed: str, tensors: Sequence[Tensor], trace: Sequence[Tensor], upstream: Sequence[Tensor]
) -> list[Tensor]:
    if len({t.device for t in (*tensors, *trace, *upstream)}) > 1:
        raise UsageError("elman::scan_backward needs all its tensors on one device")
    return [t.new_empty(t.shape) for t, digit in zip(tensors, needed, strict=True) if digit == "1"]


def _save(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.text, tensors = inputs
    ctx.results = len(flatten(_parsed(ctx.text).spec.result(output)))
    ctx.count = len(tensors)
    ctx.save_for_backward(*tensors, *output[ctx.results :])


def _differentiate(ctx: Any, upstream: Sequence[Tensor]) -> tuple[None, list[Tensor | None]]:
    saved, needed = list(ctx.saved_tensors), ctx.needs_input_grad[1]
    tensors, trace = saved[: ctx.count], saved[ctx.count :]
    digits = "".join(["1" if need else "0" for need in needed])
    operands = ctx.text, digits, tensors, trace, list(upstream[: ctx.results])
    gradients = iter(torch.ops.elman.scan_backward(*operands))
    return None, [next(gradients) if need else None for need in needed]


_scan.register_autograd(_differentiate, setup_context=_save)
