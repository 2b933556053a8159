"""Turn a kernel's text into a function that Triton compiles, or interprets, when it is first launched.

Triton reads the source of a function where Python's `inspect` finds it: here in `linecache`, which needs no
file. It caches compiled kernels itself, by their source.
"""

import functools
import hashlib
import linecache
from typing import Any

from elman.engine.gpu.emit.kernel import kernel
from elman.engine.gpu.emit.plan import Plan


@functools.cache
def function(plan: Plan) -> Any:
    """Return a plan's kernel, to be launched as `function(plan)[grid](**parameters)`."""
    text = kernel(plan)
    entry = "backward" if plan.backward else "forward"
    name = f"<elman {plan.cell.name} {entry} {hashlib.sha256(text.encode()).hexdigest()[:12]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "elman.engine.gpu.generated"}
    exec(compile(text, name, "exec"), namespace)
    return namespace[entry]
