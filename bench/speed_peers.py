"""The peers: each computes the same as one of elman's layers, from the weights of one torch.nn module.

A peer's function takes that module and x (T, B, I) and returns what is to be timed: for inference a function
that returns output and final state, for training one that returns the loss and the gradients of
(weight_ih, weight_hh, bias_ih, bias_hh), and of x if it requires one.
"""

import importlib.util
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import elman

Call = Callable[[], Any]

OURS: Final[dict[str, Any]] = {"LSTM": elman.LSTM, "GRU": elman.GRU, "Elman": elman.RNN}
MODULES: Final[dict[str, Any]] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "Elman": nn.RNN}
STEPS: Final[dict[str, Any]] = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell, "Elman": nn.RNNCell}
# ONNX's order of the gates, by torch's
ONNX: Final = {"LSTM": ("LSTM", (0, 3, 1, 2)), "GRU": ("GRU", (1, 0, 2)), "Elman": ("RNN", (0,))}


def ours(cell: str, module: nn.Module, **options: Any) -> Any:
    """Make an elman layer with the weights of a torch.nn module."""
    layer = OURS[cell](module.input_size, module.hidden_size, **options)
    layer.load_state_dict(module.state_dict())
    return layer


def layer(layer: nn.Module, x: Tensor, training: bool, **options: Any) -> Call:
    """Call one layer, elman's or torch.nn's."""
    return _trained(layer, x, lambda: layer(x, **options)) if training else lambda: layer(x, **options)


def packed(layer: nn.Module, x: Tensor, training: bool, lengths: Tensor) -> Call:
    """Call torch.nn on sequences of many lengths. Packing is timed, unpacking is not."""

    def run() -> Any:
        return layer(pack_padded_sequence(x, lengths, enforce_sorted=False))

    return _trained(layer, x, run) if training else run


def loop(cell: str, module: nn.Module, x: Tensor, training: bool) -> Call:
    """A loop over torch.nn's cell."""
    step = _one_step(cell, module)

    def run() -> Any:
        state, outputs = None, []
        for row in x.unbind():
            state = step(row, state)
            outputs.append(state[0] if cell == "LSTM" else state)
        return torch.stack(outputs), state

    return _trained(step, x, run) if training else run


def _one_step(cell: str, module: nn.Module) -> nn.Module:
    """Make torch.nn's cell with the weights of a layer."""
    step = STEPS[cell](module.input_size, module.hidden_size)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()})
    return step  # type: ignore[no-any-return]


def stepped(module: nn.Module, x: Tensor) -> Call:
    """One step of torch.nn's LSTMCell per call, from its last state. Returns h."""
    step, state = _one_step("LSTM", module), None

    def call() -> Any:
        nonlocal state
        state = step(x, state)
        return state[0]

    return call


def _trained(layer: nn.Module, x: Tensor, run: Call) -> Call:
    """Forward, the sum of all outputs, backward."""
    leaves = [*layer.parameters(), *([x] if x.requires_grad else [])]

    def call() -> Any:
        for leaf in leaves:
            leaf.grad = None
        output = run()[0]
        loss = (output.data if isinstance(output, PackedSequence) else output).sum()
        loss.backward()
        return loss, [leaf.grad for leaf in leaves]

    return call


# ---- jax


def has_jax() -> bool:
    return importlib.util.find_spec("jax") is not None


def scan(cell: str, module: nn.Module, x: Tensor, training: bool) -> Call:
    """jax.lax.scan, compiled, with the inputs' product taken out of the loop."""
    import jax
    import jax.numpy as jnp

    step = _jax_step(cell)

    def run(weights: Any, x: Any) -> Any:
        w_ih, w_hh, b_ih, b_hh = weights
        zeros = jnp.zeros((x.shape[1], w_hh.shape[1]))
        start = (zeros, zeros) if cell == "LSTM" else (zeros,)
        u = w_hh.T

        def body(state: Any, row: Any) -> Any:
            new = step(row, state[0] @ u + b_hh, state)
            return new, new[0]

        final, outputs = jax.lax.scan(body, start, x @ w_ih.T + b_ih)
        return outputs, final

    def loss(weights: Any, x: Any) -> Any:
        return run(weights, x)[0].sum()

    sought = (0, 1) if x.requires_grad else 0
    chosen = jax.jit(jax.value_and_grad(loss, sought) if training else run)
    weights = tuple(jnp.asarray(p.detach().numpy()) for p in module.parameters())
    inputs = jnp.asarray(x.detach().numpy())
    return lambda: jax.block_until_ready(chosen(weights, inputs))


