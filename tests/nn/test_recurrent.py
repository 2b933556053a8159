"""`Recurrent` beyond torch.nn: noise, normalisation, streaming, and what it refuses."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import elman
from compare import assert_same, gradients, tensors
from elman.cells import CELLS

pytestmark = pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning")


T, B, I, H = 5, 3, 4, 6  # noqa: E741


def noise(*shape: int, seed: int = 0, **kind: Any) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **kind)


def test_layer_norm_is_the_papers_sum() -> None:
    """Ba et al.: both products normalised over all gates, each with gain and bias; here for Elman's cell."""
    layer = elman.RNN(I, H, layer_norm=True, dtype=torch.float64)
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(noise(*p.shape, seed=p.numel(), dtype=torch.float64))

    def norm(v: Tensor) -> Tensor:
        return (v - v.mean(1, keepdim=True)) / (v.var(1, keepdim=True, correction=0) + 1e-5).sqrt()

    x, h, outputs = noise(T, B, I, dtype=torch.float64), torch.zeros(B, H, dtype=torch.float64), []
    for x_t in x:
        a = layer.gain_ih_l0 * norm(x_t @ layer.weight_ih_l0.T) + layer.bias_ih_l0
        u = layer.gain_hh_l0 * norm(h @ layer.weight_hh_l0.T) + layer.bias_hh_l0
        h = torch.tanh(a + u)
        outputs.append(h)
    assert_same(layer(x)[0], torch.stack(outputs))


def test_zoneout_in_training_keeps_old_values_or_takes_new_ones() -> None:
    torch.manual_seed(1)
    layer = elman.LSTM(I, H, zoneout=0.3)
    plain = elman.LSTM(I, H)
    plain.load_state_dict(layer.state_dict())
    x = noise(400, B, I)
    _, _, (h, c) = layer(x, return_states=True)
    kept, steps = [], zip(h, c, h[1:], c[1:], x[1:], strict=False)
    for h_old, c_old, h_new, c_new, x_t in steps:
        _, (h_step, c_step) = plain.step(x_t, (h_old, c_old))
        for old, new, step in ((h_old, h_new, h_step), (c_old, c_new, c_step)):
            same, moved = new == old, torch.isclose(new, step, rtol=1e-5, atol=1e-6)
            assert (same | moved).all()
            kept.append(same.float().mean())
    assert abs(torch.stack(kept).mean() - 0.3) < 0.02


def test_zoneout_outside_training_is_the_expectation() -> None:
    layer = elman.GRU(I, H, zoneout=0.25).eval()
    plain = elman.GRU(I, H)
    plain.load_state_dict(layer.state_dict())
    h, outputs = torch.zeros(1, B, H), []
    for x_t in noise(T, B, I):
        h = 0.25 * h + 0.75 * plain.step(x_t, h)[1]
        outputs.append(h[0])
    assert_same(layer(noise(T, B, I)), [torch.stack(outputs), h])
    assert torch.equal(elman.GRU(I, H, zoneout=1.0)(noise(T, B, I), h)[0], h.expand(T, B, H))


@pytest.mark.parametrize("kind", ["lstm", "mgu"])
def test_recurrent_dropout_is_one_mask_for_all_steps(kind: str) -> None:
    """The same units of h are hidden from U at every step, as if columns of U were 0."""
    torch.manual_seed(2)
    layer = elman.Recurrent(CELLS[kind], I, H, recurrent_dropout=0.5)
    x = noise(T, 1, I)
    output = layer(x)[0]
    for kept in itertools.product((0.0, 2.0), repeat=H):
        masked = elman.Recurrent(CELLS[kind], I, H)
        masked.load_state_dict(layer.state_dict())
        with torch.no_grad():
            masked.weight_hh_l0.mul_(torch.tensor(kept))
        if torch.allclose(masked(x)[0], output, atol=1e-6):
            break
    else:
        raise AssertionError("no mask of h explains the output")
    assert not torch.equal(layer(x)[0], layer(x)[0])
    twice = layer(x.expand(T, 50, I))[0]
    assert len({tuple(row) for row in twice[-1].tolist()}) > 10, "every sequence has a mask of its own"
    layer.eval()
    plain = elman.Recurrent(CELLS[kind], I, H)
    plain.load_state_dict(layer.state_dict())
    assert_same(layer(x), plain(x))


@pytest.mark.parametrize("engine", ["eager", "vendor", "compiled"])
def test_weight_dropout_drops_entries_of_u_for_the_whole_call(engine: str) -> None:
    layer = elman.GRU(I, H, 2, weight_dropout=0.5, engine=engine)
    x = noise(T, B, I)
    torch.manual_seed(3)
    output = layer(x)[0]
    grads = gradients(output, layer.parameters())
    torch.manual_seed(3)
    plain = elman.GRU(I, H, 2)
    plain.load_state_dict(layer.state_dict())
    torch.manual_seed(3)
    masks = []
    with torch.no_grad():
        for k in range(2):
            weight = getattr(plain, f"weight_hh_l{k}")
            masks.append(F.dropout(torch.ones_like(weight), 0.5))
            weight.mul_(masks[-1])
    assert_same(output, plain(x)[0])
    expected = dict(
        zip(dict(plain.named_parameters()), gradients(plain(x)[0], plain.parameters()), strict=True)
    )
    for k in range(2):
        expected[f"weight_hh_l{k}"] *= masks[k]
    assert_same(grads, list(expected.values()))
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.parametrize("kind", CELLS)
def test_step_takes_one_sequence_and_many(kind: str) -> None:
    layer = elman.Recurrent(CELLS[kind], I, H, 2, batch_first=True, zoneout=0.1).eval()
    x = noise(T, I)
    whole, final = layer(x)
    state, outputs = None, []
    for x_t in x:
        y, state = layer.step(x_t, state)
        outputs.append(y)
    assert torch.equal(torch.stack(outputs), whole)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(final), strict=True))
    carried, _ = layer(x, state)
    assert_same(layer.step(x[0], state)[0], carried[0])


