"""Pictures of the lens are drawn, as files and as figures, and too much is refused."""

from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

import elman
from elman import UsageError, lens


@pytest.fixture
def layer() -> elman.Recurrent:
    torch.manual_seed(0)
    return elman.Recurrent("lstm", 3, 4, 2, bidirectional=True)


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_every_view_is_drawn(layer: elman.Recurrent, ending: str, tmp_path: Path) -> None:
    x = torch.randn(12, 2, 3)
    flow = lens.gradient_flow(layer, x, lambda result: result[0].square().sum())
    for name, view in (
        ("flow", flow),
        ("states", lens.states(layer, x)),
        ("horizon", lens.memory_horizon(layer, x)),
    ):
        path = tmp_path / f"{name}.{ending}"
        assert isinstance(view.plot(path), Figure) and path.stat().st_size > 5_000
    assert isinstance(flow.plot(), Figure)


def test_words_label_the_steps(layer: elman.Recurrent) -> None:
    words = ["the", "movie", "was", "not", "good", "$x$"]
    figure = lens.states(layer, torch.randn(6, 1, 3)).plot(labels=words)
    shown = [tick.get_text() for tick in figure.axes[-2].get_xticklabels()]
    assert shown == words


def test_what_can_not_be_drawn(layer: elman.Recurrent, tmp_path: Path) -> None:
    many = elman.LSTM(3, 4, 5)
    with pytest.raises(UsageError, match="30 pictures of states and gates are too many"):
        lens.states(many, torch.randn(6, 1, 3)).plot()
    with pytest.raises(UsageError, match=r"drawn as .png or .svg"):
        lens.states(layer, torch.randn(6, 1, 3)).plot(tmp_path / "a.gif")


def test_public_names() -> None:
    assert all(getattr(lens, name) for name in lens.__all__) and set(lens.__all__) <= set(dir(lens))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lens.nothing
