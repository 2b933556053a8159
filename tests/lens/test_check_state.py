"""A state that is carried where it should be reset is found by a loss, and mended by a reset."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import elman
from elman.lens import diagnose
from elman.lens.check_state import resetting
from recall import SYMBOLS

STEPS = 8


class Echo(nn.Module):
    """Says at every step the first symbol of the sequence that it is in. Rows hold several sequences."""

    def __init__(self, begins: Tensor | None = None, batch_first: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = elman.LSTM(SYMBOLS, 16, forget_bias=2.0, batch_first=batch_first)
        self.head, self.begins = nn.Linear(16, SYMBOLS), begins

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.inner(x, reset=self.begins)[0])
        return logits


def rows(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows (T, 16, 4) of sequences of 8 symbols, the first of each at every step, and their starts."""
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(SYMBOLS, (count, STEPS, 16), generator=generator)
    first = symbols[:, :1].expand(-1, STEPS, -1).flatten(0, 1)
    begins = (torch.arange(count * STEPS) % STEPS == 0)[:, None].expand(-1, 16)
    return F.one_hot(symbols.flatten(0, 1), SYMBOLS).float(), first, begins


@pytest.fixture(scope="module")
def trained() -> dict[str, Tensor]:
    """Weights trained on single sequences."""
    model = Echo()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(150):
        x, first, _ = rows(1, step)
        loss = F.cross_entropy(model(x).flatten(0, 1), first.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3
    return model.state_dict()


def test_a_state_that_is_carried(trained: dict[str, Tensor]) -> None:
    x, first, begins = rows(4, 999)

    def loss(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), first.flatten())

    sick, mended = Echo(), Echo(begins)
    for model in (sick, mended):
        model.load_state_dict(trained)
    found = diagnose(sick, x, loss, begins=begins)
    (finding,) = [one for one in found.findings if one.kind == "carried_state"]
    assert "reset=begins" in finding.advice and finding.figures["beginnings"] == 4 * 16
    assert finding.figures["cleared"] < 0.5 * finding.figures["carried"]
    assert loss(mended(x)).item() == pytest.approx(finding.figures["cleared"], rel=1e-5)
    assert "carried_state" not in diagnose(mended, x, loss, begins=begins).kinds
    # a sequence begins without a state anyway
    one = x[:STEPS], begins[:STEPS]
    found = diagnose(
        sick, one[0], lambda y: F.cross_entropy(y.flatten(0, 1), first[:STEPS].flatten()), begins=one[1]
    )
    assert "carried_state" not in found.kinds
    assert diagnose(sick, one[0], lambda y: 0 * y.sum()).kinds == ()


@pytest.mark.parametrize("first", [False, True])
def test_resetting_is_the_same_as_a_reset(first: bool) -> None:
    x, _, begins = rows(3, 1)
    model: Any = Echo(batch_first=first)
    given = x.transpose(0, 1) if first else x
    expected, _ = model.inner(given, reset=begins.T if first else begins)
    with resetting(model, begins):
        assert torch.equal(model.inner(given)[0], expected)
        assert torch.equal(model.inner(given[:, :2])[0], model.inner(given)[0][:, :2]) is False or first
    assert not torch.equal(model.inner(given)[0], expected)
