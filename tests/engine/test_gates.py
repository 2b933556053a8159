"""Gates of every step, against formulas written once more and against the eager loop."""

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, maximum, relu, sigmoid, tanh, where
from torch.nn.functional import softplus
from torch.nn.utils.rnn import pack_padded_sequence

import elman
from compare import assert_equal, assert_same, gradients, tensors
from elman.cells import CELLS, Cell, cell
from elman.engine.eager import Named, products
from elman.engine.gates import base_of, gate_values, observed
from elman.engine.record import recorded
from elman.engine.trace import trace

pytestmark = pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")
T, B, I, H = 5, 3, 4, 6  # noqa: E741


@cell(gates="k c z", state="c", weights="p")
def Mine(x: Any, u: Any, s: Any, w: Any) -> Any:
    """A gate with the name of the state, one that is linear, and one that is called by its name."""
    k = 0.5 * sigmoid(x.k + u.k + w.p * s.c)
    return k * s.c + (1 - k) * tanh(x.c * u.c) + 0.1 * (x.z + u.z)


FORMULAS: dict[str, Any] = {
    "elman": lambda x, u, s, w: {"h": tanh(x.h + u.h)},
    "elman-relu": lambda x, u, s, w: {"h": relu(x.h + u.h)},
    "lstm": lambda x, u, s, w: {
        "i": sigmoid(x.i + u.i),
        "f": sigmoid(x.f + u.f),
        "g": tanh(x.g + u.g),
        "o": sigmoid(x.o + u.o),
    },
    "gru": lambda x, u, s, w: {
        "r": sigmoid(x.r + u.r),
        "z": sigmoid(x.z + u.z),
        "n": tanh(x.n + sigmoid(x.r + u.r) * u.n),
    },
    "peephole-lstm": lambda x, u, s, w: {
        "i": sigmoid(x.i + u.i + w.p_i * s.c),
        "f": sigmoid(x.f + u.f + w.p_f * s.c),
        "g": tanh(x.g + u.g),
        "o": sigmoid(x.o + u.o + w.p_o * _peephole_state(x, u, s, w)),
    },
    "cifg": lambda x, u, s, w: {"f": sigmoid(x.f + u.f), "g": tanh(x.g + u.g), "o": sigmoid(x.o + u.o)},
    "mgu": lambda x, u, s, w: {"f": sigmoid(x.f + u.f), "n": tanh(x.n + sigmoid(x.f + u.f) * u.n)},
    "ugrnn": lambda x, u, s, w: {"c": tanh(x.c + u.c), "g": sigmoid(x.g + u.g)},
    "indrnn": lambda x, u, s, w: {"h": relu(x.h + w.u_h * s.h)},
    "mingru": lambda x, u, s, w: {"z": sigmoid(x.z), "n": x.n},
    "minlstm": lambda x, u, s, w: {"f": sigmoid(x.f), "i": sigmoid(x.i), "n": x.n},
    "slstm": lambda x, u, s, w: {
        "i": x.i + u.i,
        "f": where(s.n > 0, s.m - softplus(-(x.f + u.f)), x.i + u.i),
        "z": tanh(x.z + u.z),
        "o": sigmoid(x.o + u.o),
    },
    "mine": lambda x, u, s, w: {
        "k": 0.5 * sigmoid(x.k + u.k + w.p * s.c),
        "c": tanh(x.c * u.c),
        "z": x.z + u.z,
    },
}


def _peephole_state(x: Any, u: Any, s: Any, w: Any) -> Tensor:
    kept = sigmoid(x.f + u.f + w.p_f * s.c) * s.c
    return kept + sigmoid(x.i + u.i + w.p_i * s.c) * tanh(x.g + u.g)


def cell_of(kind: str) -> Cell:
    return Mine if kind == "mine" else CELLS[kind]


def layer_of(kind: str, *sizes: int, seed: int = 1, **options: Any) -> elman.Recurrent:
    torch.manual_seed(seed)
    return elman.Recurrent(cell_of(kind), *sizes, **{"dtype": torch.float64} | options)


def test_every_cell_has_its_formulas() -> None:
    assert FORMULAS.keys() - {"mine"} <= CELLS.keys() and len(FORMULAS) >= 13


