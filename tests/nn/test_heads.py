"""Layers with heads against layers whose recurrent matrix is block-diagonal, which the eager engine runs."""

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import elman
from compare import assert_equal, assert_same, gradients, tensors
from elman.cells import CELLS
from elman.engine import heads
from elman.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")
RECURRENT = [name for name, cell in CELLS.items() if cell.recurrent]
quick = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])


def without_heads(layer: elman.Recurrent, engine: Any = "eager", **more: Any) -> elman.Recurrent:
    """The same layer with the whole matrix, for which this test has code of its own."""
    options = {"num_layers": layer.num_layers, "bidirectional": layer.bidirectional, "int8": layer.int8}
    options |= {"layer_norm": layer.layer_norm, "zoneout": layer.zoneout, "batch_first": layer.batch_first}
    sizes = layer.input_size, layer.hidden_size
    plain = elman.Recurrent(layer.cell, *sizes, engine=engine, dtype=layer.weight_ih_l0.dtype, **options)
    plain.load_state_dict({name: whole(layer, name, p) for name, p in layer.state_dict().items()})
    return plain.train(layer.training)


def whole(layer: elman.Recurrent, name: str, parameter: Tensor) -> Tensor:
    if not name.startswith("weight_hh"):
        return parameter
    gates = parameter.chunk(len(layer.cell.gates))
    return torch.cat([torch.block_diag(*gate.chunk(layer.heads)) for gate in gates])


def same_gradients(
    layer: elman.Recurrent, plain: elman.Recurrent, x: Tensor, outputs: Any, expected: Any
) -> None:
    found = dict(zip(dict(layer.named_parameters()), gradients(outputs, [*layer.parameters()]), strict=True))
    wanted = dict(
        zip(dict(plain.named_parameters()), gradients(expected, [*plain.parameters()]), strict=True)
    )
    for name, gradient in wanted.items():
        blocks = heads.compact(gradient, layer.heads) if name.startswith("weight_hh") else gradient
        assert_same(found[name], blocks, name)
    assert_same(gradients(outputs, [x]), gradients(expected, [x]))


@pytest.mark.parametrize("kind", RECURRENT)
def test_every_cell_is_a_layer_with_a_block_diagonal_matrix(kind: str) -> None:
    torch.manual_seed(1)
    layer = elman.Recurrent(kind, 3, 12, 2, heads=3, bidirectional=True, dtype=torch.float64)
    plain, x = without_heads(layer), torch.randn(5, 4, 3, dtype=torch.float64, requires_grad=True)
    outputs, expected = layer(x), plain(x)
    assert layer.weight_hh_l0.shape == (len(layer.cell.gates) * 12, 4)
    assert layer.explain(x).startswith("compiled")
    assert_same(outputs, expected)
    same_gradients(layer, plain, x, outputs, expected)


@quick
@given(
    st.sampled_from(["lstm", "gru", "slstm", "peephole-lstm"]),
    st.integers(1, 4),
    st.integers(1, 6),
    st.sampled_from(["auto", "eager"]),
    st.fixed_dictionaries({"zoneout": st.sampled_from([0.0, 0.3]), "layer_norm": st.booleans()}),
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
    st.booleans(),
)
def test_every_option_is_that_of_a_layer_without_heads(
    kind: str, count: int, size: int, engine: Any, options: Any, lengths: list[int], resets: bool
) -> None:
    torch.manual_seed(2)
    size += options["layer_norm"]  # the deviation of one number is rounding only
    kinds: dict[str, Any] = {"dtype": torch.float64, "bidirectional": True}
    layer = elman.Recurrent(kind, 3, count * size, heads=count, engine=engine, **kinds, **options).eval()
    plain, x = without_heads(layer), torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    reset = torch.rand(4, 3) < 0.3 if resets else None
    asked: dict[str, Any] = {"lengths": lengths, "reset": reset, "return_states": True, "return_gates": True}
    outputs, expected = layer(x, **asked), plain(x, **asked)
    assert_same(outputs, expected)
    same_gradients(layer, plain, x, outputs, expected)


