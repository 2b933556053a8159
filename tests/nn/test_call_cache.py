"""The inference fast path: calls are prepared once for each shape, and every change is noticed."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import elman
from compare import assert_equal, assert_same
from elman.nn.call_cache import MAX_SHAPES
from prepared_calls import B, H, I, T, as_prepared, layer_of, state_of


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
    plain = as_prepared(layer, x)
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
    as_prepared(layer, torch.zeros(T, B, I))
    as_prepared(layer, torch.zeros(1, B, I))
    with torch.no_grad(), pytest.raises(elman.UsageError, match=sentence):
        layer(x, hx)
    if x.dim() == 3:
        with torch.no_grad(), pytest.raises(elman.UsageError, match=sentence):
            layer.step(x[0], hx)


def test_only_some_shapes_are_kept() -> None:
    layer = layer_of()
    inputs = [torch.randn(T, batch, I) for batch in range(1, MAX_SHAPES + 4)]
    for _ in range(2):
        for x in inputs:
            assert_equal(as_prepared(layer, x), layer(x))
    assert len(layer._calls) == MAX_SHAPES


def test_a_used_layer_is_copied_and_saved() -> None:
    layer, x = layer_of("lstm", 2), torch.randn(T, B, I)
    expected = as_prepared(layer, x)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(file, weights_only=False),
        copy.copy(layer),
    ):
        assert_equal(as_prepared(twin, x), expected)
        with torch.no_grad():
            for p in twin.parameters():
                p.add_(0.1)
        assert not torch.equal(as_prepared(twin, x)[0], expected[0])
        shared = twin.weight_hh_l0 is layer.weight_hh_l0  # by copy.copy only
        assert_equal(as_prepared(layer, x), as_prepared(twin, x) if shared else expected)


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
    plain = as_prepared(layer, x)
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
    plain = as_prepared(layer, x)
    doubles = {name: 2 * p.detach() for name, p in layer.named_parameters()}
    with torch.no_grad():
        doubled = torch.func.functional_call(layer, doubles, (x,))
    assert not torch.equal(doubled[0], plain[0])
    assert_equal(as_prepared(layer, x), plain)
    heard = []
    handle = layer.register_forward_hook(lambda *given: heard.append(given[2]))
    as_prepared(layer, x)
    handle.remove()
    assert_equal(heard, plain)


def test_a_layer_that_changes_its_precision() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    single = as_prepared(layer, x)
    layer.double()
    assert_same(as_prepared(layer, x.double())[0].float(), single[0])
    assert_equal(as_prepared(layer, x.double()), layer(x.double()))
    with torch.no_grad(), pytest.raises(elman.UsageError, match=r"weights are torch\.float64"):
        layer(x)
    layer.float()
    assert_equal(as_prepared(layer, x), single)


def test_a_layer_is_looked_at_again_when_its_weights_are_plain_again() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    parametrize.register_parametrization(layer, "weight_hh_l0", nn.Tanh())
    with torch.no_grad():
        layer(x)
    assert list(layer._calls.values()) == [None]
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert_equal(as_prepared(layer, x), layer(x))


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
