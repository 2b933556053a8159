"""Whole-sequence kernels: the loops around a Program, as LLVM IR."""

from elman.engine.cpu.emit.backward import Backward
from elman.engine.cpu.emit.forward import Forward
from elman.engine.cpu.emit.ir import declarations
from elman.engine.cpu.emit.loops import ACTIVE
from elman.engine.cpu.emit.plan import Plan


def kernel(plan: Plan) -> str:
    """Return a plan's module, whose function `run` takes the address of an argument block."""
    text = (Backward(plan) if plan.backward else Forward(plan)).text()
    return declarations(plan.vector, text) + ACTIVE + text
