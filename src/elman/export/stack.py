"""A stack of layers as ONNX operators: LSTM, GRU and RNN for the cells they are, and Scan for any other.

T steps, B sequences, I inputs, H units, G gates, P outputs, D directions, as in `elman.engine.call`.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elman.cells import GRU, LSTM, Cell, Elman, ElmanReLU, as_cell
from elman.engine import heads, trace
from elman.engine.call import Stack, Weights
from elman.errors import UsageError
from elman.export.equations import emit, summed_gates
from elman.export.graph import Graph, Value, require_float32

States = dict[str, Value]  # (B, ·) each, by the names of the cell


class Operator(NamedTuple):
    """An ONNX operator that is a cell: its gates in ONNX's order, and its attributes."""

    kind: str
    gates: str
    attributes: dict[str, Any]


OPERATORS: Final[dict[Cell, Operator]] = {
    LSTM: Operator("LSTM", "i o f g", {}),
    GRU: Operator("GRU", "z r n", {"linear_before_reset": 1}),
    Elman: Operator("RNN", "h", {"activations": ["Tanh"]}),
    ElmanReLU: Operator("RNN", "h", {"activations": ["Relu"]}),
}
NORM_EPSILON: Final = 1e-5  # torch.nn.functional.layer_norm's


class Lengths:
    """How many steps each sequence takes, in the forms that operators read; each is added when it is asked
    for."""

    def __init__(self, graph: Graph, counts: Value, x: Value) -> None:
        """`counts` (B) int64 belong to x (T, B, ·)."""
        self.counts = counts
        self._graph, self._x = graph, x

    @functools.cached_property
    def int32(self) -> Value:
        """The counts (B)."""
        return self._graph.op("Cast", self.counts, to=self._graph.kind(np.int32))

    @functools.cached_property
    def active(self) -> Value:
        """Whether a sequence takes a step, (T, B, 1)."""
        graph = self._graph
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        steps = graph.op("Range", zero, graph.op("Squeeze", graph.size(self._x, 0)), one)
        steps = graph.op("Unsqueeze", steps, graph.ints(1))
        return graph.op("Unsqueeze", graph.op("Less", steps, self.counts), graph.ints(2))

    @functools.cached_property
    def any(self) -> Value:
        """Whether a sequence takes a step at all, (B, 1)."""
        zero = self._graph.constant(0, np.int64)
        return self._graph.op("Unsqueeze", self._graph.op("Less", zero, self.counts), self._graph.ints(1))


def check(stack: Stack) -> None:
    """Raise UsageError for options that the graph would not compute."""
    if stack.int8:
        reason = "int8=True rounds weights inside elman's kernels"
        raise UsageError(f"{reason}, and ONNX has no such operators: set layer.int8 = False to export floats")
    weights = [w for one in stack.weights for w in (*one[:-1], *one.units) if w is not None]
    require_float32(weights, "the layer")


def is_operator(stack: Stack) -> bool:
    """Return whether one of ONNX's operators computes the layers."""
    first = stack.weights[0]
    plain = first.gain_ih is None and first.weight_hr is None and not stack.zoneout
    return stack.cell in OPERATORS and plain


def add_stack(
    graph: Graph,
    stack: Stack,
    x: Value,
    *,
    states: Sequence[States] | None = None,
    lengths: Lengths | None = None,
    step: bool = False,
) -> tuple[Value, list[States]]:
    """Add the layers as they compute in eval mode.

    Args:
        x: (T, B, I), or (B, I) if `step`.
        states: one of every layer and direction; zeros if None.
        lengths: sequences take all T steps if None.
        step: take one step, without a Scan.

    Returns:
        (output (T, B, D*P) or (B, P), the states after the last step)

    Raises:
        UsageError: for an option that can't be exported.
    """
    check(stack)
    stack = heads.expanded(stack)  # ONNX's operators have none
    final: list[States] = []
    for first in range(0, len(stack.weights), stack.directions):
        rows = range(first, first + stack.directions)
        weights = [stack.weights[k] for k in rows]
        began = [zeros(graph, stack, weights[0]) if states is None else states[k] for k in rows]
        if step:
            new = add_step(graph, stack, weights[0], _from_input(graph, stack, weights[0], x), began[0])
            x = new[stack.cell.state[0]]
            final.append(new)
        elif is_operator(stack):
            x, news = _add_operator(graph, stack.cell, weights, x, began, lengths, states is not None)
            final += news
        else:
            passes = [
                _add_scan(graph, stack, w, x, s, lengths, k)
                for k, (w, s) in enumerate(zip(weights, began, strict=True))
            ]
            outputs = [output for output, _ in passes]
            x = graph.op("Concat", *outputs, axis=2) if len(outputs) > 1 else outputs[0]
            final += [new for _, new in passes]
    return x, final


