"""`elman show`: a cell's equations, gradients and kernels."""

import io
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from elman.cli.options import Json, show_result
from elman.cli.streams import Ended
from elman.errors import ElmanError, UsageError


def show(
    cell: Annotated[
        str | None, typer.Argument(help="lstm, gru, ... or FILE.py:NAME for a cell of your own")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Only the LaTeX")] = False,
    backward: Annotated[bool, typer.Option("--backward", help="The equations of the gradients")] = False,
    kernel: Annotated[bool, typer.Option("--kernel", help="What is compiled, as LLVM IR")] = False,
    as_json: Json = False,
) -> None:
    """Print a cell's equations, as a listing and as LaTeX. Without a name: the cells there are.

    Example: elman show lstm
    """
    import torch

    from elman.cells import CELLS
    from elman.engine.cpu import host
    from elman.engine.cpu.emit import kernel as kernels
    from elman.engine.cpu.emit.plan import plan_for
    from elman.engine.derive import derive
    from elman.engine.trace import trace

    if cell is None:
        papers = {name: (one.equations.__doc__ or "").strip() for name, one in CELLS.items()}
        width = max(map(len, papers))
        show_result(papers, "\n".join(f"{name:{width}}  {paper}" for name, paper in papers.items()), as_json)
        return
    chosen = _find_cell(cell)
    program = trace(chosen)
    parts = {"name": chosen.name, "source": (chosen.equations.__doc__ or "").strip()}
    parts |= {"program": str(program), "latex": program.latex()}
    if backward:
        parts["backward"] = str(derive(chosen).backward)
    if kernel:
        plan = plan_for(chosen, host.vector(torch.float32), backward=backward)
        parts["kernel"] = kernels.kernel(plan)
    if backward or kernel:
        show_result(parts, parts["kernel" if kernel else "backward"], as_json)
        return
    text = f"{parts['source']}\n\n{program}\n\n{program.latex()}".strip()
    show_result(parts, program.latex() if latex else text, as_json)


def _find_cell(name: str) -> Any:
    from elman.cells import CELLS, Cell

    if name.lower() in CELLS:
        return CELLS[name.lower()]
    path, colon, attribute = name.rpartition(":")
    if name.endswith(".py"):
        raise UsageError(f"which cell of {name}? Name it, as in {name}:Mine")
    if path.endswith(".py") and not Path(path).is_file():
        why = "is a folder" if Path(path).is_dir() else "does not exist"
        raise UsageError(f"{path} {why}: name a file of Python that declares the cell {attribute!r}")
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
