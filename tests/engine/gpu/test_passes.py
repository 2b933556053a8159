"""A GPU's kernels against the eager engine, in Triton's interpreter: every cell, option and gradient.

What a GPU alone can show is not shown here: bfloat16, TF32, programs that wait for each other, and speed.
"""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import elman
from compare import assert_same, gradients, tensors
from elman.cells import CELLS, Cell, cell
from elman.engine import compiled, eager, passes
from elman.engine.call import Spec, flatten
from elman.engine.gpu import launch
from elman.engine.gpu import passes as gpu_passes
from interpreted import interpreted, needs_triton
from scan_cases import ENOUGH, Awkward, Peepholes, assert_agrees, case, options

pytestmark = needs_triton
OUTPUTS, GRADIENTS = {torch.float32: 2e-5}, {torch.float32: 2e-5}
FIRST = (
    *("elman", "elman-relu", "lstm", "gru", "peephole-lstm", "cifg", "mgu", "ugrnn", "indrnn", "mingru"),
    *("minlstm", "slstm"),
)
FORMS = ("resident", "sliced", "streamed")


@cell(gates="a b", state="h")
def Waves(x: Any, u: Any, s: Any) -> Any:
    """Primitives that no built-in cell has."""
    bent = torch.nn.functional.gelu(x.a + u.a) + torch.nn.functional.silu(x.b) + torch.cos(u.b)
    return torch.clamp(torch.abs(bent) * torch.sqrt(1 + s.h * s.h), -0.5, 0.9) / (2 + x.a * x.a)


OWN: dict[str, Cell] = {"peepholes": Peepholes, "awkward": Awkward, "waves": Waves}
ALL: dict[str, Cell] = {name: CELLS[name] for name in FIRST} | OWN


@pytest.mark.parametrize(
    ("kind", "form"),
    [(kind, form) for kind in ALL for form in FORMS if form == FORMS[0] or ALL[kind].recurrent],
)
def test_every_cell_is_eager(kind: str, form: str) -> None:
    """More rows than a program has, and units that fill no block."""
    torch.manual_seed(1)
    with interpreted(form):
        drawn = case(ALL[kind], torch.float32, (3, 18, 3), 21, reverse=form == "streamed")
        assert_agrees(drawn, compiled, OUTPUTS, GRADIENTS)


HIDDEN = st.sampled_from([1, 16, 17, 33, 96])


@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([CELLS["lstm"], CELLS["gru"], CELLS["indrnn"], Peepholes, Awkward]),
    options(HIDDEN, most_steps=9, most_rows=20),
    st.sampled_from([1, 3]),
    st.sampled_from(FORMS),
    st.integers(0, 99),
)
def test_every_option_is_eager(cell: Cell, drawn: dict[str, Any], heads: int, form: str, seed: int) -> None:
    torch.manual_seed(seed)
    if cell.recurrent and drawn["hidden"] % heads == 0:
        drawn["heads"] = heads
    drawn["norm"] &= drawn["hidden"] * len(cell.gates) >= ENOUGH[torch.float32]
    with interpreted(form):
        assert_agrees(case(cell, torch.float32, **drawn), compiled, OUTPUTS, GRADIENTS)


@pytest.mark.parametrize("form", FORMS)
def test_all_options_at_once_are_eager(form: str) -> None:
    torch.manual_seed(2)
    more: dict[str, Any] = {"lengths": [4, 0, 2, 3, 1], "resets": True, "masked": True, "every": True}
    more |= {"reverse": form == "resident", "norm": form != "sliced"}  # no slice of normalised rows
    more["zoneout"] = "drawn" if form == "resident" else "constant"
    with interpreted(form):
        assert_agrees(
            case(CELLS["slstm"], torch.float32, (4, 5, 3), 20, **more), compiled, OUTPUTS, GRADIENTS
        )


@pytest.mark.parametrize(
    ("kind", "form", "norm"),
    [
        *((kind, "resident", False) for kind in ("lstm", "gru", "awkward")),
        *(("gru", form, form == "resident") for form in FORMS[:2]),
    ],
)
def test_heads_are_eager(kind: str, form: str, norm: bool) -> None:
    """Resident programs have one head each, of units that fill no block; elsewhere U is dense."""
    torch.manual_seed(9)
    more: dict[str, Any] = {"lengths": [4, 0, 2, 3, 1], "resets": True, "masked": True, "every": True}
    more |= {"reverse": kind == "gru", "zoneout": "drawn", "heads": 3, "norm": norm}
    with interpreted(form):
        assert_agrees(case(ALL[kind], torch.float32, (4, 5, 3), 21, **more), compiled, OUTPUTS, GRADIENTS)


def test_explain_says_where_heads_have_no_programs_of_their_own() -> None:
    x = torch.randn(2, 3, 3)
    with interpreted():
        for units, norm in ((16, False), (300, False), (16, True)):
            layer = elman.LSTM(3, 2 * units, heads=2, layer_norm=norm, engine="compiled")
            assert ("dense matrix" in layer.explain(x)) == (units > 16 or norm)


