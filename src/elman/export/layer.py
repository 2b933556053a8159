"""`export_onnx`: a layer as an ONNX file that needs neither elman nor PyTorch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from elman.engine import trace
from elman.engine.call import Stack
from elman.errors import UsageError
from elman.export.graph import Graph, Value, write
from elman.export.stack import Lengths, States, add_stack, expanded, is_operator, widths
from elman.nn import Recurrent

ALL_STEPS: Final = np.iinfo(np.int32).max  # the default of `lengths`


def export_onnx(layer: Recurrent, path: str | Path, *, step: bool = False, lengths: bool = True) -> None:
    """Write a layer as an ONNX file (opset 17), as it computes in eval mode.

    LSTM, GRU and Elman's network become ONNX's own operators, other cells a Scan whose body is their
    equations. The number of steps T and of sequences B are free in every call.

    Inputs: `input` (T, B, I), or (B, T, I) of a layer with batch_first; `lengths` (B) int64, all T steps by
    default; and each state, such as `state_in_l0_h` (B, H) or `state_in_l1_reverse_c`, zeros by default.
    Outputs: `output` (T, B, D*P), 0 beyond a sequence's length, and `state_out_l0_h`, ..., which are the next
    call's inputs in a stream. The metadata entry "elman" is JSON: sizes, options, equations.

    Args:
        path: of the file, which is written whole or not at all.
        step: write a graph of one step instead: `input` (B, I), `output` (B, P), no `lengths`.
        lengths: leave them out with False, which makes a Scan a little faster.

    Raises:
        UsageError: for a layer that isn't elman's or has an option that ONNX can't compute; a step of a
            bidirectional layer; a path that can't be written; or without the package onnx.
    """
    if not isinstance(layer, Recurrent):
        raise UsageError(
            f"export_onnx takes a layer (elman.Recurrent, LSTM, GRU, RNN), not {type(layer).__name__}: "
            "elman.replace makes one of torch.nn's, and a model has its own export_onnx"
        )
    if step and layer.bidirectional:
        raise UsageError("a bidirectional layer can't step: leave out step to export whole sequences")
    graph, stack = Graph(), layer.stack()
    if step:
        _add_whole_step(graph, layer, stack)
    else:
        _add_sequence(graph, layer, stack, lengths)
    write(path, graph.model(layer.cell.name, _metadata(layer, step)))


def _add_whole_step(graph: Graph, layer: Recurrent, stack: Stack) -> None:
    x = graph.input("input", ("batch", layer.input_size))
    output, final = add_stack(graph, stack, x, states=state_inputs(graph, stack), step=True)
    graph.output("output", output, ("batch", layer.output_size))
    state_outputs(graph, stack, final)


def _add_sequence(graph: Graph, layer: Recurrent, stack: Stack, lengths: bool) -> None:
    dims = ("batch", "steps") if layer.batch_first else ("steps", "batch")
    x = graph.input("input", (*dims, layer.input_size))
    if layer.batch_first:
        x = graph.op("Transpose", x, perm=[1, 0, 2])
    taken = lengths_input(graph, x) if lengths else None
    states = state_inputs(graph, stack, graph.size(x, 1) if is_operator(stack) else None)
    output, final = add_stack(graph, stack, x, states=states, lengths=taken)
    if layer.batch_first:
        output = graph.op("Transpose", output, perm=[1, 0, 2])
    graph.output("output", output, (*dims, layer.directions * layer.output_size))
    state_outputs(graph, stack, final)


def lengths_input(graph: Graph, x: Value) -> Lengths:
    """Declare the input `lengths` (B) of x (T, B, ·), by default all steps."""
    given = graph.input("lengths", (None,), np.int64, default=[ALL_STEPS])
    counts = graph.op("Min", given, graph.size(x, 0))
    return Lengths(graph, graph.op("Expand", counts, graph.size(x, 1)), x)


def state_inputs(
    graph: Graph, stack: Stack, batch: Value | None = None, *, first: int = 0, prefix: str = ""
) -> list[States]:
    """Declare an input for each state of each layer and direction, (B, ·), by default zeros (1, ·), which are
    expanded for a `batch` (a vector of one number) if it is given.

    The first layer is number `first` in their names, and the prefix comes before it.
    """
    states = []
    for k, weights in enumerate(stack.weights):
        names, sizes = state_names(stack, k, f"state_in_{prefix}", first), widths(stack, weights)
        declared = {
            name: graph.input(names[name], (None, size), default=np.zeros((1, size)))
            for name, size in sizes.items()
        }
        states.append(expanded(graph, declared, sizes, batch) if batch else declared)
    return states


def state_outputs(
    graph: Graph, stack: Stack, final: Sequence[States], *, first: int = 0, prefix: str = ""
) -> None:
    """Declare an output for each state after the last step, (B, ·); names as in `state_inputs`."""
    for k, (weights, new) in enumerate(zip(stack.weights, final, strict=True)):
        names, sizes = state_names(stack, k, f"state_out_{prefix}", first), widths(stack, weights)
        for name, value in new.items():
            graph.output(names[name], value, ("batch", sizes[name]))


def state_names(stack: Stack, k: int, prefix: str, first: int = 0) -> dict[str, str]:
    """Return the names, after the prefix, of inputs or outputs by those of the states of layer and direction
    k."""
    place = f"l{first + k // stack.directions}{'_reverse' if k % stack.directions else ''}"
    return {name: f"{prefix}{place}_{name}" for name in stack.cell.state}


def _metadata(layer: Recurrent, step: bool) -> Mapping[str, Any]:
    sizes = {name: getattr(layer, name) for name in ("input_size", "hidden_size", "num_layers", "proj_size")}
    options = {
        name: getattr(layer, name) for name in ("bidirectional", "batch_first", "layer_norm", "zoneout")
    }
    cell = {"cell": layer.cell.name, "gates": layer.cell.gates, "state": layer.cell.state}
    return {"kind": "layer", "step": step, **cell, **sizes, **options, "equations": str(trace(layer.cell))}
