"""The command line: the same verbs for every task.

Exit codes: 0 good, 1 the work failed, 2 the call was wrong.
"""

from elman.cli.app import app, main

__all__ = ["app", "main"]
