"""The gradient along each edge is autograd's."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import elman
from elman import UsageError, cells, lens
from elman.lens import unroll


def squares(result: Any) -> Tensor:
    total: Tensor = result[0][-1].square().sum()
    return total


def test_edges_carry_what_autograd_gives() -> None:
    """Of a GRU, step by step: each begins from a copy of the state before, which has its own gradient."""
    torch.manual_seed(0)
    layer, x = elman.Recurrent("gru", 3, 4, dtype=torch.float64), torch.randn(5, 2, 3, dtype=torch.float64)
    inputs, copies, state = [step.clone().requires_grad_() for step in x], [], None
    for step in inputs:
        copy = torch.zeros(1, 2, 4, dtype=torch.float64) if state is None else state
        copy = copy * 1.0 if copy.requires_grad else copy.requires_grad_()
        copy.retain_grad()
        copies.append(copy)
        _, state = layer.step(step, copy)
    assert isinstance(state, Tensor)
    state.square().sum().backward()
    state = state.detach()
    for sequence in (0, 1):
        (one,) = unroll(layer, x, squares, sequence=sequence).layers
        for t in range(5):
            assert float(one.through_input[t]) == pytest.approx(float(inputs[t].grad[sequence].norm()))
            assert float(one.through_time[t]) == pytest.approx(float(copies[t].grad[0, sequence].norm()))
        assert one.from_above.nonzero().flatten().tolist() == [4]
        assert float(one.from_above[4]) == pytest.approx(2 * float(state[0, sequence].norm()))
        assert float(one.strength[4]) == pytest.approx(float(state[0, sequence].square().mean().sqrt()))


@pytest.mark.parametrize("cell", sorted(cells.CELLS))
def test_all_that_comes_to_a_layer_comes_from_the_one_above(cell: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    layer = elman.Recurrent(cell, 3, 4, 2, zoneout=0.2, dtype=torch.float64).eval()
    seen = unroll(layer, x, lambda result: result[0].square().sum())
    below, above = seen.layers
    torch.testing.assert_close(below.from_above, above.through_input)
    first = torch.autograd.grad(layer(leaf := x.clone().requires_grad_())[0].square().sum(), leaf)[0]
    torch.testing.assert_close(below.through_input, first[:, 0].norm(dim=1))


def test_both_directions_and_the_last_steps() -> None:
    torch.manual_seed(0)
    foreign = nn.LSTM(3, 4, 2, bidirectional=True)
    seen = unroll(foreign, torch.randn(20, 2, 3), squares, most=7, sequence=1)
    assert [one.name for one in seen.layers] == [
        f"LSTM l{k}{way}" for k in (0, 1) for way in ("", " reverse")
    ]
    assert seen.begin == 13 and seen.labels == tuple(map(str, range(13, 20)))
    last = seen.layers[3]  # its state at the last step is its first, and alone has a part in the last output
    assert last.through_input.nonzero().flatten().tolist() == [6] and not last.through_time[:6].any()
    plain = seen.to_dict()
    assert plain["begin"] == 13 and len(plain["layers"]["LSTM l1"]["through_time"]) == 7
    assert str(seen).count("\n") == 3 and "“19”" in str(seen)


def test_a_batch_in_resets_and_pieces() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.other = elman.GRU(3, 4), elman.GRU(4, 2)

        def forward(self, x: Tensor) -> Any:
            state, outputs = None, []
            reset = torch.zeros(3, 2, dtype=torch.bool)
            reset[1] = True
            for part in x.split(3):
                output, state = self.inner(part, state, reset=reset)
                outputs.append(output)
            return self.other(outputs[-1])

    seen = unroll(Net(), torch.randn(6, 2, 3), squares)
    (one,) = seen.layers
    assert len(one.strength) == 6 and seen.left_out == ("other l0",)
    assert one.through_time.nonzero().flatten().tolist() == [2, 3, 5]  # a sequence begins at 1 and 4
    assert one.through_input.nonzero().flatten().tolist() == [1, 2, 3, 4, 5]
    assert "other l0" in str(seen)


def test_words_are_drawn(tmp_path: Path) -> None:
    layer, x = elman.GRU(3, 4), torch.randn(4, 2, 3)
    labels = {"": (("a", "<b>"),) * 2}
    score = lambda result: result[0][-1].sum(1)  # noqa: E731
    view = lens.View(layer, x, score, answers=("<good>", "bad"), labels=labels)
    seen = unroll(view, sequence=0)
    assert seen.labels == ("a", "<b>") and seen.answer == "<good>"
    text = seen.plot(tmp_path / "network.svg")
    assert (tmp_path / "network.svg").read_text() == text == seen.svg() and text in seen._repr_html_()
    with pytest.raises(UsageError, match=r"drawn as .svg, not .png"):
        seen.plot(tmp_path / "network.png")


class Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = elman.LSTM(3, 2), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Any:
        return (self.head(x),)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (elman.LSTM(3, 2), {"most": 0}, "most must be 1 or more, not 0"),
        (elman.LSTM(3, 2), {"sequence": 2}, "from 0 to 1, not 2"),
        (elman.LSTM(3, 2), {"loss": lambda result: result[0]}, "loss must return one number"),
        (nn.Linear(3, 3), {}, "no recurrent layer"),
        (Idle(), {}, "called no recurrent layer"),
    ],
)
def test_wrong_arguments(model: Any, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        unroll(model, torch.randn(4, 2, 3), **{"loss": squares, **options})
