"""`elman export`: a model as ONNX files, which run without elman."""

from pathlib import Path
from typing import Annotated, Any

import typer

from elman.cli.options import Json, Model, show_result
from elman.errors import UsageError


def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the model")] = Path(
        "model.onnx"
    ),
    as_json: Json = False,
) -> None:
    """Write what a model predicts with as ONNX, which runs without elman and PyTorch. For some tasks there is
    a second file beside it, such as model.step.onnx: one step of a stream or of a decoder.

    Example: elman export runs/reviews -o reviews.onnx
    """
    from elman.atomic import check_output
    from elman.tasks import load

    check_output(output)
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"the file is an ONNX model, such as model.onnx, not {output}")
    loaded: Any = load(model)
    files = loaded.export_onnx(output)
    sizes = {str(file): file.stat().st_size for file in files}
    lines = [f"{name}: {-(-size // 1000):,} kB" for name, size in sizes.items()]
    listed = [{"path": name, "bytes": size} for name, size in sizes.items()]
    show_result({"files": listed}, "\n".join(lines), as_json)
