"""Calls without gradients are prepared once: the same bits as without, and every change is seen."""

import copy
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrize

import elman
from compare import assert_equal, assert_same, tensors
from elman.cells import CELLS, Cell, cell
from elman.nn.call_cache import SHAPES

T, B, I, H = 5, 3, 6, 32  # noqa: E741
# H is a whole number of vectors on every processor: other widths are never prepared


@cell(gates="a b", state="h c", weights="p")
def Mine(x: Any, u: Any, s: Any, w: Any) -> Any:
    c = torch.sigmoid(x.a) * s.c + w.p * torch.tanh(x.b + u.b)
    return torch.tanh(c) + torch.minimum(u.a, x.a) * 0.1, c


KINDS: dict[str, Cell] = {k: CELLS[k] for k in ("elman", "gru", "lstm")} | {"mine": Mine}


def layer_of(kind: str = "lstm", layers: int = 1, **options: Any) -> elman.Recurrent:
    torch.manual_seed(1)
    return elman.Recurrent(KINDS[kind], I, H, layers, **options, engine="compiled")


def state_of(layer: elman.Recurrent, batch: int = B) -> Any:
    rows = layer.num_layers * layer.directions
    state = tuple(torch.rand(rows, batch, H, dtype=layer.weight_ih_l0.dtype) for _ in layer.cell.state)
    return state if len(state) > 1 else state[0]


def quick(layer: elman.Recurrent, x: Tensor, hx: Any = None) -> Any:
    """By a prepared call, which is asserted."""
    with torch.no_grad():
        result = layer(x, hx)
    assert any(known is not None for known in layer._calls.values()), "no call was prepared"
    return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "two"])
@pytest.mark.parametrize("kind", KINDS)
def test_calls_without_gradients_are_those_with(
    kind: str, bidirectional: bool, layers: int, dtype: torch.dtype
) -> None:
    for more in ({}, {"bias": False}, {"layer_norm": True}):
        layer = layer_of(kind, layers, bidirectional=bidirectional, **more, dtype=dtype)
        x = torch.randn(T, B, I, dtype=dtype)
        for hx in (None, state_of(layer)):
            for _ in range(2):
                assert_equal(quick(layer, x, hx), layer(x, hx))
        layer.batch_first = True
        swapped = x.transpose(0, 1)
        for x_b in (swapped, swapped.contiguous()):
            assert_equal(quick(layer, x_b), layer(x_b))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_the_scan(kind: str, layers: int) -> None:
    layer, x = layer_of(kind, layers, layer_norm=layers == 2), torch.randn(T, B, I)
    for start in (None, state_of(layer)):
        state, outputs, states = start, [], []
        with torch.no_grad():
            for x_t in x:
                y, state = layer.step(x_t, state)
                outputs.append(y)
                states.append(state)
        assert len(layer._calls) == 1 and None not in layer._calls.values()
        output, final, every = layer(x, start, return_states=True)
        assert_equal([torch.stack(outputs), state], [output, final])
        assert_equal([torch.stack(s) for s in zip(*map(tensors, states), strict=True)], every)
        layer._calls.clear()


def test_earlier_results_are_left_alone() -> None:
    """A call owns what it returns, and reads its state without changing it."""
    layer, x = layer_of(), torch.randn(T, B, I)
    hx = state_of(layer)
    results = [quick(layer, x, hx)]
    with torch.no_grad():
        results.append(layer.step(x[0], hx))
    kept = [[t.clone() for t in tensors(r)] for r in (*results, hx)]
    for _ in range(3):
        quick(layer, torch.randn(T, B, I), results[0][1])
        with torch.no_grad():
            layer.step(x[1], results[1][1])
    for before, after in zip(kept, (*results, hx), strict=True):
        assert_equal(after, before)
    with torch.no_grad():
        for t in tensors(results[0]):
            t.zero_()
    assert_equal(quick(layer, x, hx), [kept[0][0], *kept[0][1:]])


def stepped(layer: nn.Module) -> None:
    for p in layer.parameters():
        p.grad = torch.ones_like(p)
    torch.optim.SGD(layer.parameters(), 0.1).step()
    for p in layer.parameters():
        p.grad = None


def loaded(layer: nn.Module) -> None:
    layer.load_state_dict({name: p * 2 for name, p in layer.state_dict().items()})


def multiplied(layer: Any) -> None:
    layer.weight_hh_l0.data.mul_(1.001)


def doubled(layer: Any) -> None:
    layer.weight_hh_l0.data.mul_(2)


def assigned(layer: Any) -> None:
    layer.weight_hh_l0.data = torch.rand_like(layer.weight_hh_l0)


def replaced(layer: Any) -> None:
    layer.weight_hh_l0 = nn.Parameter(torch.rand_like(layer.weight_hh_l0))


def remembering(layer: Any) -> None:
    layer.bias_ih_l0.data.chunk(4)[1].fill_(1.0)


