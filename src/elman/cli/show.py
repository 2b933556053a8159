"""`elman show`: a cell's equations, gradients and kernels."""

from typing import Annotated, Any, Literal

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
    kernel: Annotated[bool, typer.Option("--kernel", help="Print the code that is compiled")] = False,
    target: Annotated[
        Literal["cpu", "gpu"], typer.Option(help="Of --kernel: LLVM IR for the CPU, or Triton for a GPU")
    ] = "cpu",
    as_json: Json = False,
) -> None:
    """Print a cell's equations, as a listing and as LaTeX. Without a name, list the cells.

    Example: elman show lstm
    """
    chosen: Any = None if cell is None else find_cell(cell)  # a mistyped file does not wait for PyTorch
    from elman.cells import CELLS
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
        parts["kernel"] = _kernel(chosen, backward, target)
    if backward or kernel:
        show_result(parts, parts["kernel" if kernel else "backward"], as_json)
        return
    text = f"{parts['source']}\n\n{program}\n\n{program.latex()}".strip()
    show_result(parts, program.latex() if latex else text, as_json)


def _kernel(cell: Any, backward: bool, target: str) -> str:
    if target == "gpu":
        from elman.engine.gpu.emit import kernel, plan

        return kernel.kernel(plan.plan_for(cell, backward=backward))
    import torch

    from elman.engine.cpu import host
    from elman.engine.cpu.emit.kernel import kernel as in_ir
    from elman.engine.cpu.emit.plan import plan_for

    return in_ir(plan_for(cell, host.vector(torch.float32), backward=backward))


def _first_sentences(cell: Any) -> str:
    """Return the first paragraph of a cell's docstring, which names its paper, in one line."""
    return " ".join((cell.equations.__doc__ or "").strip().partition("\n\n")[0].split())