@pytest.mark.parametrize("engine", ["compiled", "eager"])
@pytest.mark.parametrize("kind", FORMULAS)
def test_gates_are_the_formulas(kind: str, engine: str) -> None:
    layer = layer_of(kind, I, H, engine=engine)
    x, hx = torch.randn(T, B, I, dtype=torch.float64), None
    output, final, states, gates = layer(x, hx, return_states=True, return_gates=True)
    assert tuple(gates) == layer.cell.gates
    every = states if isinstance(states, tuple) else (states,)
    weights = layer.stack().weights[0]
    for t in range(T):
        before = tuple(s[t - 1, 0] if t else torch.zeros_like(s[0, 0]) for s in every)
        x_t, u_t = (Named(layer.cell.gates, one) for one in products(layer.cell, x[t], before[0], weights))
        named = Named(layer.cell.state, before), Named(layer.cell.weights, weights.units)
        assert_same({g: v[t, 0] for g, v in gates.items()}, FORMULAS[kind](x_t, u_t, *named))
    assert_equal([output, final], layer(x, hx, lengths=[T] * B))


@pytest.mark.parametrize("kind", FORMULAS)
@settings(max_examples=12)
@given(data=st.data())
def test_every_layout_is_that_of_the_eager_loop(kind: str, data: st.DataObject) -> None:
    steps, batch = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    options = {"num_layers": data.draw(st.integers(1, 2)), "bidirectional": data.draw(st.booleans())}
    options |= {"bias": data.draw(st.booleans()), "batch_first": data.draw(st.booleans())}
    options |= {"zoneout": data.draw(st.sampled_from([0.0, 0.3])), "recompute": data.draw(st.booleans())}
    hidden = data.draw(st.integers(1, 20))
    layer = layer_of(kind, I, hidden, engine="compiled", **options)
    other = layer_of(kind, I, hidden, engine="eager", **options)
    x = torch.randn(steps, batch, I, dtype=torch.float64)
    call: dict[str, Any] = {"return_gates": True, "return_states": data.draw(st.booleans())}
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch))
    call |= {
        "lengths": lengths,
        "reset": torch.rand(steps, batch) > 0.7 if data.draw(st.booleans()) else None,
    }
    if layer.batch_first:
        x = x.transpose(0, 1)
        call["reset"] = None if call["reset"] is None else call["reset"].T
    results = []
    for one in (layer, other):
        torch.manual_seed(2)
        results.append(one(x, **call))
    assert_same(results[0], results[1])
    shape = (steps, options["num_layers"] * layer.directions, batch, hidden)
    gates = results[0][-1]
    assert all(tuple(gate.shape) == shape for gate in gates.values())
    for row, length in enumerate(lengths or []):
        assert all(not gate[length:, :, row].any() for gate in gates.values())
    pairs = [gradients(r, one.parameters()) for r, one in zip(results, (layer, other), strict=True)]
    assert_same(*pairs)
    with torch.no_grad():
        torch.manual_seed(2)
        assert_same(layer(x, **call), results[0])


def test_gates_change_nothing_else() -> None:
    """Random masks, outputs, states and gradients are those of a call without them."""
    options = {
        "zoneout": 0.3,
        "recurrent_dropout": 0.3,
        "weight_dropout": 0.2,
        "dropout": 0.4,
        "num_layers": 2,
    }
    for engine in ("compiled", "eager"):
        layer = layer_of("lstm", I, H, layer_norm=True, engine=engine, **options)
        x, results = torch.randn(T, B, I, dtype=torch.float64), []
        for gates in (False, True):
            torch.manual_seed(3)
            result = layer(x, return_states=True, return_gates=gates)[:3]
            results.append([*tensors(result), *gradients(result, layer.parameters())])
        assert_same(results[1], results[0])


def test_one_sequence_and_a_projection() -> None:
    x = torch.randn(T, I, dtype=torch.float64)
    layer = layer_of("lstm", I, H, 2)
    alone, batched = layer(x, return_gates=True)[2], layer(x.unsqueeze(1), return_gates=True)[2]
    assert_equal({g: v.unsqueeze(2) for g, v in alone.items()}, batched)
    projected = layer_of("elman", I, H, proj_size=2)
    output, _, gates = projected(x, return_gates=True)
    assert output.shape == (T, 2) and gates["h"].shape == (T, 1, H)
    assert_same(gates["h"][:, 0] @ projected.weight_hr_l0.T, output)


