"""Cells that the command line names: built-in ones, and one of a file of Python, `FILE.py:NAME`."""

import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

from elman.cli.streams import Ended
from elman.errors import ElmanError, UsageError


def find_cell(name: str) -> Any:
    """Return the built-in cell of this name, or cell NAME of "FILE.py:NAME", whose code is run.

    Raises UsageError for an unknown name, a file that is missing or can't be run, and anything that is no
    cell.
    """
    path, colon, attribute = name.rpartition(":")
    if name.endswith(".py"):
        raise UsageError(f"which cell of {name}? Name it, as in {name}:Mine")
    if path.endswith(".py") and not Path(path).is_file():
        why = "is a folder" if Path(path).is_dir() else "does not exist"
        raise UsageError(f"{path} {why}: name a file of Python that declares the cell {attribute!r}")
    from elman.cells import CELLS, Cell  # brings PyTorch, for which a mistyped name need not wait

    if name.lower() in CELLS:
        return CELLS[name.lower()]
    if not colon or not Path(path).is_file():
        names = ", ".join(CELLS)
        raise UsageError(f"there is no cell {name!r}: there are {names}, or FILE.py:NAME for your own")
    declared = _names_in(path).get(attribute)
    if not isinstance(declared, Cell):
        advice = "decorate the function with @elman.cell(...)"
        raise UsageError(f"{path} declares no cell {attribute!r}: {advice}")
    return declared


def _names_in(path: str) -> dict[str, Any]:
    """Run a file of Python, whatever it does, and return its names. It reads nothing, and prints to standard
    error."""
    import runpy

    process, leave = os.getpid(), os._exit

    def leave_child(status: int) -> NoReturn:
        if os.getpid() == process:
            sys.exit(status)
        leave(status)

    stdin, sys.stdin, os._exit = sys.stdin, io.StringIO(), leave_child
    try:
        with redirect_stdout(sys.stderr):
            return runpy.run_path(path)
    except (ElmanError, Ended):
        raise
    except SystemExit as end:
        raise UsageError(
            f"{path} ends the program (with exit code {end.code}) instead of declaring cells"
        ) from end
    except BaseException as error:
        reason = (str(error).splitlines() or ["without a message"])[0]
        raise UsageError(f"{path} can't be run: {type(error).__name__}: {reason}") from error
    finally:
        sys.stdin, os._exit = stdin, leave