@pytest.mark.parametrize("options", [{"int8": True}, {"layer_norm": True}, {}], ids=str)
@pytest.mark.parametrize("size", [5, 32])
def test_outputs_have_the_bits_of_a_dense_matrix(size: int, options: Any) -> None:
    """Zeros of the matrix add nothing: whole sequences, single steps, streams and pools."""
    torch.manual_seed(3)
    layer = elman.LSTM(3, 4 * size, 2, heads=4, **options).eval()
    plain, x = without_heads(layer, "auto"), torch.randn(6, 3, 3)
    assert_equal(layer(x), plain(x))
    with torch.no_grad():
        assert_equal(layer(x), plain(x))
        assert_equal(layer.step(x[0]), plain.step(x[0]))
    streams, pools = (layer.stream(3), plain.stream(3)), (layer.pool(4), plain.pool(4))
    for pool in pools:
        for _ in range(3):
            pool.open()
    for row in x:
        assert_equal(streams[0].push(row), streams[1].push(row))
        assert_equal(pools[0].push([0, 1, 2], row), pools[1].push([0, 1, 2], row))


def test_explain_says_where_heads_are_a_dense_matrix() -> None:
    x, said = torch.randn(6, 3, 3), ", its heads as one dense matrix"
    assert elman.GRU(3, 20, heads=4).explain(x).endswith(said)
    assert "heads" not in elman.GRU(3, 64, heads=2).explain(x)
    assert "heads" not in elman.GRU(3, 20).explain(x)
    assert elman.GRU(3, 64, heads=2, engine="vendor").explain(x).endswith("computes the same" + said)
    rounded = elman.GRU(3, 64, heads=2, int8=True)
    with torch.no_grad():
        assert rounded.explain(x).endswith(said)
    assert "heads" not in rounded.explain(x), "weights are not rounded for training"


def test_a_change_of_weights_is_noticed() -> None:
    torch.manual_seed(4)
    layer, x = elman.GRU(3, 64, heads=2), torch.randn(6, 3, 3)
    with torch.no_grad():
        before = layer(x)[0]
        layer.weight_hh_l0.data[5, 7] += 1.0
        assert not torch.equal(layer(x)[0], before)
        assert_equal(layer(x), without_heads(layer, "auto")(x))


def test_recompute_and_second_derivatives() -> None:
    torch.manual_seed(5)
    kind: dict[str, Any] = {"dtype": torch.float64}
    layer = elman.GRU(3, 8, heads=4, **kind)
    little = elman.GRU(3, 8, heads=4, recompute=True, **kind)
    little.load_state_dict(layer.state_dict())
    plain, x = without_heads(layer), torch.randn(9, 2, 3, requires_grad=True, **kind)
    expected = plain(x)
    for one in (layer, little):
        same_gradients(one, plain, x, one(x), expected)
    seconds = []
    for one in (layer, plain):
        (first,) = torch.autograd.grad(one(x)[0].square().sum(), x, create_graph=True)
        seconds.append(torch.autograd.grad(first.square().sum(), [x, one.weight_hh_l0]))
    assert_same(seconds[0][0], seconds[1][0])
    assert_same(seconds[0][1], heads.compact(seconds[1][1], 4))


def test_masks_of_training() -> None:
    """Dropped weights stay dropped, and a mask of h acts within each head."""
    torch.manual_seed(6)
    kind: dict[str, Any] = {"heads": 2, "dtype": torch.float64}
    results = []
    for engine in ("auto", "eager"):
        torch.manual_seed(7)
        layer = elman.LSTM(
            3, 8, weight_dropout=0.5, recurrent_dropout=0.3, zoneout=0.2, engine=engine, **kind
        )
        x = torch.linspace(-1, 1, 60, dtype=torch.float64).view(5, 4, 3)
        outputs = layer(x)
        results.append([*tensors(outputs), *gradients(outputs, layer.parameters())])
    assert_same(*results)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast(half: torch.dtype) -> None:
    torch.manual_seed(8)
    layer, x = elman.GRU(4, 64, heads=2).eval(), torch.randn(5, 3, 4)
    plain = without_heads(layer, "auto")
    with torch.autocast("cpu", half):
        assert_equal(layer(x), plain(x))
    assert_equal(layer.to(half)(x.to(half)), plain.to(half)(x.to(half)))


