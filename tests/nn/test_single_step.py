"""`RNNCell`, `LSTMCell` and `GRUCell` against torch.nn's."""

import copy
import inspect
import io
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrize

import elman
from compare import assert_equal, assert_same, gradients, tensors
from elman.engine.record import recorded

B, I, H = 3, 5, 32  # noqa: E741
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh": ("RNNCell", {}),
    "relu": ("RNNCell", {"nonlinearity": "relu"}),
    "gru": ("GRUCell", {}),
    "lstm": ("LSTMCell", {}),
}
ORDINARY = 0.1  # the size of ordinary values: a lone one may be near 0, the difference of two of them
ENGINES = ["auto", "compiled", "vendor", "eager"]


def both(kind: str, *sizes: Any, engine: str = "auto", **options: Any) -> tuple[Any, Any]:
    """torch.nn's cell and elman's with the same weights."""
    name, own = KINDS[kind]
    theirs = getattr(nn, name)(*sizes, **own, **options)
    ours = getattr(elman, name)(*sizes, **own, **options, engine=engine)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs, ours


def state_of(kind: str, *shape: int, **options: Any) -> Any:
    states = tuple(torch.randn(*shape, **options) for _ in range(2))
    return states if kind == "lstm" else states[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(
    batch=st.none() | st.integers(1, 6),
    inputs=st.integers(1, 9),
    hidden=st.integers(1, 33),
    bias=st.booleans(),
    begun=st.booleans(),
)
def test_steps_and_gradients_are_torchs(
    kind: str,
    engine: str,
    dtype: torch.dtype,
    batch: int | None,
    inputs: int,
    hidden: int,
    bias: bool,
    begun: bool,
) -> None:
    theirs, ours = both(kind, inputs, hidden, bias=bias, dtype=dtype, engine=engine)
    axes = () if batch is None else (batch,)
    x = torch.randn(*axes, inputs, dtype=dtype, requires_grad=True)
    hx = state_of(kind, *axes, hidden, dtype=dtype, requires_grad=True) if begun else None
    expected, actual = theirs(x, hx), ours(x, hx)
    assert_same(actual, expected, least=ORDINARY)
    leaves = [x, *tensors(hx)]
    assert_same(
        gradients(actual, [*leaves, *ours.parameters()]),
        gradients(expected, [*leaves, *theirs.parameters()]),
        least=ORDINARY,
    )
    with torch.no_grad():
        assert_same(ours(x, hx), expected, least=ORDINARY)
    assert isinstance(actual, type(expected))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_of_steps_is_the_layer(kind: str, engine: str) -> None:
    _, ours = both(kind, I, H, engine=engine)
    layer = elman.Recurrent(ours.cell, I, H)
    layer.load_state_dict({f"{name}_l0": p for name, p in ours.state_dict().items()})
    x, state, outputs = torch.randn(7, B, I), None, []
    for x_t in x:
        state = ours(x_t, state)
        outputs.append(tensors(state)[0])
    output, final = layer(x)
    assert_same([torch.stack(outputs), *tensors(state)], [output, *(s[0] for s in tensors(final))])


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_weights_and_printed_form(kind: str) -> None:
    name, own = KINDS[kind]
    for options in ({}, {"bias": False, "dtype": torch.float64}):
        torch.manual_seed(4)
        theirs = getattr(nn, name)(I, H, **own, **options)
        torch.manual_seed(4)
        ours = getattr(elman, name)(I, H, **own, **options)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert_equal(list(ours.parameters()), list(theirs.parameters()))
        assert repr(ours) == repr(theirs) and (ours.bias_ih is None) == (theirs.bias_ih is None)
    ours_arguments, theirs_arguments = (
        list(inspect.signature(getattr(one, name)).parameters) for one in (elman, nn)
    )
    assert ours_arguments[: len(theirs_arguments)] == theirs_arguments
    assert all(p.is_meta for p in getattr(elman, name)(I, H, device="meta").parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_copies_pickles_and_casts(kind: str) -> None:
    theirs, ours = both(kind, I, H)
    x, saved = torch.randn(B, I), io.BytesIO()
    with torch.no_grad():
        expected = ours(x)
        torch.save(ours, saved)
        saved.seek(0)
        twins = (
            copy.deepcopy(ours),
            pickle.loads(pickle.dumps(ours)),
            torch.load(saved, weights_only=False),
        )
        for twin in twins:
            assert_equal(twin(x), expected)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        assert_same(ours.to(dtype)(x.to(dtype)), theirs.to(dtype)(x.to(dtype)), within={dtype: 1e-10})


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_torchs(kind: str) -> None:
    theirs, ours = both(kind, I, H)
    x, hx = torch.randn(B, I), state_of(kind, B, H)
    for grad in (True, False):
        with torch.set_grad_enabled(grad), torch.autocast("cpu", torch.bfloat16):
            assert_equal(ours(x, hx), theirs(x, hx))


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_torchs(kind: str) -> None:
    theirs, ours = both(kind, I, H, dtype=torch.float64)
    x = torch.randn(B, I, dtype=torch.float64, requires_grad=True)
    second = []
    for one in (theirs, ours):
        output = tensors(one(x))[0]
        (first,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        second.append(torch.autograd.grad(first.square().sum(), [x, *one.parameters()]))
    assert_same(second[1], second[0])
    assert torch.autograd.gradgradcheck(lambda x: tensors(ours(x))[0], (x,))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch, about its own script
@pytest.mark.parametrize("kind", KINDS)
def test_transforms(kind: str) -> None:
    theirs, ours = both(kind, I, H)
    x = torch.randn(4, B, I)
    expected = [torch.stack(parts) for parts in zip(*(tensors(theirs(one)) for one in x), strict=True)]
    assert_same(torch.func.vmap(ours)(x), expected)
    with torch.no_grad():
        assert_same(torch.func.vmap(ours)(x), expected)
    _, tangent = torch.func.jvp(lambda x: tensors(ours(x))[0], (x[0],), (x[1],))
    nearby = [tensors(theirs.double()(x[0].double() + e * x[1].double()))[0] for e in (1e-5, -1e-5)]
    assert (tangent - (nearby[0] - nearby[1]) / 2e-5).abs().max() < 1e-4
    theirs.float()
    doubled = {name: 2 * p for name, p in ours.named_parameters()}
    expected = torch.func.functional_call(theirs, doubled, x[0])
    assert_same(torch.func.functional_call(ours, doubled, x[0]), expected)
    with torch.no_grad():
        assert_same(torch.func.functional_call(ours, doubled, x[0]), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_traced_and_exported(kind: str) -> None:
    _, ours = both(kind, I, H)
    x, hx = torch.randn(B, I), state_of(kind, B, H)
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            assert_same(torch.jit.trace(ours, (x, hx))(2 * x, hx), ours(2 * x, hx))
    assert_same(torch.export.export(ours, (x, hx)).module()(2 * x, hx), ours(2 * x, hx))


@pytest.mark.filterwarnings("ignore")  # of the compiler, about itself
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_compiled_by_torch(kind: str) -> None:
    _, ours = both(kind, I, H)
    torch._dynamo.reset()
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    x, hx = torch.randn(B, I, requires_grad=True), state_of(kind, B, H)
    expected, actual = ours(x, hx), compiled(x, hx)
    assert_same(actual, expected)
    assert_same(gradients(actual, [x, *ours.parameters()]), gradients(expected, [x, *ours.parameters()]))
    with torch.no_grad():
        assert_same(compiled(x, hx), expected)


def one_number(cell: Any) -> None:
    cell.weight_hh.data[1, 2] += 1


def in_place(cell: Any) -> None:
    with torch.no_grad():
        cell.bias_ih[3] += 1


def replaced(cell: Any) -> None:
    cell.weight_ih = nn.Parameter(torch.rand_like(cell.weight_ih))


def parametrized(cell: Any) -> None:
    class Doubled(nn.Module):
        def forward(self, weight: Tensor) -> Tensor:
            return 2 * weight

    parametrize.register_parametrization(cell, "weight_hh", Doubled())


@pytest.mark.parametrize("change", [one_number, in_place, replaced, parametrized])
def test_every_change_of_a_weight_is_noticed(change: Any) -> None:
    _, ours = both("gru", I, H)
    x, hx = torch.randn(B, I), torch.randn(B, H)
    with torch.no_grad():
        before = ours(x, hx)
        change(ours)
        after = ours(x, hx)
    assert_same(after, ours(x, hx))
    assert not torch.allclose(after, before)


@pytest.mark.parametrize(
    ("kind", "rows", "engine"),
    [("lstm", B, "compiled"), ("lstm", 1, "vendor"), ("tanh", B, "vendor"), ("tanh", 256, "compiled")],
)
def test_which_engine_runs(kind: str, rows: int, engine: str) -> None:
    _, ours = both(kind, I, H)
    x = torch.randn(rows, I)
    assert ours.explain(x).startswith("vendor: ")
    with torch.no_grad():
        assert ours.explain(x).startswith(f"{engine}: ")
    assert any(call is not None for call in ours._calls.values()) == (engine == "compiled")
    assert elman.GRUCell(I, H, engine="eager").explain(x) == "eager: asked for"


def test_a_state_may_be_changed_in_place() -> None:
    _, ours = both("lstm", I, H)
    x, hx = torch.randn(B, I), state_of("lstm", B, H)
    with torch.no_grad():
        first = ours(x, hx)
        kept = copy.deepcopy(first)
        second = ours(x, first)
        assert_equal(first, kept)
        second[0].zero_()
        assert_equal(ours(x, hx), kept)


def test_a_recording_sees_every_step() -> None:
    _, ours = both("gru", I, H)
    x = torch.randn(B, I)
    with recorded() as passes, torch.no_grad():
        new = ours(x)
    assert len(passes) == 1
    assert_same(passes[0].states[0][0], new)


@pytest.mark.parametrize(
    ("kind", "engine"), [("tanh", "auto"), ("gru", "vendor"), ("lstm", "auto"), ("lstm", "compiled")]
)
def test_wrong_inputs_are_said_in_a_sentence(kind: str, engine: str) -> None:
    _, ours = both(kind, I, H, engine=engine)
    x, hx = torch.randn(B, I), state_of(kind, B, H)
    name = "h"
    cases: list[tuple[Any, Any, str]] = [
        ([1.0] * I, None, r"input must be a tensor \(B, I\) or \(I\), not list"),
        (torch.randn(2, B, I), None, r"input must be \(B, I\) or \(I\), not \(2, 3, 5\)"),
        (torch.randn(B, I + 1), None, "the last axis of input must be input_size 5, not 6"),
        (x.double(), None, "input is torch.float64 but the weights are torch.float32"),
        (x.to("meta"), None, "input is on meta but the weights are on cpu"),
        (x, state_of(kind, B + 1, H), rf"state {name} must be \(3, 32\), not \(4, 32\)"),
        (x, state_of(kind, H), rf"state {name} must be \(3, 32\), not \(32,\)"),
        (x[0], state_of(kind, B, H), rf"state {name} must be \(32,\), not \(3, 32\)"),
        (x, state_of(kind, B, H, dtype=torch.float64), f"state {name} is torch.float64 but input is"),
        (x, "zeros", "the state must be a tensor or a tuple of tensors, not str"),
        (x, (*tensors(hx), hx), "the state"),
    ]
    for grad in (True, False):
        for given_x, given_hx, sentence in cases:
            with torch.set_grad_enabled(grad), pytest.raises(elman.UsageError, match=sentence):
                ours(given_x, given_hx)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ["auto", "vendor"])
def test_other_numbers_of_axes_do_not_broadcast(kind: str, engine: str) -> None:
    _, ours = both(kind, H, H, engine=engine)  # where every product would fit
    for x, state in (
        (torch.randn(H, H), state_of(kind, H)),
        (torch.randn(H), state_of(kind, H, H)),
        (torch.randn(H, H, H), state_of(kind, H, H)),
        (torch.randn(1, H, H), None),
    ):
        for grad in (True, False):
            with torch.set_grad_enabled(grad), pytest.raises(elman.UsageError, match="must be"):
                ours(x, state)


def test_wrong_sizes_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"input_size": 0}, "input_size must be a whole number from 1, not 0"),
        ({"hidden_size": 2.5}, "hidden_size must be a whole number from 1, not 2.5"),
        ({"bias": 1}, "bias must be True or False, not 1"),
        ({"engine": "fast"}, "engine must be one of"),
        ({"nonlinearity": "sin"}, 'nonlinearity must be "tanh" or "relu"'),
    ]
    for options, sentence in wrong:
        with pytest.raises(elman.UsageError, match=sentence):
            elman.RNNCell(**({"input_size": 3, "hidden_size": 4} | options))
