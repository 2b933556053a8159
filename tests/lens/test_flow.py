"""Gradients of every step agree with autograd in float64; shares sum to one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elman
from elman import UsageError, cells
from elman.lens.flow import gradient_flow


class Tagger(nn.Module):
    """A user's own model."""

    def __init__(self, layer: nn.Module, outputs: int) -> None:
        super().__init__()
        self.inner, self.head = layer, nn.Linear(outputs, 2)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.head(self.inner(x)[0])
        return output


def by_hand(layer: elman.Recurrent, x: Tensor) -> Tensor:
    """‖∂loss/∂h_t‖ (T, B) of the sum of squared outputs, step by step in autograd."""
    state, states = None, []
    for step in x:
        _, state = layer.step(step, state)
        for s in state if isinstance(state, tuple) else (state,):
            s.retain_grad()
        states.append(state[0] if isinstance(state, tuple) else state)
    total = torch.stack([s[0] for s in states]).square().sum()
    total.backward()
    return torch.stack([s.grad[0] for s in states]).norm(dim=2)


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_norms_are_those_of_autograd(cell: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(12, 3, 4, dtype=torch.float64)
    layer = elman.Recurrent(cell, 4, 6, dtype=torch.float64)
    flow = gradient_flow(layer, x, lambda result: result[0].square().sum())
    assert [one.name for one in flow.layers] == ["Recurrent l0"]
    assert flow.loss == pytest.approx(layer(x)[0].detach().square().sum().item())
    torch.testing.assert_close(flow.layers[0].norms["h"], by_hand(layer, x), rtol=1e-6, atol=0)
    assert all(p.grad is None or p.grad.abs().sum() > 0 for p in layer.parameters())


@pytest.mark.parametrize("cell", sorted(cells.CELLS))
def test_shares_are_parts_of_the_whole_gradient(cell: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 3, 4, dtype=torch.float64)
    layer = elman.Recurrent(cell, 4, 6, 2, bidirectional=True, dtype=torch.float64)
    weight = torch.randn(7, 3, 12, dtype=torch.float64)
    flow = gradient_flow(layer, x, lambda result: (weight * result[0]).sum())
    for one in flow.layers:
        shares = one.shares()
        assert {"weight_ih", "bias_ih"} <= shares.keys()
        for name, share in shares.items():
            assert share.shape == (7,) and float(share.sum()) == pytest.approx(1.0, abs=1e-9), name


def test_a_share_is_what_a_step_contributes() -> None:
    """Of a linear recurrence, by hand: the gradient of W is a sum over steps of outer products."""
    torch.manual_seed(0)

    @elman.cell(state="h", gates="n")
    def linear(x: Any, u: Any, s: Any) -> Any:
        return x.n + u.n

    layer = elman.Recurrent(linear, 2, 3, dtype=torch.float64)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    flow = gradient_flow(layer, x, lambda result: result[0].square().sum())
    result = layer(x)[0]
    result.square().sum().backward()
    whole, u, d = layer.weight_ih_l0.grad, layer.weight_hh_l0.detach(), torch.zeros(2, 3, dtype=torch.float64)
    parts = []
    for t in reversed(range(5)):
        d = 2 * result[t].detach() + d @ u
        parts.append(((d.T @ x[t]) * whole).sum() / whole.square().sum())
    torch.testing.assert_close(flow.layers[0].shares()["weight_ih"], torch.stack(parts[::-1]))


def test_a_share_of_heads_is_of_their_blocks_alone() -> None:
    """By hand, with heads of one unit: the zeros between them are no weights."""
    torch.manual_seed(0)
    layer = elman.Recurrent("elman-relu", 2, 3, heads=3, dtype=torch.float64)
    x = torch.randn(5, 2, 2, dtype=torch.float64)
    flow = gradient_flow(layer, x, lambda result: result[0].square().sum())
    result = layer(x)[0]
    result.square().sum().backward()
    whole, d, parts = layer.weight_hh_l0.grad, torch.zeros(2, 3, dtype=torch.float64), []
    for t in reversed(range(5)):
        d = (2 * result[t].detach() + d * layer.weight_hh_l0.detach().T) * (result[t] > 0)
        before = result[t - 1].detach() if t else torch.zeros_like(d)
        parts.append(((d * before).sum(0) * whole[:, 0]).sum() / whole.square().sum())
    torch.testing.assert_close(flow.layers[0].shares()["weight_hh"], torch.stack(parts[::-1]))


def test_a_foreign_model_and_its_gradients_stay_as_they_are() -> None:
    model = Tagger(nn.LSTM(3, 5, 2, bidirectional=True), 10)
    x = torch.randn(6, 2, 3)
    flow = gradient_flow(model, x, lambda output: output.sum())
    names = ["inner l0", "inner l0 reverse", "inner l1", "inner l1 reverse"]
    assert [one.name for one in flow.layers] == names
    assert type(model.inner) is nn.LSTM and all(p.grad is None for p in model.parameters())
    assert set(flow.layers[0].norms) == {"h", "c"} and flow.layers[0].norms["c"].shape == (6, 2)
    plain = flow.to_dict()["layers"]["inner l1"]["h"]
    assert len(plain) == 6 and len(plain[0]) == 2


def test_the_eager_engine_gives_the_same() -> None:
    x, norms = torch.randn(6, 2, 3, dtype=torch.float64), []
    for engine in ("compiled", "eager"):
        torch.manual_seed(0)
        layer = elman.Recurrent("lstm", 3, 4, dtype=torch.float64, engine=engine)  # type: ignore[arg-type]
        norms.append(gradient_flow(layer, x, lambda result: result[0].square().sum()).layers[0].norms)
    torch.testing.assert_close(norms[0], norms[1])


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (nn.Linear(3, 3), lambda y: y.sum(), "Linear has no recurrent layer"),
        ("lstm", lambda y: y.sum(), "not into str"),
        (elman.LSTM(3, 2), lambda y: y[0], "loss must return one number"),
        (elman.LSTM(3, 2), lambda y: 1.0, "loss must return one number"),
        (elman.LSTM(3, 2), lambda y: torch.ones(()), "loss must return one number"),
    ],
)
def test_wrong_arguments(model: Any, loss: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gradient_flow(model, torch.randn(4, 2, 3), loss)