def test_graphs_have_the_operator() -> None:
    torch._dynamo.reset()  # which remembers where other tests broke a graph
    torch.manual_seed(9)
    layer, x = elman.LSTM(3, 8, heads=2), torch.randn(4, 2, 3)
    program = torch.export.export(layer, (x,))
    assert "elman.scan" in str(program.graph)
    assert_equal(program.module()(x), layer(x))
    graph = torch.compile(layer, fullgraph=True, backend="aot_eager")
    outputs, expected = graph(x), layer(x)
    assert_equal(outputs, expected)
    found, wanted = gradients(outputs, layer.parameters()), gradients(expected, layer.parameters())
    assert_same(found, wanted)


def test_pytorchs_kernels_get_the_dense_matrix() -> None:
    torch.manual_seed(10)
    layer, x = elman.LSTM(3, 8, heads=2, engine="vendor"), torch.randn(4, 2, 3, requires_grad=True)
    plain = without_heads(layer)
    outputs, expected = layer(x), plain(x)
    assert_same(outputs, expected)
    same_gradients(layer, plain, x, outputs, expected)


def test_copies_and_files_keep_the_heads() -> None:
    torch.manual_seed(11)
    layer, x = elman.GRU(3, 8, heads=2), torch.randn(4, 2, 3)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), elman.GRU(3, 8, heads=2)):
        other.load_state_dict(layer.state_dict())
        assert_equal(other(x), layer(x))
        assert str(other) == "GRU(3, 8, heads=2)"
    with pytest.raises(RuntimeError, match="size mismatch"):
        elman.GRU(3, 8).load_state_dict(layer.state_dict())


def test_one_head_draws_the_numbers_of_no_heads() -> None:
    layers = []
    for more in ({}, {"heads": 1}):
        torch.manual_seed(12)
        layers.append(elman.LSTM(3, 8, **more).state_dict())
    assert_equal(*layers)


def test_first_weights_of_a_head_are_those_of_a_layer_of_its_size() -> None:
    torch.manual_seed(13)
    layer = elman.Recurrent("gru", 3, 64, heads=16, recurrent_init="orthogonal")
    for block in layer.weight_hh_l0.detach().split(4):
        torch.testing.assert_close(block @ block.T, torch.eye(4))
    uniform = elman.Recurrent("gru", 3, 64, heads=16)
    assert 0.45 < uniform.weight_hh_l0.abs().max() <= 0.5
    assert uniform.weight_ih_l0.abs().max() <= 0.125


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("lstm", {"heads": 3}, "heads must divide hidden_size 8, which 3 doesn't"),
        ("lstm", {"heads": 0}, "heads must be a whole number from 1, not 0"),
        ("lstm", {"heads": 2.5}, "heads must be a whole number from 1, not 2.5"),
        ("lstm", {"heads": True}, "heads must be a whole number from 1, not True"),
        ("lstm", {"heads": 2, "proj_size": 4}, "heads divide the units, which proj_size mixes"),
        ("indrnn", {"heads": 2}, "IndRNN has no recurrent matrix to divide among heads=2"),
    ],
)
def test_refusals(kind: str, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        elman.Recurrent(kind, 3, 8, **options)


@pytest.mark.parametrize("engine", ["auto", "compiled", "eager"])
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("number", [0, 2.5, 3, 257])
def test_units_that_heads_cannot_share_are_refused_in_every_call(
    number: float, grad: bool, engine: Any
) -> None:
    """Though the matrix is as narrow as heads say: a kernel would read all of H columns."""
    layer, x = elman.GRU(5, 256, engine=engine), torch.randn(4, 2, 5)
    layer(x)
    layer.heads = number  # type: ignore[assignment]
    layer.weight_hh_l0 = torch.nn.Parameter(torch.zeros(768, int(256 // (number or 3))))
    with torch.set_grad_enabled(grad):
        for call in (lambda: layer(x), lambda: layer.step(x[0]), lambda: layer.stream(2)):
            with pytest.raises(
                UsageError, match=f"heads must divide hidden_size 256, which {number} doesn't"
            ):
                call()


def test_heads_cannot_change_once_a_layer_is_built() -> None:
    layer, x = elman.GRU(3, 8, heads=2), torch.randn(4, 2, 3)
    layer.heads = 4
    with pytest.raises(UsageError, match=r"weight_hh_l0 must be \(24, 2\), not \(24, 4\)"):
        layer(x)