def in_place(layer: Any) -> None:
    with torch.no_grad():
        layer.weight_ih_l0[3, 2] += 1


def halved_bias(layer: Any) -> None:
    layer.bias_hh_l0.data.div_(3)


def doubled_gain(layer: Any) -> None:
    layer.gain_hh_l0.data.mul_(2)


CHANGES: list[Callable[[Any], None]] = [
    *(
        stepped,
        loaded,
        multiplied,
        doubled,
        assigned,
        replaced,
        remembering,
        in_place,
        halved_bias,
        doubled_gain,
    )
]


@pytest.mark.parametrize("hidden", [H, 7, 8, 30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_changed_weights_are_seen(change: Callable[[Any], None], dtype: torch.dtype, hidden: int) -> None:
    """Also where units don't fill vectors: such calls aren't prepared, but remember packed weights."""
    torch.manual_seed(1)
    norm = change is doubled_gain
    layer = elman.LSTM(I, hidden, layer_norm=norm, dtype=dtype, engine="compiled")
    x = torch.randn(T, B, I, dtype=dtype)
    state = tuple(torch.rand(2, 1, B, hidden, dtype=dtype))
    with torch.no_grad():
        before, one = layer(x), layer.step(x[0], state)
        change(layer)
        after, another = layer(x), layer.step(x[0], state)
    assert not torch.equal(before[0], after[0]) and not torch.equal(one[0], another[0])
    assert_equal(after, layer(x))
    assert_equal(another, layer.step(x[0], state))


@pytest.mark.parametrize("name", ["zoneout", "dropout", "recurrent_dropout", "weight_dropout"])
def test_changed_options_are_seen(name: str) -> None:
    layer, x = layer_of(layers=2), torch.randn(T, B, I)
    plain = quick(layer, x)
    setattr(layer, name, 0.5)
    with torch.no_grad():
        first, second = layer(x), layer(x)
        assert not torch.equal(first[0], second[0]) and not torch.equal(first[0], plain[0])
        layer.eval()
        mean = layer(x)
        assert_equal(layer(x), mean)
        assert torch.equal(mean[0], plain[0]) == (name != "zoneout")
        setattr(layer, name, 0.0)
        layer.train()
        assert_equal(layer(x), plain)
    layer.engine = "eager"
    assert_same(layer(x), plain)


WRONG: list[tuple[Any, Any, str]] = [
    (torch.zeros(T, B, I + 1), None, "input_size 6, not 7"),
    (torch.zeros(T, B, I, dtype=torch.float64), None, "torch.float64 but the weights are torch.float32"),
    (torch.zeros(T, B, I), torch.zeros(1, B, H), r"state of LSTM is the tensors \(h, c\), not 1"),
    (torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B + 1, H)), r"state c must be \(1, 3, 32\)"),
    (torch.zeros(T, B, I), (torch.zeros(1, B, H).double(),) * 2, "state h is torch.float64"),
    (torch.zeros(I), None, r"\(T, B, I\) or \(T, I\), not \(6,\)"),
]


@pytest.mark.parametrize(("x", "hx", "sentence"), WRONG, ids=lambda v: "")
def test_wrong_inputs_still_get_their_sentence(x: Tensor, hx: Any, sentence: str) -> None:
    layer = layer_of()
    quick(layer, torch.zeros(T, B, I))
    quick(layer, torch.zeros(1, B, I))
    with torch.no_grad(), pytest.raises(elman.UsageError, match=sentence):
        layer(x, hx)
    if x.dim() == 3:
        with torch.no_grad(), pytest.raises(elman.UsageError, match=sentence):
            layer.step(x[0], hx)


def test_only_some_shapes_are_kept() -> None:
    layer = layer_of()
    inputs = [torch.randn(T, batch, I) for batch in range(1, SHAPES + 4)]
    for _ in range(2):
        for x in inputs:
            assert_equal(quick(layer, x), layer(x))
    assert len(layer._calls) == SHAPES


