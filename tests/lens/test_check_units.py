"""Networks whose gates or units are made useless: what is said, and that the advice helps."""

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import elman
from elman.lens import diagnose
from recall import SYMBOLS, Reader, after_training, answer, questions


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_saturated_by_large_inputs(cell: str) -> None:
    x, _ = questions(4)
    found = diagnose(Reader(cell), 100 * x, answer)
    (finding,) = [one for one in found.findings if one.kind == "saturated"]
    assert finding.figures["input_rms"] > 10 and "standardise the inputs" in finding.advice
    spread = float(x.std())
    assert diagnose(Reader(cell), x / spread, answer).healthy
    if cell == "lstm":
        sick, mended = (after_training(Reader(cell), 4, scale=s) for s in (100, 1 / spread))
        assert mended < 0.1 < 1 < sick


@pytest.mark.parametrize("part", ["ih", "hh"])
def test_saturated_by_large_weights(part: str) -> None:
    model, (x, _) = Reader("lstm"), questions(6)
    with torch.no_grad():
        getattr(model.inner, f"weight_{part}_l0").mul_(100)
    (finding,) = [one for one in diagnose(model, x, answer).findings if one.kind == "saturated"]
    assert f"smaller {'input' if part == 'ih' else 'recurrent'} weights" in finding.advice


def test_a_forget_gate_that_keeps_is_not_saturated() -> None:
    assert diagnose(Reader("lstm", forget_bias=12.0), questions(9)[0], answer, dependency=9).healthy


@pytest.mark.parametrize(("kind", "cell", "bias"), [("dead", "elman-relu", -20.0), ("stuck", "elman", 20.0)])
def test_units_that_do_nothing(kind: str, cell: str, bias: float) -> None:
    x, _ = questions(8)
    sick = Reader(cell, recurrent_init="orthogonal")
    with torch.no_grad():
        sick.inner.bias_ih_l0[4:] = bias
    found = diagnose(sick, x, answer)
    (finding,) = [one for one in found.findings if one.kind == kind]
    assert finding.figures["units"] == list(range(4, 16)) and finding.figures["share"] == 0.75
    mended = copy.deepcopy(sick)
    with torch.no_grad():
        mended.inner.bias_ih_l0[finding.figures["units"]] = 0
    assert diagnose(mended, x, answer).healthy
    assert after_training(mended, 8) < 0.1 < 0.5 < after_training(sick, 8)


class Padded(nn.Module):
    """Answers from the state after sequences whose ends are padded with zeros."""

    def __init__(self, lengths: Tensor | None, **options: Any) -> None:
        super().__init__()
        self.reader, self.lengths = Reader("elman", **options), lengths

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(x, lengths=self.lengths)


def test_padding_that_is_read() -> None:
    lengths = torch.randint(4, 7, (32,), generator=torch.Generator().manual_seed(0))
    x = torch.randn(40, 32, SYMBOLS)
    x[torch.arange(40)[:, None] >= lengths] = 0
    found = diagnose(Padded(None), x, answer)
    (finding,) = [one for one in found.findings if one.kind == "padding"]
    assert 34 <= finding.figures["padding"] <= 36 and "lengths" in finding.advice
    assert diagnose(Padded(lengths), x, answer).healthy

    def loss(model: nn.Module) -> float:
        symbols = torch.randint(SYMBOLS, (32,), generator=torch.Generator().manual_seed(3))
        told = x.clone()
        told[lengths - 1, torch.arange(32)] = F.one_hot(symbols, SYMBOLS).float()
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(40):
            value = F.cross_entropy(model(told), symbols)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        return value.item()

    assert loss(Padded(lengths)) < 0.5 < 1 < loss(Padded(None))


def test_constant_input_is_no_padding() -> None:
    assert diagnose(elman.LSTM(3, 20), torch.zeros(30, 4, 3)).healthy
    one = torch.randn(30, 1, 3)
    one[10:] = 0
    assert "padding" not in diagnose(elman.LSTM(3, 20), one).kinds
