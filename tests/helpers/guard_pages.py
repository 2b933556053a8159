"""Run kernels on tensors that end, or begin, at a page without access: one number beside them is a SIGSEGV.

python guard_pages.py end lstm gru     # or begin; all cells without names
python guard_pages.py end lstm 8       # then read the number 8 bytes behind the first of three

Prints what went well, and at the end which modules of the engine had nothing to do.
"""

import ctypes
import functools
import mmap
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

import elman
from elman.cells import CELLS, Cell
from elman.engine import trained as trainings
from elman.engine.cpu import casts, host, launch, lookup, prepared, rounding, routine, trained, weights
from elman.nn import call_cache
from grouped_products import in_groups

# Those that tell kernels addresses.
MODULES = casts, launch, lookup, prepared, rounding, trained, trainings, weights
SIZES = (7, torch.float32), (64, torch.float32), (19, torch.float64), (64, torch.float16)
PAGE, PACKING = mmap.PAGESIZE, host.packing
LIBC = ctypes.CDLL(None, use_errno=True)


def guarded(tensor: Tensor, side: str) -> Tensor:
    """Return a contiguous copy with a forbidden page right behind it, or right before it."""
    size = tensor.numel() * tensor.element_size()
    pages = -(-size // PAGE)
    memory = mmap.mmap(-1, (pages + 2) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (0, pages + 1):
        assert LIBC.mprotect(ctypes.c_void_p(start + page * PAGE), PAGE, 0) == 0
    offset = PAGE if side == "begin" else (pages + 1) * PAGE - size
    if not size:
        return tensor.clone()
    flat = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=offset)
    return flat.view(tensor.shape).copy_(tensor)


class Guard:
    """Move every contiguous tensor there before a kernel learns its address."""

    def __init__(self, side: str) -> None:
        self.side = side
        # held, so that no address comes again, and those that the engine remembers stay valid
        self.moved: dict[int, Tensor] = {}
        self.idle = {module.__name__ for module in MODULES}  # have told no address yet

    def own(self, module: str, tensor: Tensor) -> int:
        self.idle.discard(module)
        if tensor.is_contiguous() and tensor.data_ptr() not in self.moved:
            tensor.data = guarded(tensor.detach(), self.side)
            self.moved[tensor.data_ptr()] = tensor.detach()
        return tensor.data_ptr()

    def install(self) -> None:
        for module in MODULES:
            module.own = functools.partial(self.own, module.__name__)  # type: ignore[attr-defined]

        def get(count: int) -> Tensor:
            return torch.empty(count, dtype=torch.uint8)

        routine.WORKSPACE.get = get  # type: ignore[method-assign]


def calls(
    cell: Cell, hidden: int, dtype: torch.dtype
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Options of a layer, and of a call."""
    reset = torch.rand(5, 3) > 0.6
    ragged = {"lengths": [5, 0, 2], "reset": reset, "return_states": True}
    yield "plain", {}, {}
    yield "ragged", {"bidirectional": True}, ragged
    yield (
        "noise",
        {"zoneout": 0.3, "recurrent_dropout": 0.3 if cell.recurrent else 0.0},
        {"lengths": [5, 0, 2]},
    )
    yield "norm", {"layer_norm": True}, ragged
    yield "recompute", {"recompute": True, "num_layers": 2}, ragged
    yield "int8", {"int8": True, "bias": False}, {}
    if cell.recurrent and hidden % 2 == 0:
        yield "heads", {"heads": 2}, ragged
    if dtype == torch.float32:
        yield "autocast", {}, {}
        yield "autocast", {"layer_norm": True}, ragged


def run(cell: Cell, hidden: int, dtype: torch.dtype, side: str) -> None:
    """Take sequences forward and backward, with and without gradients, and steps."""
    for name, options, call in calls(cell, hidden, dtype):
        with torch.autocast("cpu", torch.bfloat16, enabled=name == "autocast"):
            # small products of whole vectors are the engine's own
            for inputs in (5, 16) if name == "plain" else (5,):
                layer = elman.Recurrent(cell, inputs, hidden, **options, dtype=dtype, engine="compiled")
                _run(layer, side, dtype, call)


def _run(layer: elman.Recurrent, side: str, dtype: torch.dtype, call: dict[str, Any]) -> None:
    cell, hidden, inputs = layer.cell, layer.hidden_size, layer.input_size
    for parameter in layer.parameters():
        parameter.data = guarded(parameter.detach(), side)
    x = guarded(torch.randn(5, 3, inputs, dtype=dtype), side).requires_grad_()
    rows = layer.num_layers * layer.directions
    state = [guarded(torch.randn(rows, 3, hidden, dtype=dtype), side) for _ in cell.state]
    hx = tuple(s.requires_grad_() for s in state) if len(state) > 1 else state[0].requires_grad_()
    output, *_ = layer(x, hx, **call)
    output.backward(guarded(torch.randn_like(output), side))
    if not call:  # from a state of zeros
        output, _ = layer(x)
        output.backward(guarded(torch.randn_like(output), side))
    layer.eval()
    with torch.no_grad():
        layer(x, hx, **call), layer(x.detach(), hx)
        if layer.directions == 1:
            _, following = layer.step(x.detach()[0], hx)
            layer.step(x.detach()[1], following)
        table = call_cache.lookup(layer.stack(), x.detach()[0])
        if table is not None:
            single = lookup.Lookup(layer.stack(), table)
            single.look(2), single.look(1)


def main(side: str, words: Iterable[str]) -> None:
    """Run these cells and read at these offsets, one after the other; all cells without words."""
    guard = Guard(side)
    guard.install()
    torch.manual_seed(0)
    for word in words or CELLS:
        guard.moved.clear()  # the next cell has kernels of its own
        if word in CELLS:
            for packing in (PACKING, in_groups):
                host.packing = packing
                for hidden, dtype in SIZES:
                    run(CELLS[word], hidden, dtype, side)
        else:
            read(side, int(word))
        print(word, flush=True)
    print(*sorted(guard.idle))


def read(side: str, offset: int) -> None:
    """Read one number of a tensor, or beside it."""
    tensor = guarded(torch.ones(3), side)
    ctypes.c_float.from_address(tensor.data_ptr() + offset).value  # noqa: B018


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
