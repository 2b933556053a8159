"""Products with rounded operands, native or generic, on tensors."""

import ctypes
from typing import Any, Final, Literal, NamedTuple

import llvmlite.binding as llvm
import numpy as np
import torch
from torch import Tensor

from elman.cells import CELLS
from elman.engine.cpu import build, host
from elman.engine.cpu.emit.grouped import Instructions
from elman.engine.cpu.emit.plan import Packing, plan_for
from elman.engine.cpu.emit.product import WIDE
from elman.engine.cpu.rounding import rounded

Grouped = Literal["int8 groups", "bf16 groups"]
GROUPED: Final[tuple[Grouped, ...]] = ("int8 groups", "bf16 groups")


def columns() -> int:
    """Those of a panel."""
    return WIDE * host.vector(torch.float32).lanes


def in_groups(dtype: torch.dtype, int8: bool = False, bf16: bool = False) -> Packing:
    """Choose as on a processor with all instructions, in place of `host.packing`."""
    if dtype != torch.float32 or not (int8 or bf16):
        return "int8" if int8 else "float"
    return "int8 groups" if int8 else "bf16 groups"


def addresses(rows: Tensor) -> Any:
    return np.array([row.data_ptr() for row in rows], np.int64)


def packed(weight: Tensor, packing: Packing) -> tuple[Tensor, Tensor | None]:
    """(N, K) in groups, and the scales of its columns."""
    panels = weight.unflatten(0, (-1, columns())).transpose(1, 2).contiguous()
    return rounded(panels, plan_for(CELLS["elman"], host.vector(torch.float32), packing=packing))


class Case(NamedTuple):
    """Rows (m, K), what stands in their destinations (m, N), weights (N, K), and a range of panels."""

    packing: Grouped
    instructions: Instructions
    source: Tensor
    to: Tensor
    weight: Tensor
    first: int
    last: int

    def into(self, to: Tensor, rows: slice, first: int, last: int, *more: int) -> None:
        """Run the product of some rows and panels; `more` are turns, stride, and panels without weights."""
        panels, scales = packed(self.weight, self.packing)
        entry = build.product_entry(host.vector(torch.float32), self.packing, self.instructions)
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 11)(entry)
        sources, places = addresses(self.source[rows]), addresses(to[rows])
        where = 0 if scales is None else scales.data_ptr()
        numbers = panels.data_ptr(), where, first, last, self.source.shape[1], *(more or (1, 0, 0))
        function(sources.ctypes.data, places.ctypes.data, len(places), *numbers)


def assembled(text: str) -> str:
    """The machine code of a module for a processor with all instructions, as text."""
    build.compiled("define void @f() { ret void }")  # which starts the compiler
    module = llvm.parse_assembly(text)
    module.verify()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="sapphirerapids", opt=2, jit=True)
    return str(machine.emit_assembly(module))