def test_two_python_threads_on_one_layer() -> None:
    layer = layer_of(layers=2)
    inputs = [torch.randn(T, B, I) for _ in range(4)]
    expected = [tensors(layer(x)) for x in inputs]
    wrong: list[int] = []

    def work(k: int) -> None:
        with torch.no_grad():
            for _ in range(50):
                state, outputs = None, []
                for x_t in inputs[k]:
                    y, state = layer.step(x_t, state)
                    outputs.append(y)
                for found in ([torch.stack(outputs), *tensors(state)], tensors(layer(inputs[k]))):
                    same = (torch.equal(a, b) for a, b in zip(found, expected[k], strict=True))
                    wrong.extend([k] * (not all(same)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_used_layer_is_copied_and_saved() -> None:
    layer, x = layer_of("lstm", 2), torch.randn(T, B, I)
    expected = quick(layer, x)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(file, weights_only=False),
        copy.copy(layer),
    ):
        assert_equal(quick(twin, x), expected)
        with torch.no_grad():
            for p in twin.parameters():
                p.add_(0.1)
        assert not torch.equal(quick(twin, x)[0], expected[0])
        shared = twin.weight_hh_l0 is layer.weight_hh_l0  # by copy.copy only
        assert_equal(quick(layer, x), quick(twin, x) if shared else expected)


def test_inference_mode() -> None:
    """Also for weights that were made in it, whose changes PyTorch doesn't count."""
    layer, x = layer_of(), torch.randn(T, B, I)
    expected = layer(x)
    with torch.inference_mode():
        for _ in range(2):
            found = layer(x)
            assert_equal(found, expected)
            assert_equal(layer(torch.randn(T, B, I).copy_(x), found[1]), layer(x, found[1]))
        born = layer_of()
        born.load_state_dict(layer.state_dict())
        assert_equal(born(x), expected)
        born.weight_hh_l0[5] += 1
        assert not torch.equal(born(x)[0], expected[0])
        assert_same(born(x), elman.LSTM.forward(as_eager(born), x))


def as_eager(layer: elman.Recurrent) -> elman.Recurrent:
    twin = copy.deepcopy(layer)
    twin.engine = "eager"
    return twin


def test_weights_that_are_computed_are_computed_at_every_call() -> None:
    class Halved(nn.Module):
        factor = 0.5

        def forward(self, weight: Tensor) -> Tensor:
            return weight * self.factor

    layer, x = layer_of(), torch.randn(T, B, I)
    plain = quick(layer, x)
    half = Halved()
    parametrize.register_parametrization(layer, "weight_hh_l0", half)
    with torch.no_grad():
        assert not torch.equal(layer(x)[0], plain[0])
        half.factor = 1.0
        assert_equal(layer(x), plain)
        parametrize.remove_parametrizations(layer, "weight_hh_l0")
        assert_equal(layer(x), plain)
        layer.weight_hh_l0.mul_(0.5)
        assert not torch.equal(layer(x)[0], plain[0])


def test_functional_calls_and_hooks_are_heard() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    plain = quick(layer, x)
    doubles = {name: 2 * p.detach() for name, p in layer.named_parameters()}
    with torch.no_grad():
        doubled = torch.func.functional_call(layer, doubles, (x,))
    assert not torch.equal(doubled[0], plain[0])
    assert_equal(quick(layer, x), plain)
    heard = []
    handle = layer.register_forward_hook(lambda *given: heard.append(given[2]))
    quick(layer, x)
    handle.remove()
    assert_equal(heard, plain)


def test_a_layer_that_changes_its_precision() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    single = quick(layer, x)
    layer.double()
    assert_same(quick(layer, x.double())[0].float(), single[0])
    assert_equal(quick(layer, x.double()), layer(x.double()))
    with torch.no_grad(), pytest.raises(elman.UsageError, match=r"weights are torch\.float64"):
        layer(x)
    layer.float()
    assert_equal(quick(layer, x), single)


def test_a_layer_is_looked_at_again_when_its_weights_are_plain_again() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    parametrize.register_parametrization(layer, "weight_hh_l0", nn.Tanh())
    with torch.no_grad():
        layer(x)
    assert list(layer._calls.values()) == [None]
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert_equal(quick(layer, x), layer(x))


def test_a_step_and_a_sequence_of_one_step_share_a_call() -> None:
    layer, x = layer_of(layers=2), torch.randn(T, B, I)
    start = state = state_of(layer)
    with torch.no_grad():
        for x_t in x:
            y, after = layer.step(x_t, state)
            output, final = layer(x_t.unsqueeze(0), state)
            assert_equal([output[0], final], [y, after])
            state = after
    assert len(layer._calls) == 1
    assert_equal(state, layer(x, start)[1])


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["step", "scan", "change"]), st.integers(1, 3), st.integers(1, 3), st.booleans()
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=40)
@given(st.sampled_from(list(KINDS)), st.integers(1, 2), st.booleans(), CALLS)
def test_any_calls_in_any_order_are_those_with_gradients(
    kind: str, layers: int, layer_norm: bool, calls: list[tuple[str, int, int, bool]]
) -> None:
    layer = layer_of(kind, layers, layer_norm=layer_norm)
    for what, steps, batch, begun in calls:
        state = state_of(layer, batch) if begun else None
        x = torch.randn(steps, batch, I)
        if what == "change":
            with torch.no_grad():
                layer.weight_hh_l0.mul_(1.1)
        elif what == "scan":
            assert_equal(quick(layer, x, state), layer(x, state))
        else:
            with torch.no_grad():
                output, final = layer.step(x[0], state)
            expected = layer(x[:1], state)
            assert_equal([output, final], [expected[0][0], expected[1]])


def test_the_output_of_a_step_is_its_own() -> None:
    layer = layer_of("gru")
    with torch.no_grad():
        y, state = layer.step(torch.randn(B, I))
        kept = state.clone()
        y.zero_()
    assert_equal(state, kept)
