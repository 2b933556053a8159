"""A plan's kernel as the text of a Python module: what Triton compiles, and `elman show --kernel` prints."""

from elman.engine.gpu.emit.backward import Backward
from elman.engine.gpu.emit.forward import Forward
from elman.engine.gpu.emit.functions import called
from elman.engine.gpu.emit.plan import Plan

IMPORTS = "import triton\nimport triton.language as tl\n"


def kernel(plan: Plan) -> str:
    """Return a module's text, whose function `forward` or `backward` is the kernel."""
    text = (Backward(plan) if plan.backward else Forward(plan)).text()
    return f"{IMPORTS}\n{called(text)}\n\n{text}"
