"""Modules of PyTorch and layers of elman as parts of a larger graph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from elman.export.graph import Graph, Value
from elman.export.layer import state_inputs, state_outputs
from elman.export.stack import Lengths, States, add_stack, is_operator
from elman.nn import Recurrent


class Run(NamedTuple):
    """What a layer returns: its output (T, B, D*P), or (B, P) of a step, and the states after it."""

    output: Value
    states: list[States]


def linear(graph: Graph, module: nn.Linear, x: Value) -> Value:
    """Return W x + b."""
    product = graph.op("MatMul", x, graph.constant(module.weight.t()))
    return product if module.bias is None else graph.op("Add", product, graph.constant(module.bias))


def rows(graph: Graph, table: Tensor, numbers: Value) -> Value:
    """Return the rows of a table, as nn.Embedding does."""
    return graph.op("Gather", graph.constant(table), numbers)


def scaled_rows(graph: Graph, table: nn.Embedding, numbers: Value) -> Value:
    """Return what `elman.nn.embedding.scaled_vectors` does."""
    return graph.op("Mul", rows(graph, table.weight, numbers), graph.constant(table.embedding_dim**0.5))


def tied_logits(graph: Graph, x: Value, table: nn.Embedding, bias: Tensor) -> Value:
    """Return the logits of an output layer that shares the vectors of an embedding."""
    vectors = graph.op("Transpose", graph.constant(table.weight), perm=[1, 0])
    return graph.op("Add", graph.op("MatMul", x, vectors), graph.constant(bias))


def recurrent(
    graph: Graph,
    layer: Recurrent,
    x: Value,
    states: Sequence[States] | None = None,
    *,
    lengths: Lengths | None = None,
    step: bool = False,
) -> Run:
    """Add a layer on x (T, B, I), or (B, I) of a step, as `add_stack`."""
    return Run(*add_stack(graph, layer.stack(), x, states=states, lengths=lengths, step=step))


def stateful(
    graph: Graph,
    layer: Recurrent,
    x: Value,
    *,
    step: bool,
    first: int = 0,
    prefix: str = "",
    lengths: Lengths | None = None,
) -> Value:
    """Add a layer in one direction whose states are inputs and outputs of the graph; return its output.

    Their names are as in `state_inputs`, `lengths` as in `add_stack`.
    """
    stack = layer.stack()
    batch = graph.size(x, 1) if is_operator(stack) and not step else None
    began = state_inputs(graph, stack, batch, first=first, prefix=prefix)
    run = recurrent(graph, layer, x, began, lengths=lengths, step=step)
    state_outputs(graph, stack, run.states, first=first, prefix=prefix)
    return run.output


def log_softmax(graph: Graph, logits: Value) -> Value:
    return graph.op("LogSoftmax", logits, axis=-1)


def token_input(graph: Graph, step: bool, name: str = "ids") -> Value:
    """Declare the numbers of tokens: (T, B), or (B) of a step."""
    return graph.input(name, ("batch",) if step else ("steps", "batch"), np.int64)
