"""Networks whose memory is made too short or unstable: what is said, and that the advice helps."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import elman
from elman.lens import diagnose
from elman.lens.check_memory import chrono_bias
from recall import SYMBOLS, Reader, after_training, answer, questions


def scaled(model: Reader, factor: float) -> Reader:
    with torch.no_grad():
        model.inner.weight_hh_l0.mul_(factor)
    return model


def test_vanishing() -> None:
    x, _ = questions(12)
    sick, mended = scaled(Reader("elman"), 0.03), Reader("elman", recurrent_init="orthogonal")
    found = diagnose(sick, x, answer)
    assert found.kinds == ("vanishing",) and found.findings[0].figures["horizon"] < 1
    assert 'recurrent_init="orthogonal"' in str(found)
    assert diagnose(mended, x, answer).healthy
    assert after_training(mended, 12, 60) < 0.3 < 1.2 < after_training(sick, 12, 60)


def test_exploding() -> None:
    x, _ = questions(20)
    sick, mended = scaled(Reader("elman"), 8), Reader("elman", recurrent_init="orthogonal")
    found = diagnose(sick, x, answer)
    assert "exploding" in found.kinds and "vanishing" not in found.kinds
    figures = found.findings[0].figures
    assert figures["growth"] > 10 and figures["exponent"] > 0 and figures["layer"] == "inner l0"
    assert diagnose(mended, x, answer).healthy
    assert after_training(mended, 20) < 0.3 < after_training(sick, 20)


@pytest.mark.parametrize("seed", range(3))
def test_a_memory_that_is_too_short_for_the_data(seed: int) -> None:
    gap = 30
    x, _ = questions(gap)
    sick = Reader("lstm", seed=seed, forget_bias=-1.0)
    found = diagnose(sick, x, answer, dependency=gap)
    assert found.kinds == ("vanishing", "forget_bias")
    assert found.findings[1].figures["mean"] < 0.5 < 0.9 < found.findings[1].figures["needed"]
    assert all(f"forget_bias={chrono_bias(gap):g}" in one.advice for one in found.findings)
    mended = Reader("lstm", seed=seed, forget_bias=chrono_bias(gap))
    assert diagnose(mended, x, answer, dependency=gap).healthy
    if seed == 0:
        assert after_training(mended, gap, 150) < 0.3 < 1.3 < after_training(sick, gap, 150)


def test_a_memory_that_is_hardly_too_short() -> None:
    found = diagnose(Reader("gru"), questions(12)[0], answer, dependency=12)
    assert found.kinds == ("short_horizon",)
    assert "elman.LSTM with forget_bias=2.4 in place of GRU" in str(found)
    assert diagnose(Reader("gru"), questions(12)[0], answer, dependency=3).healthy


class Carried(nn.Module):
    """Repeats at every step what it was told `gap` steps before."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = elman.LSTM(SYMBOLS, 24, forget_bias=1.0)
        self.head = nn.Linear(24, SYMBOLS)

    def forward(self, x: Any, state: Any = None) -> Any:
        output, state = self.inner(x, state)
        return self.head(output), state


def repeats(model: Carried, window: int, gap: int, steps: int = 600) -> float:
    """Train by truncated backpropagation, with the same number of steps of data; return the last losses."""
    optimizer, losses = torch.optim.Adam(model.parameters(), 0.01), []
    generator = torch.Generator().manual_seed(1)
    symbols, state = torch.randint(SYMBOLS, (gap, 16), generator=generator), None
    for _ in range(steps // window):
        symbols = torch.cat([symbols[-gap:], torch.randint(SYMBOLS, (window, 16), generator=generator)])
        output, state = model(F.one_hot(symbols[gap:], SYMBOLS).float(), state)
        state = tuple(one.detach() for one in state)
        loss = F.cross_entropy(output.flatten(0, 1), symbols[:-gap].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses[-10:]) / 10


def test_a_window_that_cuts_dependencies() -> None:
    gap = 2
    x = F.one_hot(torch.randint(SYMBOLS, (24, 8)), SYMBOLS).float()
    sick = Carried()
    found = diagnose(sick, x, dependency=gap, window=1)
    (finding,) = [one for one in found.findings if one.kind == "window"]
    better = finding.figures["better"]
    assert better == 4 and "windows of 4 steps" in finding.advice
    assert "window" not in diagnose(sick, x, dependency=gap, window=better).kinds
    assert repeats(Carried(), better, gap) < 0.8 < 1.1 < repeats(Carried(), 1, gap)


def test_a_window_that_cuts_what_a_network_remembers() -> None:
    model = elman.LSTM(4, 16, forget_bias=4.0)
    x = torch.randn(60, 8, 4)
    found = diagnose(model, x, window=10)
    assert found.kinds == ("window",) and 10 < found.findings[0].figures["better"] <= 60
    assert diagnose(model, x, window=60).healthy
