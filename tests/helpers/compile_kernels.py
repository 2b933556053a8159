"""Compile Triton kernels to machine code for GPUs that need not be here: Triton's wheel has what it takes.

python compile_kernels.py 80 90      # for these compute capabilities: every cell, 10 minutes each
python compile_kernels.py --few 90   # three kernels
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from elman.cells import CELLS, Cell
from elman.engine.gpu import build, launch, passes, sizes
from elman.engine.gpu.emit.plan import Plan

POINTERS = {torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16"}
TYPES = {"clear": "*u8", "order": "*i64", "lengths": "*i64", "meetings": "*i32"}
TYPES |= dict.fromkeys(("carry", "totals", "hat", "rate", "raw"), "*fp32")  # whatever the inputs are
GPUS = {80: sizes.Gpu(108, 163 * 1024), 90: sizes.Gpu(132, 227 * 1024)}
SIZES = ((37, torch.float32), (64, torch.bfloat16), (512, torch.float32), (768, torch.float16))
WITH_HEADS = ((512, torch.float32, 8), (768, torch.bfloat16, 6))
ROWS = 16
OPTIONS = ("resets", "zoneout", "masked", "norm", "ragged")


class Case(NamedTuple):
    """A kernel for some units and numbers."""

    cell: Cell
    backward: bool
    hidden: int
    dtype: torch.dtype
    full: bool  # with every option
    heads: int = 1

    def plan(self, gpu: sizes.Gpu) -> Plan:
        options = dict.fromkeys(OPTIONS, self.full) | {"backward": self.backward, "keep": not self.backward}
        options |= {"every": self.backward and self.full, "noted": self.backward and self.full}
        options["masked"] &= self.cell.recurrent
        options["norm"] &= self.heads == 1  # which would take the dense matrix
        return passes.kernel_for(self.cell, self.hidden, ROWS, self.dtype, gpu, self.heads, **options)


def types(plan: Plan, dtype: torch.dtype) -> dict[str, str]:
    """The types of a launch's parameters."""
    exact = [f"s_{c}" for c in plan.cell.state[1:]]
    pointers = {name: TYPES.get(name, POINTERS[dtype]) for name in plan.tensors}
    pointers |= dict.fromkeys(exact, "*fp32")
    return pointers | dict.fromkeys(plan.numbers, "i32") | dict.fromkeys(plan.constants, "constexpr")


def compiled(case: Case, capability: int) -> str:
    """Compile a kernel; return what a program of it needs. RuntimeError if the GPU has not so much."""
    gpu = GPUS[capability]
    plan = case.plan(gpu)
    layout = sizes.layout_for(plan, case.hidden, ROWS, case.dtype, gpu)
    constants = layout.constants | {"H": case.hidden, "REVERSE": False, "ALL": 1, "PRECISION": "tf32x3"}
    source = ASTSource(
        fn=build.function(plan),
        signature=types(plan, case.dtype),
        constexprs={name: constants[name] for name in plan.constants},
        attrs={(k,): [["tt.divisibility", 16]] for k, _ in enumerate(plan.tensors)},
    )
    target = GPUTarget("cuda", capability, 32)
    kernel = triton.compile(source, target=target, options=launch.options(layout))
    registers, stack = resources(kernel.asm["cubin"])
    shared = kernel.metadata.shared
    if shared > gpu.shared:
        raise RuntimeError(f"{case} needs {shared} bytes of shared memory")
    form = "streamed" if plan.streamed else "sliced" if plan.sliced else "resident"
    form += f" by {layout.grid[1]}"
    return f"{form}, {shared} bytes shared, {registers} registers, {stack} bytes of stack"


def resources(code: bytes) -> tuple[int, int]:
    """A thread's registers and the bytes of its stack."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        text = subprocess.run(
            [tool, "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    assert found is not None, text
    return int(found[1]), int(found[2])


def cases(few: bool) -> Iterator[Case]:
    if few:
        yield Case(CELLS["gru"], True, 20, torch.float32, full=True)
        yield Case(CELLS["lstm"], False, 768, torch.float16, full=False)
        yield Case(CELLS["elman"], True, 512, torch.float32, full=True, heads=8)
        return
    for cell in CELLS.values():
        for hidden, dtype in SIZES:
            for backward in (False, True):
                for full in (False, True):
                    yield Case(cell, backward, hidden, dtype, full)
        for hidden, dtype, heads in WITH_HEADS if cell.recurrent else ():
            for backward in (False, True):
                yield Case(cell, backward, hidden, dtype, full=backward, heads=heads)


def main(capabilities: list[int], few: bool) -> None:
    for capability in capabilities:
        for case in cases(few):
            began = time.time()
            found = compiled(case, capability)
            units = f"{case.hidden} units in {case.heads} heads" if case.heads > 1 else f"{case.hidden} units"
            way = f"{'backward' if case.backward else 'forward'}{' with all options' if case.full else ''}"
            print(
                f"{capability} {case.cell.name} {way}, {units}, {case.dtype}: {found}; "
                f"{time.time() - began:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main([int(a) for a in sys.argv[1:] if a != "--few"], "--few" in sys.argv)
