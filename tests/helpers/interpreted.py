"""Triton's kernels on the CPU, in its interpreter, between guard values.

What a kernel reads beside a tensor is NaN or absurd; what it writes there, or to an input, is noticed.
"""

import importlib.util
import linecache
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from elman.engine import passes as engine
from elman.engine.call import Spec
from elman.engine.gpu import launch, passes, sizes
from elman.engine.gpu.emit.functions import EMIT, called
from elman.engine.gpu.emit.kernel import IMPORTS
from elman.engine.gpu.emit.plan import Plan
from elman.engine.ops import OPS

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs triton: pip install 'elman[gpu]'"
)
GUARD = 300  # elements on either side, more than a block of units
WRITTEN = ("kept", "carry", "totals", "raw", "meetings")
ABSURD = {torch.int64: 1 << 40, torch.int32: -7, torch.uint8: 77}


def guarded(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return a copy and the memory around it."""
    value = ABSURD.get(tensor.dtype, torch.nan)
    around = torch.full((tensor.numel() + 2 * GUARD,), value, dtype=tensor.dtype)
    inner = around[GUARD : GUARD + tensor.numel()].view(tensor.shape)
    return inner.copy_(tensor), around


def is_whole(around: Tensor) -> bool:
    beside = torch.cat([around[:GUARD], around[-GUARD:]])
    if around.is_floating_point():
        return bool(beside.isnan().all())
    return bool((beside == ABSURD[around.dtype]).all())


def _one_slice(plan: Plan, hidden: int, *_: Any) -> sizes.Split | None:
    """Let one program have all units: the interpreter has no others that it could wait for."""
    if plan.norm:
        return None
    rows, ways = hidden * (len(plan.products) if plan.backward else 1), 2
    chunks = -(-rows // (ways * 32))
    return sizes.Split(sizes.power(hidden), ways, chunks, loaded=3, staged=2)


@contextmanager
def interpreted(form: str = "") -> Iterator[None]:
    """Let the CPU's tensors have the kernels of a GPU, guarded: "resident", "sliced" or "streamed"."""
    started = launch.launch

    def start(plan: Plan, spec: Spec, x: Tensor, tensors: dict[str, Any]) -> None:
        moved = {
            name: guarded(t)
            for name, t in tensors.items()
            if isinstance(t, Tensor) and t.is_contiguous() and t.numel()
        }
        started(plan, spec, x, tensors | {name: inner for name, (inner, _) in moved.items()})
        for name, (inner, around) in moved.items():
            assert is_whole(around), f"a kernel wrote beside {name}"
            state, noted = name.startswith("s_"), name.startswith("up_") and plan.noted
            if name in WRITTEN or noted or (state and not plan.backward):
                tensors[name].data.copy_(inner)  # as a kernel, PyTorch not knowing
            else:
                assert torch.equal(inner.nan_to_num(), tensors[name].nan_to_num()), f"a kernel changed {name}"

    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        # lanes beyond H compute what nobody reads, such as 0 / 0
        patch.setattr(engine, "_target", lambda x: passes)
        patch.setattr(launch, "launch", start)
        if form:
            patch.setattr(passes, "is_resident", lambda *_: form == "resident")
            patch.setattr(sizes, "STREAMED_UNITS", (16,))  # several blocks, of few units
            patch.setattr(passes, "split", _one_slice if form == "sliced" else lambda *_: None)
            patch.setattr(sizes, "split", _one_slice)
        yield


def run(name: str, *operands: Tensor) -> Tensor:
    """Return a primitive of numbers (N), N a power of two, as a kernel computes it."""
    import triton

    names = ("a", "b", "c")[: OPS[name].operands]
    given = ["(a != 0.0)" if name == "where" and n == "a" else n for n in names]
    lines = [f"    {n} = tl.load({n}_at + tl.arange(0, N))" for n in names]
    lines.append(f"    y = {EMIT[name].format(*given)}")
    lines.append("    tl.store(to + tl.arange(0, N), y.to(tl.float32))")
    head = f"def kernel({', '.join(f'{n}_at' for n in names)}, to, N: tl.constexpr):"
    text = "\n".join([IMPORTS, called(lines[-2]), "@triton.jit", head, *lines, ""])
    file = f"<primitive {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": "primitives"}
    exec(compile(text, file, "exec"), namespace)
    assert triton.knobs.runtime.interpret
    to = torch.empty_like(operands[0])
    with np.errstate(all="ignore"):
        namespace["kernel"][(1,)](*operands, to, to.numel())
    return to
