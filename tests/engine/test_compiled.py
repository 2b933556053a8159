"""The compiled engine against the eager one: every cell, every option, outputs and gradients."""

import threading
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

import elman
from compare import assert_same, gradients, tensors
from elman.cells import CELLS, Cell
from elman.engine import compiled, eager
from elman.engine.call import flatten, unflatten
from scan_cases import ENOUGH, Awkward, Case, Peepholes, assert_agrees, case, options

OUTPUTS = {torch.float32: 2e-6, torch.float64: 1e-12}
GRADIENTS = {torch.float32: 1e-5, torch.float64: 1e-11}
HIDDEN = (1, 7, 16, 37)
OWN = {"peepholes": Peepholes, "awkward": Awkward}
# Layer normalisation divides by a row's deviation, and rounding errors with it.
NORMALISED = {torch.float32: 2e-5, torch.float64: 1e-12}


def assert_eager(given: Case) -> None:
    assert_agrees(given, compiled, OUTPUTS if given.weights.gain_ih is None else NORMALISED, GRADIENTS)


quick = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("kind", [*CELLS, *OWN])
def test_every_cell_is_eager(kind: str, dtype: torch.dtype, norm: bool) -> None:
    torch.manual_seed(1)
    c = CELLS.get(kind) or OWN[kind]
    for hidden in HIDDEN:
        if norm and hidden * len(c.gates) < ENOUGH[dtype]:
            continue
        for batch, reverse in ((1, False), (5, True)):
            assert_eager(case(c, dtype, (6, batch, 3), hidden, reverse=reverse, norm=norm))


CLASSIC_AND_OWN = st.sampled_from([CELLS["lstm"], CELLS["gru"], CELLS["indrnn"], Peepholes])