def widths(stack: Stack, weights: Weights[Tensor]) -> dict[str, int]:
    """Return the width of every state."""
    hidden = weights.weight_ih.shape[0] // len(stack.cell.gates)
    first = hidden if weights.weight_hr is None else weights.weight_hr.shape[0]
    return {name: hidden if k else first for k, name in enumerate(stack.cell.state)}


def zeros(graph: Graph, stack: Stack, weights: Weights[Tensor]) -> States:
    """Return the first states as constants (1, ·)."""
    return {name: graph.constant(np.zeros((1, width))) for name, width in widths(stack, weights).items()}


def expanded(graph: Graph, states: States, sizes: dict[str, int], batch: Value) -> States:
    """Return the states, (B, ·) or (1, ·), for all sequences; `batch` is a vector of one number."""
    shapes = {width: graph.op("Concat", batch, graph.ints(width), axis=0) for width in set(sizes.values())}
    return {name: graph.op("Expand", value, shapes[sizes[name]]) for name, value in states.items()}


def equations_of(cell: Cell | str) -> str:
    """Return a cell's equations as text."""
    return str(trace(as_cell(cell)))


# ---- ONNX's operators


def _add_operator(
    graph: Graph,
    cell: Cell,
    weights: Sequence[Weights[Tensor]],
    x: Value,
    states: Sequence[States],
    lengths: Lengths | None,
    given: bool,
) -> tuple[Value, list[States]]:
    """Add one layer in both directions; states that are not `given` are zeros."""
    operator = OPERATORS[cell]
    hidden = weights[0].weight_ih.shape[0] // len(cell.gates)
    both = len(weights) == 2
    order = [cell.gates.index(gate) for gate in operator.gates.split()]

    def ordered(parameter: Tensor) -> Tensor:
        return parameter.detach().view(len(order), hidden, -1)[order].view_as(parameter)

    w, r = (
        graph.constant(torch.stack([ordered(getattr(one, name)) for one in weights]))
        for name in ("weight_ih", "weight_hh")
    )
    bias = ""
    if weights[0].bias_ih is not None and weights[0].bias_hh is not None:
        biases = [[ordered(b) for b in (one.bias_ih, one.bias_hh) if b is not None] for one in weights]
        bias = graph.constant(torch.stack([torch.cat(pair) for pair in biases]))
    axis = graph.ints(0)
    began = []
    for name in cell.state if given else ():
        each = [graph.op("Unsqueeze", state[name], axis) for state in states]
        began.append(graph.op("Concat", *each, axis=0) if both else each[0])
    attributes = operator.attributes
    if "activations" in attributes:
        attributes = {"activations": attributes["activations"] * len(weights)}
    y, *ends = graph.ops(
        operator.kind,
        1 + len(cell.state),
        *[x, w, r, bias, "" if lengths is None else lengths.int32, *began],
        hidden_size=hidden,
        direction="bidirectional" if both else "forward",
        **attributes,
    )  # y (T, D, B, H), ends (D, B, H)
    if both:
        output = graph.op("Transpose", y, perm=[0, 2, 1, 3])
        output = graph.op("Reshape", output, graph.ints(0, 0, 2 * hidden))
        halves = [graph.ops("Split", 2, end, axis=0) for end in ends]
    else:
        output, halves = graph.op("Squeeze", y, graph.ints(1)), [[end] for end in ends]
    final = [
        {name: graph.op("Squeeze", half[k], axis) for name, half in zip(cell.state, halves, strict=True)}
        for k in range(len(weights))
    ]
    if lengths is not None:  # onnxruntime leaves the states of empty sequences undefined
        final = [
            {name: graph.op("Where", lengths.any, new[name], old[name]) for name in cell.state}
            for new, old in zip(final, states, strict=True)
        ]
    return output, final


# ---- any cell


