"""One step of a cell as ONNX operators, from its Program."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from elman.engine.program import Program
from elman.export.graph import Graph, Value

Emitter = Callable[..., Value]


def _plain(kind: str) -> Emitter:
    return lambda graph, *operands: graph.op(kind, *operands)


def _silu(graph: Graph, a: Value) -> Value:
    return graph.op("Mul", a, graph.op("Sigmoid", a))


def _ndtr(graph: Graph, a: Value) -> Value:
    erf = graph.op("Erf", graph.op("Mul", a, graph.constant(math.sqrt(0.5))))
    return graph.op("Mul", graph.op("Add", erf, graph.constant(1.0)), graph.constant(0.5))


def _gelu(graph: Graph, a: Value) -> Value:
    return graph.op("Mul", a, _ndtr(graph, a))


def _gelu_tanh(graph: Graph, a: Value) -> Value:
    """a * sigmoid(2u), whose u is sqrt(2/pi) * (a + 0.044715 a³)."""
    cubed = graph.op("Mul", graph.op("Mul", a, a), graph.op("Mul", a, graph.constant(0.044715)))
    doubled = graph.op("Mul", graph.op("Add", a, cubed), graph.constant(2 * math.sqrt(2 / math.pi)))
    return graph.op("Mul", a, graph.op("Sigmoid", doubled))


# A row for every primitive of `elman.engine.ops`. The operators for gelu come with opset 20.
ONNX: Final[dict[str, Emitter]] = {
    "add": _plain("Add"),
    "sub": _plain("Sub"),
    "mul": _plain("Mul"),
    "div": _plain("Div"),
    "neg": _plain("Neg"),
    "gt": _plain("Greater"),
    "lt": _plain("Less"),
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "exp": _plain("Exp"),
    "log": _plain("Log"),
    "sqrt": _plain("Sqrt"),
    "relu": _plain("Relu"),
    "softplus": _plain("Softplus"),
    "abs": _plain("Abs"),
    "minimum": _plain("Min"),
    "maximum": _plain("Max"),
    "clamp_min": _plain("Max"),
    "clamp_max": _plain("Min"),
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "silu": _silu,
    "softsign": _plain("Softsign"),
    "ndtr": _ndtr,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "where": _plain("Where"),
}


def summed_gates(program: Program) -> tuple[set[str], set[str]]:
    """Return the gates whose W x + U h the equations read as a sum, and those of which they read a product
    alone."""
    uses: dict[int, set[str]] = {}
    for node in program.nodes:
        if node.op not in ("input", "constant"):
            for a in node.args:
                uses.setdefault(a, set()).add(gate_of_sum(program, node.args) if node.op == "add" else "")
    summed, alone = set[str](), set[str]()
    for k, node in enumerate(program.nodes):
        if node.op == "input" and node.args[0] in "xu":
            gate = node.args[1]
            summed |= {gate} & uses.get(k, {""})
            alone |= set() if uses.get(k, {""}) == {gate} and k not in program.outputs else {gate}
    return summed, alone


def gate_of_sum(program: Program, args: tuple[int, ...]) -> str:
    """Return g if these are the operands x.g and u.g, in any order; else ""."""
    leaves = [program.nodes[a] for a in args]
    if any(leaf.op != "input" for leaf in leaves):
        return ""
    gates = {leaf.args[1] for leaf in leaves}
    return gates.pop() if {leaf.args[0] for leaf in leaves} == {"x", "u"} and len(gates) == 1 else ""


def emit(
    graph: Graph, program: Program, inputs: Mapping[tuple[str, str], Value], sums: Mapping[str, Value]
) -> list[Value]:
    """Add the equations; return the new states.

    Args:
        inputs: values by (letter, name), as ("s", "h"); those of x and u only where they are read alone.
        sums: W x + U h of gates, where they are read as a sum.
    """
    values: list[Value] = []
    for node in program.nodes:
        if node.op == "input":
            letter, name = node.args
            values.append(inputs.get((letter, name), ""))
        elif node.op == "constant":
            values.append(graph.constant(node.args[0]))
        elif node.op == "add" and (gate := gate_of_sum(program, node.args)) in sums:
            values.append(sums[gate])
        else:
            values.append(ONNX[node.op](graph, *(values[a] for a in node.args)))
    return [values[k] for k in program.outputs]