def test_nothing_in_the_padding_counts() -> None:
    torch.manual_seed(3)
    with interpreted():
        drawn = case(CELLS["lstm"], torch.float32, (4, 3, 2), lengths=[2, 4, 0], resets=True, reverse=True)
        inside = torch.arange(4).unsqueeze(1) < drawn.call.lengths
        with torch.no_grad():
            drawn.x[~inside] = torch.nan
        actual = drawn.by(compiled)
        assert all(t.isfinite().all() for t in [*tensors(actual), *gradients(actual, drawn.leaves)])
        assert not actual.output[~inside].any()


@pytest.mark.parametrize("form", FORMS)
def test_half_precision_is_rounded_float32(form: str) -> None:
    """The output, U and W are in half precision; sums, equations and the memory cell are not."""
    torch.manual_seed(4)
    drawn = case(CELLS["lstm"], torch.float32, (6, 5, 4), 20)
    with torch.no_grad():
        half = [t.half() for t in flatten(drawn.weights) if t is not None]
    spec = Spec(CELLS["lstm"], 20)
    request = spec.arguments(_half([drawn.x, *drawn.state, *flatten(drawn.weights), None, None, None]))
    expected = drawn.by(eager)
    wanted = gradients(expected.output, drawn.leaves)
    upstream = spec.result([torch.linspace(-1, 1, expected.output.numel()).view(6, 5, 20).half(), None, None])
    needed = spec.arguments([t is not None for t in flatten(request)])
    with interpreted(form), pytest.MonkeyPatch.context() as patch:
        patch.setattr(passes.plain, "TYPES", {"cpu": (torch.float16,)})
        result, trace = passes.forward(spec, request, keep=True)
        found = passes.backward(spec, request, trace, upstream, needed)
    assert half and {t.dtype for t in tensors(result)} == {torch.float16}
    assert trace.states[1].dtype == torch.float32
    assert_same([t.float() for t in tensors(result)], tensors(expected), "outputs", {torch.float32: 3e-3})
    assert_same([t.float() for t in tensors(found)], wanted, "gradients", {torch.float32: 1e-2})


def _half(values: list[Any]) -> list[Any]:
    return [None if v is None else v.detach().half() for v in values]


def test_second_derivatives_and_recompute_go_the_same_ways_as_on_the_cpu() -> None:
    torch.manual_seed(5)
    layers = [elman.GRU(3, 20, recompute=recompute, engine="compiled") for recompute in (False, True)]
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(5, 3, 3, requires_grad=True)
    results = []
    for layer, device in ((layers[0], "cpu"), (layers[0], "gpu"), (layers[1], "gpu")):
        with interpreted() if device == "gpu" else torch.enable_grad():
            loss = layer(x)[0].square().sum()
            (first,) = torch.autograd.grad(loss, x, retain_graph=True, create_graph=True)
            second = torch.autograd.grad(first.square().sum(), x, retain_graph=True)
            parts = [torch.autograd.grad(loss, [x, *layer.parameters()], retain_graph=True) for _ in range(2)]
            results.append([first, *second, *parts])
    for other in results[1:]:
        assert_same(other, results[0], within={torch.float32: 3e-5})


def test_where_a_slice_does_not_fit_u_is_streamed() -> None:
    """Each program's memory is estimated before Triton has compiled its kernel."""
    torch.manual_seed(8)

    class OutOfResources(Exception):
        """As Triton's, which it raises before a launch."""

    forms: list[str] = []
    with interpreted("sliced"), pytest.MonkeyPatch.context() as patch:
        start = launch.launch

        def small(plan: Any, *arguments: Any) -> None:
            forms.append("sliced" if plan.sliced else "streamed")
            if plan.sliced:
                raise OutOfResources
            start(plan, *arguments)

        patch.setattr(launch, "launch", small)
        patch.setattr(gpu_passes, "_too_large", set())
        drawn = case(CELLS["gru"], torch.float32, (3, 5, 4), 20)
        assert_agrees(drawn, compiled, OUTPUTS, GRADIENTS)
        assert forms[:4] == ["sliced", "streamed"] * 2  # forward, then backward
        forms.clear()
        drawn.by(compiled)
        assert set(forms) == {"streamed"}, "a slice is not tried again"


def test_an_empty_trace_has_the_form_of_the_real_one() -> None:
    torch.manual_seed(6)
    with interpreted():
        drawn = case(CELLS["peephole-lstm"], torch.float32, (3, 2, 4), 7, zoneout="constant", norm=True)
        spec = Spec(drawn.cell, 7, shares=(0.3, 0.3))
        request = spec.arguments([drawn.x, *drawn.state, *flatten(drawn.weights), None, None, None])
        kept, empty = passes.forward(spec, request, keep=True)[1], passes.empty_trace(spec, request)
        for real, form in zip(flatten(kept), flatten(empty), strict=True):
            assert (real is None) == (form is None)
            assert real is None or (real.shape, real.dtype) == (form.shape, form.dtype)


@pytest.mark.filterwarnings("ignore")  # of the compiler, about itself
def test_a_compiled_model_is_the_same() -> None:
    """One operator for every device."""
    torch._dynamo.reset()  # which remembers where other tests broke a graph
    torch.manual_seed(7)
    layer = elman.GRU(3, 20, engine="compiled")
    x = torch.randn(4, 2, 3, requires_grad=True)
    with interpreted():
        expected, actual = layer(x), torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
        assert_same(actual, expected)
        assert_same(gradients(actual, layer.parameters()), gradients(expected, layer.parameters()))
