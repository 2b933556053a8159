"""The primitives of a cell's equations in Triton: an expression each, and the functions that some call.

They run on float32 only, and take nothing from CUDA's device library, which Triton's interpreter lacks.
"""

import re
from typing import Final

NAN: Final = "propagate_nan=tl.PropagateNan.ALL"

# The rows have the names of `elman.engine.ops`.
EMIT: Final[dict[str, str]] = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "gt": "{0} > {1}",
    "lt": "{0} < {1}",
    "sigmoid": "sigmoid({0})",
    "tanh": "tanh({0})",
    "exp": "tl.exp({0})",
    "log": "tl.log({0})",
    "sqrt": "tl.sqrt({0})",
    "relu": f"tl.maximum({{0}}, 0.0, {NAN})",
    "softplus": "softplus({0})",
    "abs": "tl.abs({0})",
    "minimum": f"tl.minimum({{0}}, {{1}}, {NAN})",
    "maximum": f"tl.maximum({{0}}, {{1}}, {NAN})",
    "clamp_min": f"tl.maximum({{0}}, {{1}}, {NAN})",
    "clamp_max": f"tl.minimum({{0}}, {{1}}, {NAN})",
    "sin": "tl.sin({0})",
    "cos": "tl.cos({0})",
    "silu": "{0} * sigmoid({0})",
    "softsign": "{0} / (1.0 + tl.abs({0}))",
    "ndtr": "ndtr({0})",
    "gelu": "{0} * ndtr({0})",
    "gelu_tanh": "gelu_tanh({0})",
    "where": "tl.where({0}, {1}, {2})",
}


def _sum_of(count: int) -> str:
    """Return what adds `count` pairs of numbers, for one reduction of as many tensors."""
    first, second = ([f"{letter}{k}" for k in range(count)] for letter in "ab")
    sums = ", ".join(f"{a} + {b}" for a, b in zip(first, second, strict=True))
    return f"""
@triton.jit
def add_{count}({", ".join(first + second)}):
    return {sums}
"""


# Functions by the names that expressions and other functions call, each after those that it calls.
FUNCTIONS: Final[dict[str, str]] = {
    "sigmoid": """
@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))
""",
    # near 0, where 1 - exp(-2|x|) would cancel, by a continued fraction
    "tanh": """
@triton.jit
def tanh(x):
    e = tl.exp(-2.0 * tl.abs(x))
    far = tl.where(x < 0.0, e - 1.0, 1.0 - e) / (1.0 + e)
    s = x * x
    near = x * (105.0 + 10.0 * s) / (105.0 + s * (45.0 + s))
    return tl.where(tl.abs(x) < 0.25, near, far)
""",
    # log(1 + e) as log(u) e / (u - 1), with u = 1 + e rounded: Goldberg, "What every computer scientist
    # should know about floating-point arithmetic", 1991, theorem 4
    "softplus": """
@triton.jit
def softplus(x):
    e = tl.exp(-tl.abs(x))
    u = 1.0 + e
    rest = tl.where(u == 1.0, e, tl.log(u) * e / tl.where(u == 1.0, 1.0, u - 1.0))
    return tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL) + rest
""",
    "ndtr": """
@triton.jit
def ndtr(x):
    return 0.5 + 0.5 * tl.erf(x * 0.7071067811865476)
""",
    "gelu_tanh": """
@triton.jit
def gelu_tanh(x):
    return x * sigmoid(1.5957691216057308 * x * (1.0 + 0.044715 * x * x))
""",
    **{f"add_{n}": _sum_of(n) for n in (2, 3, 4)},
    # Programs of one block of rows wait for each other; `meetings` counts their arrivals. What one has
    # written before it arrives (release), the others may read once they have seen all arrivals (acquire).
    "arrive": """
@triton.jit
def arrive(meetings, GROUP: tl.constexpr):
    tl.debug_barrier()
    if GROUP > 1:
        tl.atomic_add(meetings, 1, sem="release")
""",
    "acquired": """
@triton.jit
def acquired(meetings):
    return tl.inline_asm_elementwise(
        "ld.acquire.gpu.global.u32 $0, [$1];", "=r,l", [meetings], dtype=tl.int32, is_pure=False, pack=1
    )
""",
    "wait": """
@triton.jit
def wait(meetings, arrivals, GROUP: tl.constexpr):
    if GROUP > 1:
        while acquired(meetings) < arrivals * GROUP:
            pass
""",
}


def called(text: str) -> str:
    """Return the functions that a text calls, itself or through others."""
    names: list[str] = []
    for name in reversed(FUNCTIONS):
        if any(re.search(rf"\b{name}\b", part) for part in (text, *[FUNCTIONS[other] for other in names])):
            names.append(name)
    return "\n".join(FUNCTIONS[name] for name in reversed(names))