@pytest.mark.parametrize("kind", ["lstm", "mgu", "mine"])
def test_gradients_flow_through_gates(kind: str) -> None:
    layer = layer_of(kind, 2, 3)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)

    def gates(x: Tensor, *_: Tensor) -> list[Tensor]:
        return list(layer(x, lengths=[3, 2], return_gates=True)[2].values())

    assert torch.autograd.gradcheck(gates, (x, *layer.parameters()), fast_mode=True)
    assert torch.autograd.gradgradcheck(gates, (x,), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["f32", "bf16"])
def test_precisions(dtype: torch.dtype) -> None:
    layer = layer_of("gru", I, 32, dtype=dtype)
    x = torch.randn(T, B, I, dtype=dtype)
    exact = copy.deepcopy(layer).double()(x.double(), return_gates=True)
    result = layer(x, return_gates=True)
    for a, b in zip(tensors(result), tensors(exact), strict=True):
        assert a.dtype == dtype and (a - b).abs().max() <= 4 * torch.finfo(dtype).eps
    with torch.no_grad():
        layer.int8 = True
        rounded = layer(x, return_gates=True)
    for a, b in zip(tensors(rounded), tensors(exact), strict=True):
        assert (a - b).abs().max() <= 0.05


@pytest.mark.filterwarnings("ignore")  # of the compiler, about itself
def test_compiled_by_torch() -> None:
    layer = layer_of("lstm", I, H)
    x = torch.randn(T, B, I, dtype=torch.float64)
    torch._dynamo.reset()
    graph = torch.compile(lambda x: layer(x, return_gates=True), fullgraph=True, backend="aot_eager")
    expected, actual = layer(x, return_gates=True), graph(x)
    assert list(actual[2]) == list(expected[2])
    assert_same(actual, expected)
    assert_same(gradients(actual, layer.parameters()), gradients(expected, layer.parameters()))


def test_a_recording_holds_the_cell_as_it_was_written() -> None:
    for engine in ("compiled", "eager"):
        layer = layer_of("lstm", I, H, engine=engine, zoneout=0.1)
        x = torch.randn(T, B, I, dtype=torch.float64)
        seen = []
        for gates in (False, True):
            torch.manual_seed(4)
            with recorded() as passes:
                output = layer(x, return_gates=gates)[0]
                output.square().sum().backward()
            (one,) = passes
            assert one.cell is CELLS["lstm"] and len(one.noise.zoneout or ()) == 2
            seen.append((one.initial, one.states, one.gradients))
        assert_same(seen[1], seen[0])


def test_what_is_refused() -> None:
    x = torch.randn(T, B, I, dtype=torch.float64)
    layer = layer_of("lstm", I, H)
    with pytest.raises(elman.UsageError, match="return_gates with a tensor"):
        layer(pack_padded_sequence(x, [3, 2, 1]), return_gates=True)
    assert layer.explain(x, return_gates=True).startswith("compiled: ")
    layer.engine = "vendor"
    with pytest.raises(elman.UsageError, match="PyTorch's kernels return no gates"):
        layer(x, return_gates=True)


@pytest.mark.parametrize("kind", FORMULAS)
def test_the_observed_cell_computes_the_same(kind: str) -> None:
    base = cell_of(kind)
    seen = observed(base)
    assert base_of(seen) is base and base_of(base) is base and observed(base) is seen
    assert pickle.loads(pickle.dumps(observed(CELLS["gru"]))) is observed(CELLS["gru"])
    program, count = trace(seen), len(base.state)
    assert program.nodes[: len(trace(base).nodes)] == trace(base).nodes
    assert program.outputs[:count] == trace(base).outputs
    assert seen.state[count:] == tuple(f"gate.{g}" for g in base.gates)


def test_a_gate_is_not_looked_for_behind_a_state() -> None:
    @cell(gates="f n", state="h c")
    def Linear(x: Any, u: Any, s: Any) -> Any:
        c = sigmoid(x.f + u.f) * s.c + maximum(x.n, u.n)
        return tanh(c), c

    program = trace(Linear)
    values = gate_values(program)
    assert list(values) == ["f"] and program.nodes[values["f"]].op == "sigmoid"