@quick
@given(
    CLASSIC_AND_OWN,
    options(st.sampled_from(HIDDEN) | st.integers(1, 20)),
    st.sampled_from([1, 1, 2, 3]),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
def test_every_option_is_eager(
    cell: Cell, drawn: dict[str, Any], heads: int, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    if cell.recurrent and heads > 1:
        units = 32 if drawn["hidden"] > 16 else drawn["hidden"]  # which fill panels, or not
        drawn |= {"hidden": heads * units, "heads": heads}
    few = drawn["hidden"] * len(cell.gates)
    if drawn["norm"] and few < ENOUGH[torch.float32]:
        dtype = torch.float64
        drawn["norm"] = few >= ENOUGH[dtype]
    assert_eager(case(cell, dtype, **drawn))


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("kind", CELLS)
def test_all_options_at_once_are_eager(kind: str, norm: bool) -> None:
    torch.manual_seed(2)
    every: dict[str, Any] = {"lengths": [4, 0, 2, 3, 1], "resets": True, "masked": True, "every": True}
    for reverse, zoneout in ((False, "drawn"), (True, "constant")):
        more = {"reverse": reverse, "zoneout": zoneout, "norm": norm}
        assert_eager(case(CELLS[kind], torch.float64, (4, 5, 3), 7, **every, **more))


@pytest.mark.parametrize(
    ("kind", "dtype"), [("gru", DTYPES[0]), ("gru", DTYPES[1]), ("slstm", DTYPES[1]), ("awkward", DTYPES[0])]
)
def test_heads_are_eager(kind: str, dtype: torch.dtype) -> None:
    """Those that fill panels are multiplied one by one, on any processor if they have 32 units."""
    torch.manual_seed(2)
    c = CELLS.get(kind) or OWN[kind]
    every: dict[str, Any] = {"lengths": [4, 0, 2, 3, 1], "resets": True, "masked": True, "every": True}
    for norm in (False, True):
        more = {"reverse": norm, "zoneout": "drawn", "norm": norm, "heads": 2}
        assert_eager(case(c, dtype, (4, 5, 3), 64, **every, **more))
    for hidden, heads in ((64, 2), (21, 3)):
        assert_eager(case(c, dtype, (6, 3, 3), hidden, heads=heads))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_nothing_in_the_padding_counts(reverse: bool, masked: bool) -> None:
    """Not even what isn't a number: neither in outputs nor in gradients."""
    torch.manual_seed(3)
    for kind in CELLS:
        given = case(
            CELLS[kind],
            torch.float64,
            (4, 3, 2),
            lengths=[2, 4, 0],
            resets=True,
            reverse=reverse,
            masked=masked,
            norm=masked,
        )
        inside = torch.arange(4).unsqueeze(1) < given.call.lengths
        with torch.no_grad():
            given.x[~inside] = torch.nan
        actual = given.by(compiled)
        assert all(t.isfinite().all() for t in tensors(actual))
        assert not actual.output[~inside].any()
        assert all(g.isfinite().all() for g in gradients(actual, given.leaves)), kind
        assert_eager(given)


def test_inputs_of_any_strides() -> None:
    torch.manual_seed(4)
    given = case(CELLS["gru"], torch.float32, (5, 3, 8), 16)
    expected = given.by(compiled)
    wide = torch.randn(3, 5, 16)
    spread = torch.randn(8, 3, 5)
    for x in (wide[:, :, 4:12].transpose(0, 1), wide[..., ::2].transpose(0, 1), spread.permute(2, 1, 0)):
        assert x.shape == given.x.shape and not x.is_contiguous()
        leaf = x.detach().copy_(given.x.detach()).requires_grad_()
        other = given._replace(x=leaf)
        actual = other.by(compiled)
        assert torch.equal(actual.output, expected.output)
        assert_same(gradients(actual, other.leaves), gradients(expected, given.leaves))
    constant = given.x[:1].expand(5, 3, 8)
    assert_same(given._replace(x=constant).by(compiled), given._replace(x=constant.contiguous()).by(eager))


@pytest.mark.parametrize("kind", ["lstm", "gru", "slstm", "own"])
def test_gradients_of_gradients(kind: str) -> None:
    """Against finite differences; the second derivatives are the eager engine's."""
    torch.manual_seed(5)
    for more in (
        {},
        {"lengths": [1, 3], "resets": True, "reverse": True, "zoneout": "constant", "every": True},
        {"norm": True},
    ):
        given = case(CELLS.get(kind, Peepholes), torch.float64, (3, 2, 2), 3, **more)
        count = len(given.state)

        def run(*leaves: Tensor, given: Case = given, count: int = count) -> tuple[Tensor, ...]:
            x, state, rest = leaves[0], leaves[1 : 1 + count], iter(leaves[1 + count :])
            present = [None if old is None else next(rest) for old in flatten(given.weights)]
            weights = unflatten(given.weights, present)
            return tuple(tensors(given._replace(x=x, state=state, weights=weights).by(compiled)))

        inputs = tuple(given.leaves)
        assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
        assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


def test_backward_twice_gives_the_same() -> None:
    torch.manual_seed(6)
    ragged = {"lengths": [1, 4, 0], "resets": True, "masked": True, "zoneout": "drawn"}
    for more in ({}, ragged, {"norm": True}):
        given = case(CELLS["lstm"], torch.float32, **more)
        result = given.by(compiled)
        # twice through `gradients`, which retains the graph
        first, second = gradients(result, given.leaves), gradients(result, given.leaves)
        for a, b in zip(first, second, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_only_wanted_gradients_are_computed(norm: bool) -> None:
    torch.manual_seed(7)
    given = case(CELLS["peephole-lstm"], torch.float64, norm=norm)
    expected = gradients(given.by(eager), given.leaves)
    for wanted in range(len(given.leaves)):
        for k, leaf in enumerate(given.leaves):
            leaf.requires_grad_(k == wanted)
        result = given.by(compiled)
        assert_same(gradients(result, given.leaves[wanted : wanted + 1]), expected[wanted : wanted + 1])


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
def test_a_gradient_may_be_changed_in_place(norm: bool) -> None:
    """No two gradients share memory."""
    torch.manual_seed(8)
    given = case(CELLS["lstm"], torch.float64, hidden=16, norm=norm)
    expected = gradients(given.by(eager), given.leaves)
    found = gradients(given.by(compiled), given.leaves)
    for k, g in enumerate(found):
        g.zero_()
        assert_same(found[k + 1 :], expected[k + 1 :], k) if k + 1 < len(found) else None


def test_gradients_from_a_part_of_the_outputs() -> None:
    """The final state alone, one step alone, every state alone."""
    torch.manual_seed(9)
    given = case(CELLS["lstm"], torch.float64, (5, 3, 2), lengths=[5, 2, 0], every=True)
    parts = (
        lambda r: [r.state[1]],
        lambda r: [r.state[0]],
        lambda r: [r.output[2]],
        lambda r: [r.every[1][3]],
        lambda r: [r.every[0], r.state[0]],
    )
    for part in parts:
        found = [gradients(part(given.by(engine)), given.leaves) for engine in (compiled, eager)]
        assert_same(*found, within=GRADIENTS)


COMPILED_OBSTACLES: list[tuple[dict[str, Any], Tensor, str]] = [
    ({"proj_size": 2}, torch.zeros(3, 2, 2), "kernels have no projection"),
    ({}, torch.zeros(0, 2, 2), "there is nothing to compute"),
    ({}, torch.zeros(3, 0, 2), "there is nothing to compute"),
    (
        {"dtype": torch.complex64},
        torch.zeros(3, 2, 2, dtype=torch.complex64),
        "kernels are float32 or float64, not torch.complex64",
    ),
    (
        {"device": "meta"},
        torch.zeros(3, 2, 2, device="meta"),
        "kernels are compiled for the CPU and for CUDA, not for meta",
    ),
]


@pytest.mark.parametrize(("options", "x", "reason"), COMPILED_OBSTACLES, ids=lambda v: "")
def test_explain_says_why_no_kernel_is_compiled(options: dict[str, Any], x: Tensor, reason: str) -> None:
    layer = elman.LSTM(2, 3, **options)
    explained = layer.explain(x)
    assert reason in explained and not explained.startswith("compiled")
    layer.engine = "compiled"
    with pytest.raises(
        elman.UsageError, match=f'engine="compiled" can\'t run this: {reason}; use engine="auto"'
    ):
        layer(x)


class Marked(Tensor):
    """A tensor with a mind of its own."""


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_explain_says_which_inputs_kernels_leave_to_plain_operations() -> None:
    layer, reasons = elman.LSTM(2, 3), []
    x = torch.zeros(3, 2, 2)
    assert "kernels take plain tensors, not Marked" in layer.explain(x.as_subclass(Marked))
    torch.func.vmap(lambda one: reasons.append(layer.explain(one)) or one)(x.unsqueeze(0))
    torch.func.jvp(lambda one: reasons.append(layer.explain(one)) or one, (x,), (x,))
    expected = "eager: torch.func transforms and forward-mode derivatives need plain operations"
    assert reasons == [expected, expected]


HOOKS: dict[str, Any] = {
    "float64": lambda t: t.double() if t.is_floating_point() else t,
    "half": lambda t: t.half() if t.is_floating_point() else t,
    "meta": lambda t: t.to("meta"),
    "a part": lambda t: t[1:],
    "a number": lambda t: t.flatten()[0],
    "another axis": lambda t: t.unsqueeze(0),
    "no tensor": lambda t: t.tolist(),
}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("hook", HOOKS)
def test_saved_tensors_that_come_back_as_others_are_refused(hook: str, recompute: bool) -> None:
    layer = elman.LSTM(5, 16, recompute=recompute, engine="compiled")
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, HOOKS[hook]):
        output = layer(torch.randn(4, 3, 5), lengths=[4, 0, 2])[0]
    with pytest.raises((elman.UsageError, RuntimeError, TypeError)):
        output.sum().backward()


LAYOUTS: dict[str, Any] = {
    "every second": lambda t: torch.stack([t, t], -1)[..., 0],
    "turned": lambda t: t.transpose(0, -1).contiguous().transpose(0, -1),
    "negative": lambda t: torch.complex(t, -t).conj().imag if t.is_floating_point() else t,
    "copied": lambda t: t.clone(),
}


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("hook", LAYOUTS)
def test_saved_tensors_may_come_back_in_another_layout(hook: str, recompute: bool) -> None:
    layer = elman.LSTM(5, 16, recompute=recompute, engine="compiled")
    x = torch.randn(4, 3, 5, requires_grad=True)
    expected = gradients(layer(x, lengths=[4, 0, 2])[0], [x, *layer.parameters()])
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, LAYOUTS[hook]):
        output = layer(x, lengths=[4, 0, 2])[0]
    assert_same(gradients(output, [x, *layer.parameters()]), expected)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_weight_that_changes_its_shape_or_dtype_before_the_backward_pass(recompute: bool) -> None:
    def turned(weight: Tensor) -> Tensor:
        return weight[:, :3].clone()

    for change in (turned, Tensor.double):
        layer = elman.LSTM(5, 16, recompute=recompute, engine="compiled")
        output = layer(torch.randn(4, 3, 5))[0]
        layer.weight_hh_l0.data = change(layer.weight_hh_l0.data)
        with pytest.raises((elman.UsageError, RuntimeError)):
            output.sum().backward()


def test_lengths_may_change_once_a_call_has_returned() -> None:
    layer, lengths = elman.LSTM(5, 16, engine="compiled"), torch.tensor([4, 0, 2])
    x = torch.randn(4, 3, 5)
    expected = gradients(layer(x, lengths=lengths.tolist())[0], layer.parameters())
    output = layer(x, lengths=lengths)[0]
    lengths.fill_(1 << 40)
    assert_same(gradients(output, layer.parameters()), expected)


def test_two_threads_go_back_along_one_graph() -> None:
    """The first overwrites what the forward pass kept: the others compute it again."""
    layer = elman.LSTM(5, 16, engine="compiled")
    expected = torch.autograd.grad(layer(torch.ones(9, 3, 5))[0].sum(), layer.weight_hh_l0)
    output, found = layer(torch.ones(9, 3, 5))[0].sum(), []

    def back() -> None:
        found.append(torch.autograd.grad(output, layer.weight_hh_l0, retain_graph=True))

    threads = [threading.Thread(target=back) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for grads in found:
        assert_same(grads, expected)
