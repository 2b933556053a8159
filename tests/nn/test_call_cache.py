"""The inference fast path: calls are prepared once for each shape, and every change is noticed."""

import copy
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import elman
from compare import assert_equal, assert_same
from elman.engine.recent import MAX_SHAPES
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
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=["f32", "f64", "f16"])
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


IN_PLACE: dict[str, Callable[[Tensor], Any]] = {
    "one number": lambda w: w[17, 5].add_(3),
    "the last bit of a number": lambda w: w[17, 5].view(torch.int32).bitwise_xor_(1),
    "a row": lambda w: w[17].mul_(3),
    "a column": lambda w: w[:, 5].mul_(3),
    "a block": lambda w: w[10:14, 3:6].zero_(),
    "two rows that change places": lambda w: w[:5].copy_(w[[0, 1, 2, 4, 3]]),
}


@pytest.mark.parametrize("hidden", [H, 37])
@pytest.mark.parametrize("change", IN_PLACE)
@pytest.mark.parametrize("steps", [1, T])
def test_a_sequence_sees_every_change_through_data(change: str, steps: int, hidden: int) -> None:
    """Of any weight, in calls of every shape, also where units don't fill vectors."""
    layer, x = elman.LSTM(I, hidden), torch.randn(steps, B, I)
    with torch.no_grad():
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            state = (torch.ones(1, B, hidden),) * 2
            layer(x, state), layer.step(x[0], state), layer(x[:, :1])
            IN_PLACE[change](fold(getattr(layer, name).data))
            fresh = elman.LSTM(I, hidden)
            fresh.load_state_dict(layer.state_dict())
            assert_equal(layer(x, state), fresh(x, state), name)
            assert_equal(layer(x[:, :1]), fresh(x[:, :1]), name)


def fold(weight: Tensor) -> Tensor:
    """Return the first 126 numbers as a matrix, whatever the weight's shape."""
    return weight.view(-1)[:126].view(21, 6)


def test_steps_see_what_pytorch_counts_and_refresh_makes_them_look_at_all() -> None:
    layer, x = layer_of(), torch.randn(B, I)
    hx = state_of(layer)
    with torch.no_grad():
        layer.step(x, hx)
        layer.weight_hh_l0[17, 5] += 1
        counted = layer.step(x, hx)
        assert_equal(counted, [layer(x[None], hx)[0][0], layer(x[None], hx)[1]])
        layer.weight_hh_l0.data[17, 5] += 1
        layer.refresh()
        seen = layer.step(x, hx)
        assert not torch.equal(seen[0], counted[0])
        assert_equal(seen, [layer(x[None], hx)[0][0], layer(x[None], hx)[1]])


def test_a_sequence_that_sees_a_change_tells_the_steps() -> None:
    layer, x = layer_of(), torch.randn(T, B, I)
    hx = state_of(layer, 1)
    with torch.no_grad():
        layer.step(x[0, :1], hx), layer(x)
        layer.weight_hh_l0.data[17, 5] += 1
        layer(x)
        assert_equal(layer.step(x[0, :1], hx)[0], layer(x[:1, :1], hx)[0][0])


def test_weights_may_be_replaced_while_other_threads_use_them() -> None:
    """Every answer is that of some weights that the layer had, or of a mixture of them; none is a crash."""
    torch.manual_seed(1)
    layer, x, ended = elman.LSTM(64, 256), torch.randn(2, B, 64), threading.Event()
    finite: list[bool] = []

    def work() -> None:
        with torch.no_grad():
            while not ended.is_set():
                finite.append(bool(layer(x)[0].isfinite().all() and layer.step(x[0])[0].isfinite().all()))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for k in range(60):
        new = torch.randn(1024, 256) * 0.1
        if k % 3:
            layer.weight_hh_l0.data = new
        else:
            layer.weight_hh_l0 = nn.Parameter(new)
        layer.bias_ih_l0.data = torch.randn(1024)
    ended.set()
    for thread in threads:
        thread.join()
    assert finite and all(finite)
    with torch.no_grad():
        fresh = elman.LSTM(64, 256)
        fresh.load_state_dict(layer.state_dict())
        assert_equal(layer(x), fresh(x))


def test_odd_states_and_inputs_of_a_step_are_those_of_plain_ones() -> None:
    layer, x = layer_of(), torch.randn(B, I)
    h, c = state_of(layer)
    expected = layer.step(x, (h, c))

    def negative(t: Tensor) -> Tensor:
        return torch.complex(t, -t).conj().imag

    def turned(t: Tensor) -> Tensor:
        return t.transpose(0, -1).contiguous().transpose(0, -1)

    def between(t: Tensor) -> Tensor:
        return torch.frombuffer(bytearray(4 * t.numel() + 1), dtype=t.dtype, offset=1).view(t.shape).copy_(t)

    with torch.no_grad():
        for odd in (negative, turned, between):
            assert_equal(layer.step(odd(x), (h, c)), expected)
            assert_equal(layer.step(x, (odd(h), c)), expected)
            assert_equal(layer.step(x, (h, odd(c))), expected)
        assert_equal(layer.step(x, [h, c]), expected)
        c.untyped_storage().resize_(8)
        with pytest.raises(elman.UsageError, match="state c needs"):
            layer.step(x, (h, c))