def _add_scan(
    graph: Graph,
    stack: Stack,
    weights: Weights[Tensor],
    x: Value,
    states: States,
    lengths: Lengths | None,
    reverse: int,
) -> tuple[Value, States]:
    """Add one layer in one direction; W x of all steps is one product outside the loop."""
    cell, sizes = stack.cell, widths(stack, weights)
    began = expanded(graph, states, sizes, graph.size(x, 1))
    sequences = [_from_input(graph, stack, weights, x)]
    body = graph.body()
    old = {name: body.input(f"{began[name]}_before", (None, size)) for name, size in sizes.items()}
    row = body.input(f"{sequences[0]}_now", (None, weights.weight_ih.shape[0]))
    new = add_step(body, stack, weights, row, old)
    output = new[cell.state[0]]
    if lengths is not None:
        sequences.append(lengths.active)
        active = body.input(f"{sequences[0]}_active", (None, 1), bool)
        output = body.op("Where", active, output, body.constant(0.0))
        new = {name: body.op("Where", active, value, old[name]) for name, value in new.items()}
    for name, value in new.items():
        body.output(f"{began[name]}_after", value, (None, sizes[name]))
    body.output(f"{sequences[0]}_output", output, (None, sizes[cell.state[0]]))
    *ends, outputs = graph.ops(
        "Scan",
        len(new) + 1,
        *began.values(),
        *sequences,
        body=body.proto(f"{cell.name}_step"),
        num_scan_inputs=len(sequences),
        scan_input_directions=[reverse] * len(sequences),
        scan_output_directions=[reverse],
    )
    return outputs, dict(zip(cell.state, ends, strict=True))


def add_step(graph: Graph, stack: Stack, weights: Weights[Tensor], row: Value, states: States) -> States:
    """Add one step from `row` = W x + b (B, G*H), as `_from_input` returns it."""
    cell, program = stack.cell, trace(stack.cell)
    summed, alone = summed_gates(program)
    inputs = {("s", name): value for name, value in states.items()}
    pairs = zip(cell.weights, weights.units, strict=True)
    inputs |= {("w", name): graph.constant(value) for name, value in pairs}
    total = row
    if weights.weight_hh is not None:
        bias = weights.bias_hh if alone else None  # which is part of `row` otherwise
        h = states[cell.state[0]]
        recurrent = _product(graph, h, weights.weight_hh, bias, weights.gain_hh)
        if summed:
            total = graph.op("Add", recurrent, row)
        if alone:
            inputs |= {("u", gate): value for gate, value in _by_gate(graph, cell, recurrent).items()}
    if alone:
        inputs |= {("x", gate): value for gate, value in _by_gate(graph, cell, row).items()}
    sums = _by_gate(graph, cell, total) if summed else {}
    new = emit(graph, program, inputs, {gate: sums[gate] for gate in summed})
    if weights.weight_hr is not None:
        new[0] = graph.op("MatMul", new[0], graph.constant(weights.weight_hr.t()))
    named = dict(zip(cell.state, new, strict=True))
    if stack.zoneout:  # the expectation of keeping an old value
        kept, changed = graph.constant(stack.zoneout), graph.constant(1 - stack.zoneout)
        named = {
            name: graph.op("Add", graph.op("Mul", kept, states[name]), graph.op("Mul", changed, value))
            for name, value in named.items()
        }
    return named


def _from_input(graph: Graph, stack: Stack, weights: Weights[Tensor], x: Value) -> Value:
    """Return W x + b of all gates (..., G*H), with the bias of U h if every gate reads the sum of both."""
    bias = weights.bias_ih
    if bias is not None and weights.bias_hh is not None and not summed_gates(trace(stack.cell))[1]:
        bias = bias + weights.bias_hh
    return _product(graph, x, weights.weight_ih, bias, weights.gain_ih)


def _product(graph: Graph, x: Value, weight: Tensor, bias: Tensor | None, gain: Tensor | None) -> Value:
    product = graph.op("MatMul", x, graph.constant(weight.t()))
    shift = "" if bias is None else graph.constant(bias)
    if gain is not None:
        operands = [product, graph.constant(gain), *([shift] if shift else [])]
        return graph.op("LayerNormalization", *operands, axis=-1, epsilon=NORM_EPSILON)
    return graph.op("Add", product, shift) if shift else product


def _by_gate(graph: Graph, cell: Cell, values: Value) -> dict[str, Value]:
    count = len(cell.gates)
    parts = graph.ops("Split", count, values, axis=-1) if count > 1 else [values]
    return dict(zip(cell.gates, parts, strict=True))
