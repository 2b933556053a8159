"""Attributions of a linear model are its terms; of others they add up, and agree with autograd's integral."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import elman
from elman import UsageError, lens
from elman.lens import attribution, attribution_by_prefix


class Tagger(nn.Module):
    """A user's own model."""

    def __init__(self, layer: nn.Module, outputs: int) -> None:
        super().__init__()
        self.inner, self.head = layer, nn.Linear(outputs, 2, dtype=torch.float64)

    def forward(self, x: Any) -> Tensor:
        output: Tensor = self.head(self.inner(x)[0])
        return output


@elman.cell(state="h", gates="n")
def linear(x: Any, u: Any, s: Any) -> Any:
    return x.n + u.n


def last(result: Any) -> Tensor:
    """A score of the last step of each sequence."""
    output: Tensor = result[0] if isinstance(result, tuple) else result
    return output[-1].sum(-1)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_of_a_linear_model_by_hand() -> None:
    torch.manual_seed(0)
    layer, x = elman.Recurrent(linear, 3, 4, dtype=torch.float64), random(6, 2, 3)
    seen = attribution(layer, x, last, steps=1)
    w, u = layer.weight_ih_l0.detach(), layer.weight_hh_l0.detach()
    terms = torch.stack(
        [(x[t] @ w.T @ torch.linalg.matrix_power(u.T, 5 - t)).sum(1) for t in range(6)]  # type: ignore[no-untyped-call]
    )
    torch.testing.assert_close(seen.scores, terms)
    torch.testing.assert_close(seen.occlusion, terms)
    assert float(seen.completeness.max()) < 1e-12
    assert seen.agreement.tolist() == pytest.approx([1.0, 1.0])


def test_agrees_with_the_integral_in_autograd() -> None:
    torch.manual_seed(0)
    foreign = nn.LSTM(3, 5, 2, bidirectional=True, dtype=torch.float64)
    x, points = random(3, 2, 3), 200
    expected = torch.zeros(3, 2, dtype=torch.float64)
    for k in range(points):
        leaf = (x * ((k + 0.5) / points)).requires_grad_()
        (gradient,) = torch.autograd.grad(foreign(leaf)[0][-1].sum(), leaf)
        expected += (gradient * x).sum(2) / points
    seen = attribution(foreign, x, last)
    torch.testing.assert_close(seen.scores, expected, rtol=1e-4, atol=1e-6)
    assert seen.layer == "LSTM l0" and type(foreign) is nn.LSTM


@settings(max_examples=12, deadline=None)
@given(
    cell=st.sampled_from(["elman", "gru", "lstm", "mgu"]),
    layers=st.integers(1, 2),
    both=st.booleans(),
    steps=st.integers(1, 7),
    batch=st.integers(1, 3),
)
def test_scores_add_up(cell: str, layers: int, both: bool, steps: int, batch: int) -> None:
    torch.manual_seed(0)
    layer = elman.Recurrent(cell, 3, 4, layers, bidirectional=both, dtype=torch.float64)
    model, x = Tagger(layer, 8 if both else 4), random(steps, batch, 3)
    seen = attribution(model, x, last)
    assert seen.scores.shape == seen.occlusion.shape == (steps, batch) and seen.taken.all()
    assert float(seen.completeness.max()) < 1e-8
    torch.testing.assert_close(seen.total, last(model(x)).detach() - last(model(0 * x)).detach())


