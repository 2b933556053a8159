"""`elman show`: a cell's equations, gradients and kernels."""

from typing import Annotated, Any

import typer

from elman.cli.cell_files import find_cell
from elman.cli.options import Json, show_result


def show(
    cell: Annotated[
        str | None, typer.Argument(help="lstm, gru, ... or FILE.py:NAME for a cell of your own")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print only the LaTeX")] = False,
    backward: Annotated[
        bool, typer.Option("--backward", help="Print the equations of the gradients")
    ] = False,
    kernel: Annotated[bool, typer.Option("--kernel", help="Print the compiled code, as LLVM IR")] = False,
    as_json: Json = False,
) -> None:
    """Print a cell's equations, as a listing and as LaTeX. Without a name, list the cells.

    Example: elman show lstm
    """
    chosen: Any = None if cell is None else find_cell(cell)  # a mistyped file does not wait for PyTorch
    import torch

    from elman.cells import CELLS
    from elman.engine.cpu import host
    from elman.engine.cpu.emit import kernel as kernels
    from elman.engine.cpu.emit.plan import plan_for
    from elman.engine.derive import derive
    from elman.engine.trace import trace

    if cell is None:
        papers = {name: _first_sentences(one) for name, one in CELLS.items()}
        width = max(map(len, papers))
        show_result(papers, "\n".join(f"{name:{width}}  {paper}" for name, paper in papers.items()), as_json)
        return
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


def _first_sentences(cell: Any) -> str:
    """Return the first paragraph of a cell's docstring, which names its paper, in one line."""
    return " ".join((cell.equations.__doc__ or "").strip().partition("\n\n")[0].split())
