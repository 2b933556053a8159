"""Passes are named by their modules, and begin where their sequences do."""

import pytest
import torch
from torch import nn

import elman
from elman import UsageError, lens
from elman.lens.recording import call, evaluating, learning, outputs_of, prepared, recording


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = elman.GRU(3, 4, bidirectional=True)
        self.decoder = elman.LSTM(8, 5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.decoder(self.encoder(x)[0])[0]
        return output


def test_names_and_beginnings() -> None:
    model = prepared(Two())
    x = torch.randn(6, 2, 3)
    with torch.no_grad(), recording(model) as layers:
        call(model, x)
        call(model, (x,))
    found = layers()
    names = ["encoder l0", "encoder l0 reverse", "decoder l0", "decoder l1"]
    assert [one.name for one in found] == names * 2
    forwards, backwards = found[:2]
    assert not forwards.before[0][0].any() and not backwards.before[0][-1].any()
    torch.testing.assert_close(forwards.before[0][1:], forwards.run.states[0][:-1])
    torch.testing.assert_close(backwards.before[0][:-1], backwards.run.states[0][1:])
    assert forwards.taken.shape == (6, 2) and forwards.taken.all()


def test_no_hook_stays() -> None:
    model = Two()
    with pytest.raises(UsageError), recording(model):
        model(torch.randn(6, 2, 9))
    assert not model.encoder._forward_pre_hooks and not model.decoder._forward_pre_hooks


@pytest.mark.parametrize("with_gradients", [False, True])
def test_a_model_is_as_it_was_after_an_error(with_gradients: bool) -> None:
    model = Two().train()
    model.encoder.eval()
    model.decoder.weight_hh_l0.requires_grad = False
    training = [one.training for one in model.modules()]
    gradients = [p.requires_grad for p in model.parameters()]
    with pytest.raises(KeyError), evaluating(model, learning=with_gradients):
        assert not any(one.training for one in model.modules())
        assert {p.requires_grad for p in model.parameters()} == {with_gradients}
        raise KeyError
    with pytest.raises(KeyError), learning(model):
        raise KeyError
    assert training == [one.training for one in model.modules()]
    assert gradients == [p.requires_grad for p in model.parameters()]


class Regularised(nn.Module):
    """Draws numbers and changes its buffers in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(3), nn.Dropout(0.5)
        self.layer = elman.LSTM(3, 4, dropout=0.5, num_layers=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x.flatten(0, 1)).view_as(x)
        output: torch.Tensor = self.layer(self.dropout(x))[0]
        return output


@pytest.mark.parametrize(
    "view", ["states", "gradient_flow", "memory_horizon", "unroll", "unit_colours", "diagnose", "look"]
)
def test_a_model_in_training_is_looked_at_without_its_noise(view: str) -> None:
    model, x = Regularised().train(), torch.randn(6, 2, 3)
    buffers = {name: one.clone() for name, one in model.named_buffers()}
    drawn = torch.get_rng_state()
    getattr(lens, view)(model, x)
    assert drawn.equal(torch.get_rng_state())
    assert all(one.equal(buffers[name]) for name, one in model.named_buffers())
    assert all(one.training for one in model.modules()) and all(p.grad is None for p in model.parameters())


def test_a_frozen_model_is_looked_at() -> None:
    model, x = Two().requires_grad_(False), torch.randn(6, 2, 3)
    frozen = lens.gradient_flow(model, x).layers[0].norms["h"]
    assert not any(p.requires_grad for p in model.parameters())
    assert frozen.equal(lens.gradient_flow(model.requires_grad_(), x).layers[0].norms["h"])


def test_inference_mode() -> None:
    with torch.inference_mode():
        x = torch.randn(6, 2, 3)
        with pytest.raises(UsageError, match="outside torch"):
            lens.states(Two(), x)
    assert lens.memory_horizon(Two(), x).length == 6


def test_nothing_to_look_at() -> None:
    with pytest.raises(UsageError, match="one step and one sequence or more"):
        lens.states(Two(), torch.randn(6, 0, 3))


def test_what_can_not_be_looked_into() -> None:
    with pytest.raises(UsageError, match="not into dict"):
        prepared({})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="outputs that are tensors, not str"):
        outputs_of("text")
    packed = nn.utils.rnn.pack_sequence([torch.ones(2, 1)])
    assert outputs_of((packed, None)).shape == (2, 1)


class StepByStep(nn.Module):
    """Calls its layer once for every step, or for so many."""

    def __init__(self, layer: elman.Recurrent, size: int) -> None:
        super().__init__()
        self.layer, self.size = layer, size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, outputs = None, []
        for part in x.split(self.size):
            output, state = self.layer(part, state)
            outputs.append(output)
        return torch.cat(outputs)


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
@pytest.mark.parametrize("size", [1, 3])
def test_a_layer_that_is_called_step_by_step_has_one_pass(cell: str, size: int) -> None:
    torch.manual_seed(0)
    layer, x = elman.Recurrent(cell, 3, 4, 2), torch.randn(7, 2, 3)
    whole = lens.gradient_flow(layer, x, lambda result: result[0][-1].sum())
    parts = lens.gradient_flow(StepByStep(layer, size), x, lambda outputs: outputs[-1].sum())
    for one, other in zip(whole.layers, parts.layers, strict=True):
        for name, norms in one.norms.items():
            torch.testing.assert_close(other.norms[name], norms)
        shares = other.shares()
        for name, share in one.shares().items():
            torch.testing.assert_close(shares[name], share, rtol=1e-4, atol=1e-5)


def test_other_sequences_have_passes_of_their_own() -> None:
    layer = elman.Recurrent("lstm", 3, 4)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)[0] + self.layer(x)[0]

    assert len(lens.states(Twice(), torch.randn(5, 2, 3)).layers) == 2


@pytest.mark.parametrize("compiled", [True, False])
def test_packed_sequences_stay_in_the_order_of_the_input(compiled: bool) -> None:
    """torch sorts them by length: what each view calls sequence 0 must be the one that is given first."""
    torch.manual_seed(0)
    dtype = torch.float32 if compiled else torch.float64
    layer = elman.Recurrent("lstm", 3, 4, 2, bidirectional=True, zoneout=0.3, dtype=dtype).eval()
    texts = [torch.randn(n, 3, dtype=dtype) for n in (2, 5, 3)]
    packed = nn.utils.rnn.pack_sequence(texts, enforce_sorted=False)
    together = lens.states(layer, packed).layers
    flows = lens.gradient_flow(layer, packed, lambda result: result[1][0].sum()).layers
    for b, text in enumerate(texts):
        alone = lens.states(layer, text.unsqueeze(1)).layers
        flow_alone = lens.gradient_flow(layer, text.unsqueeze(1), lambda result: result[1][0].sum()).layers
        for one, expected in zip(together, alone, strict=True):
            assert one.taken[:, b].sum() == len(text)
            torch.testing.assert_close(one.states["c"][: len(text), b], expected.states["c"][:, 0])
            torch.testing.assert_close(one.gates["f"][: len(text), b], expected.gates["f"][:, 0])
        for flow, expected_flow in zip(flows, flow_alone, strict=True):
            torch.testing.assert_close(flow.norms["h"][: len(text), b], expected_flow.norms["h"][:, 0])
    assert lens.unit_colours(layer, packed, 0, sequence=0).values.shape == (2,)