def test_layouts_say_the_same() -> None:
    """One by one, batch first, without a batch, packed, and with lengths."""
    torch.manual_seed(0)
    torch_layer = nn.GRU(3, 4, dtype=torch.float64)
    first = nn.GRU(3, 4, batch_first=True, dtype=torch.float64)
    first.load_state_dict(torch_layer.state_dict())
    texts = [random(n, 3) for n in (2, 5, 3)]
    each = [attribution(torch_layer, text, lambda result: result[0][-1].sum()) for text in texts]
    batch = nn.utils.rnn.pad_sequence(texts)

    class WithLengths(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = elman.Recurrent("gru", 3, 4, dtype=torch.float64)
            self.inner.load_state_dict(torch_layer.state_dict())

        def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
            final: Tensor = self.inner(input=x, lengths=lengths)[1]
            return final.squeeze(0).sum(1)

    for seen in (
        attribution(first, batch[:5].transpose(0, 1), lambda result: result[0][range(3), [1, 4, 2]].sum(1)),
        attribution(
            torch_layer, pack_sequence(texts, enforce_sorted=False), lambda result: result[1][0].sum(1)
        ),
        attribution(WithLengths(), (batch, torch.tensor([2, 5, 3])), lambda scores: scores),
    ):
        for b, one in enumerate(each):
            n = len(texts[b])
            torch.testing.assert_close(seen.scores[:n, b], one.scores[:, 0])
            torch.testing.assert_close(seen.occlusion[:n, b], one.occlusion[:, 0])
            assert not seen.scores[n:, b].any() and not seen.occlusion[n:, b].any()


def test_a_layer_called_piece_by_piece() -> None:
    class Pieces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = elman.Recurrent("lstm", 3, 4, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            state = None
            for part in x.split(2):
                output, state = self.inner(part, state)
            last_output: Tensor = output
            return last_output

    torch.manual_seed(0)
    model, x = Pieces(), random(5, 2, 3)
    pieces, whole = (attribution(one, x, last) for one in (model, model.inner))
    torch.testing.assert_close(pieces.scores, whole.scores)
    torch.testing.assert_close(pieces.occlusion, whole.occlusion)


def test_another_baseline() -> None:
    layer, x = elman.Recurrent("gru", 3, 4, dtype=torch.float64), random(5, 2, 3)
    seen = attribution(layer, x, last, baseline=x)
    assert not seen.scores.any() and not seen.total.any()
    mean = attribution(layer, x, last, baseline=x.mean((0, 1)))
    assert float(mean.completeness.max()) < 1e-8
    assert math.isnan(seen.agreement[0]) and seen.to_dict()["agreement"][0] is None


def words_of(steps: int) -> tuple[lens.View, Tensor]:
    torch.manual_seed(0)
    model, x = Tagger(elman.Recurrent("gru", 3, 4, dtype=torch.float64), 4), random(steps, 2, 3)
    view = lens.View(
        model,
        x,
        last,
        scored="log-odds of the answer",
        answers=("bad (87%)", "good (60%)"),
        labels={"": (("not", "a", "good", "<film>", "$a$"), ("so", "good"))},
        cut=lambda count: x[:count],
    )
    return view, x


def test_while_reading() -> None:
    view, x = words_of(5)
    seen = attribution_by_prefix(view, sequence=0, steps=32)
    assert seen.labels == ("not", "a", "good", "<film>", "$a$") and seen.scores.shape == (5, 5)
    assert seen.scores.isnan().equal(torch.ones(5, 5).triu(1).bool())
    for row in range(5):
        whole = attribution(view.module, x[: row + 1], last)
        torch.testing.assert_close(seen.scores[row, : row + 1], whole.scores[:, 0])
        torch.testing.assert_close(seen.totals[row], whole.total[0])
    late = attribution_by_prefix(view, sequence=0, most=2, steps=32)
    assert late.first == 3
    torch.testing.assert_close(late.scores, seen.scores[3:], equal_nan=True)
    short = attribution_by_prefix(view.module, x, last, sequence=1, cut=lambda count: x[:count], baseline=x)
    assert short.labels == () and not short.scores.nan_to_num().any()
    assert seen.to_dict()["scores"][0][1] is None


def test_words_tell(tmp_path: Path) -> None:
    view, _ = words_of(5)
    seen = attribution(view)
    first, second = str(seen).splitlines()
    assert first.startswith("bad (87%): not ") and "in all" in first and "<film>" in first
    assert second.startswith("good (60%): so ") and not seen.taken[2:, 1].any()
    assert second.count(", ") == 1  # padding is no step
    assert seen.to_dict()["labels"][1] == ["so", "good"]
    seen.plot(tmp_path / "a.png", sequence=1)
    attribution_by_prefix(view).plot(tmp_path / "b.svg")
    assert all((tmp_path / name).stat().st_size > 5_000 for name in ("a.png", "b.svg"))
    long = attribution(view.module, random(60, 11, 3), last)
    assert "1 more sequences" in str(long) and long.plot()


def test_a_model_stays_as_it_is() -> None:
    model = Tagger(elman.Recurrent("lstm", 3, 4, 2, dropout=0.5, dtype=torch.float64), 4).train()
    model.head.bias.requires_grad = False
    x = random(4, 2, 3)
    seen = attribution(model, x, last)
    assert float(seen.completeness.max()) < 1e-8  # without dropout
    assert model.training and model.inner.training and not model.head.bias.requires_grad
    assert all(p.grad is None for p in model.parameters()) and model.head.weight.requires_grad


class Idle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = elman.LSTM(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x


LSTM = elman.LSTM(3, 2)
X = torch.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: attribution(LSTM, X), "needs a target"),
        (lambda: attribution(nn.Linear(3, 3), X, last), "no recurrent layer"),
        (lambda: attribution(Idle(), X, last), "called no recurrent layer"),
        (lambda: attribution(LSTM, X, last, steps=0), "steps must be 1 or more, not 0"),
        (lambda: attribution(LSTM, X, last, baseline=torch.zeros(5)), r"baseline .*\(4, 2, 3\), not \(5,\)"),
        (
            lambda: attribution(LSTM, X, lambda y: y[0]),
            r"one number for each of 2 sequences, not \(4, 2, 2\)",
        ),
        (lambda: attribution(LSTM, X, lambda y: 1.0), "not float"),
        (lambda: attribution(LSTM, X, lambda y: torch.zeros(2)), "does not depend on what LSTM l0 reads"),
        (lambda: attribution_by_prefix(LSTM, X, last), "give cut"),
        (lambda: attribution_by_prefix(LSTM, X, last, cut=lambda n: X[:n], sequence=2), "from 0 to 1, not 2"),
        (lambda: attribution_by_prefix(LSTM, X, last, cut=lambda n: X[:n], most=0), "most must be"),
    ],
)
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()