def _jax_step(cell: str) -> Callable[..., Any]:
    """(W x + b, U h + b', states) → new states, the first of which is the output."""
    import jax.numpy as jnp
    from jax.nn import sigmoid

    def lstm(x: Any, u: Any, s: Any) -> Any:
        i, f, g, o = jnp.split(x + u, 4, axis=-1)
        c = sigmoid(f) * s[1] + sigmoid(i) * jnp.tanh(g)
        return sigmoid(o) * jnp.tanh(c), c

    def gru(x: Any, u: Any, s: Any) -> Any:
        (xr, xz, xn), (ur, uz, un) = jnp.split(x, 3, axis=-1), jnp.split(u, 3, axis=-1)
        z, n = sigmoid(xz + uz), jnp.tanh(xn + sigmoid(xr + ur) * un)
        return ((1 - z) * n + z * s[0],)

    def simple(x: Any, u: Any, s: Any) -> Any:
        return (jnp.tanh(x + u),)

    return {"LSTM": lstm, "GRU": gru, "Elman": simple}[cell]


# ---- onnxruntime


def has_onnx() -> bool:
    return all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def session(cell: str, module: nn.Module, x: Tensor) -> Call:
    """onnxruntime, on one node of ONNX."""
    found, inputs = _session(cell, module, tuple(x.shape), ()), {"X": x.numpy()}
    return lambda: found.run(None, inputs)


def stepping(module: nn.Module, x: Tensor) -> Call:
    """One step of an LSTM in onnxruntime per call, from its last state. Returns h."""
    found = _session("LSTM", module, (1, *x.shape), ("H", "C"))
    zeros = np.zeros((1, len(x), module.hidden_size), np.float32)
    feed = {"X": x.unsqueeze(0).numpy(), "H": zeros, "C": zeros}

    def call() -> Any:
        feed["H"], feed["C"] = found.run(None, feed)
        return feed["H"]

    return call


def _session(cell: str, module: nn.Module, shape: tuple[int, ...], states: tuple[str, ...]) -> Any:
    """With `states` as inputs, and then without the outputs of every step, which one step does not need."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = _model(cell, module, shape, states).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _model(cell: str, module: nn.Module, shape: tuple[int, ...], states: tuple[str, ...]) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    kind, order = ONNX[cell]
    own = {name: _reordered(p.detach().numpy(), order) for name, p in module.named_parameters()}
    biases = np.concatenate([own["bias_ih_l0"], own["bias_hh_l0"]])
    weights = {"W": own["weight_ih_l0"], "R": own["weight_hh_l0"], "B": biases}
    kept = [numpy_helper.from_array(value[None], name) for name, value in weights.items()]
    ends = ["Y_h", "Y_c"] if cell == "LSTM" else ["Y_h"]
    end = (1, shape[1], module.hidden_size)
    options = {"hidden_size": module.hidden_size} | ({"linear_before_reset": 1} if cell == "GRU" else {})
    inputs = ["X", "W", "R", "B", *(["", *states] if states else [])]
    outputs = ["" if states else "Y", *ends]
    values = {"X": shape} | dict.fromkeys(states, end)
    results = ({} if states else {"Y": (shape[0], 1, *end[1:])}) | dict.fromkeys(ends, end)

    def described(shapes: dict[str, Any]) -> list[Any]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in shapes.items()]

    node = helper.make_node(kind, inputs, outputs, **options)
    graph = helper.make_graph([node], kind, described(values), described(results), kept)
    # versions that every onnxruntime since 1.20 reads
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _reordered(values: Any, order: tuple[int, ...]) -> Any:
    blocks = np.split(values, len(order))
    return np.concatenate([blocks[k] for k in order])
