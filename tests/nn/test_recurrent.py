"""`Recurrent` beyond torch.nn: noise, normalisation, streaming, and what it refuses."""

import itertools
from typing import Any

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