def test_a_long_sequence_in_pieces_is_the_whole() -> None:
    layer = elman.LSTM(I, H, 2)
    x = noise(12, B, I)
    whole = layer(x)
    state, pieces = None, []
    for piece in x.split(5):
        output, state = layer(piece, state)
        pieces.append(output)
    assert_same([torch.cat(pieces), state], whole)


def test_other_refusals() -> None:
    packed = torch.nn.utils.rnn.pack_sequence([noise(3, I)])
    for call in ({"lengths": [3]}, {"reset": torch.zeros(3, 1, dtype=torch.bool)}, {"return_states": True}):
        with pytest.raises(elman.UsageError, match="a PackedSequence brings its own lengths"):
            elman.GRU(I, H)(packed, **call)
    with pytest.raises(elman.UsageError, match="a bidirectional layer can't step"):
        elman.GRU(I, H, bidirectional=True).step(noise(B, I))
    with pytest.raises(elman.UsageError, match="span a sequence"):
        elman.GRU(I, H, weight_dropout=0.1).step(noise(B, I))
    with pytest.raises(elman.UsageError, match=r"step takes x \(B, I\) or \(I\), not \(5, 3, 4\)"):
        elman.GRU(I, H).step(noise(T, B, I))
    with pytest.raises(elman.UsageError, match="no recurrent matrix"):
        elman.Recurrent(CELLS["indrnn"], I, H, weight_dropout=0.1)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.array, torch.tensor])
def test_scalars_of_numpy_and_torch_are_sizes(kind: Any) -> None:
    layer = elman.Recurrent("lstm", kind(I), kind(H), kind(2), proj_size=kind(3))
    assert repr(layer) == repr(elman.Recurrent("lstm", I, H, 2, proj_size=3))
    assert all(type(size) is int for size in (layer.input_size, layer.hidden_size, layer.num_layers))

    for dropin in (elman.LSTM, elman.GRU, elman.RNN):
        assert repr(dropin(kind(I), kind(H), kind(2))) == repr(dropin(I, H, 2))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array, torch.tensor])
def test_scalars_of_numpy_and_torch_are_shares_and_flags(kind: Any) -> None:
    torch.manual_seed(0)
    options = {"zoneout": kind(0.25), "forget_bias": kind(1.0), "int8": np.True_}
    layer = elman.LSTM(I, H, 2, np.True_, np.True_, kind(0.5), np.True_, **options)
    torch.manual_seed(0)
    plain = elman.LSTM(I, H, 2, True, True, 0.5, True, zoneout=0.25, forget_bias=1.0, int8=True)
    assert repr(layer) == repr(plain)
    assert layer.batch_first is True and type(layer.zoneout) is float and type(layer.forget_bias) is float
    x = noise(B, T, I)
    torch.manual_seed(1)
    actual = layer(x)
    torch.manual_seed(1)
    assert_same(actual, plain(x))
    plain.eval().zoneout = np.float32(0.25)  # type: ignore[assignment]
    assert_same(plain(x), layer.eval()(x))


@pytest.mark.parametrize("true", [np.True_, np.array(True), torch.tensor(True)], ids=type)
def test_scalars_of_numpy_and_torch_are_flags(true: Any) -> None:
    layer = elman.GRU(I, H, bias=true, batch_first=true, bidirectional=true)
    assert layer.bias is True and layer.batch_first is True and layer.bidirectional is True


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.uint32, np.uint64, np.array, torch.tensor])
def test_scalars_of_numpy_and_torch_are_lengths(kind: Any) -> None:
    layer, x = elman.GRU(I, H), noise(T, B, I)
    expected = layer(x, lengths=[T, 2, 0])
    assert_same(layer(x, lengths=[kind(T), kind(2), kind(0)]), expected)
    if isinstance(kind, type):
        assert_same(layer(x, lengths=np.array([T, 2, 0], kind)), expected)
        with pytest.raises(elman.UsageError, match="between 0 and the 5 steps"):
            layer(x, lengths=np.array([T + 1, 2, 0], kind))


NO_NUMBERS: list[tuple[dict[str, Any], str]] = [
    ({"hidden_size": np.float64(8)}, "hidden_size must be a whole number from 1, not 8.0"),
    ({"hidden_size": np.True_}, "hidden_size must be a whole number from 1, not True"),
    ({"hidden_size": np.array([8])}, "hidden_size must be a whole number from 1, not array"),
    ({"bidirectional": np.int64(1)}, "bidirectional must be True or False, not 1"),
    ({"zoneout": np.float64("nan")}, "zoneout must be a number between 0 and 1, not nan"),
    ({"forget_bias": "x"}, "forget_bias must be a number or None, not 'x'"),
    ({"forget_bias": float("inf")}, "forget_bias must be a number or None, not inf"),
]


@pytest.mark.parametrize(("options", "sentence"), NO_NUMBERS, ids=lambda v: "")
def test_other_values_are_refused_as_pythons_are(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(elman.UsageError, match=sentence):
        elman.LSTM(**{"input_size": I, "hidden_size": H} | options)
