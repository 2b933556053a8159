"""Equations → whole-sequence kernels: the public words of the engine.

The modules `scan`, `trace` and `derive` hold the functions of their names: import other names of theirs with
`from elman.engine.scan import ...`.
"""

from elman.engine.derive import derive
from elman.engine.program import Program
from elman.engine.scan import scan
from elman.engine.trace import trace

__all__ = ["Program", "derive", "scan", "trace"]
