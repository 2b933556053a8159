"""A unit's state along a text, as numbers, as HTML and as a picture."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.figure import Figure

import elman
from elman import UsageError, lens
from elman.lens import unit_colours


def test_the_values_are_the_units() -> None:
    torch.manual_seed(0)
    layer, x = elman.Recurrent("lstm", 3, 4, 2, bidirectional=True), torch.randn(6, 2, 3)
    outputs = layer(x)[0].detach()
    for unit in (1, 5):  # of either direction
        seen = unit_colours(layer, x, unit, sequence=1)
        torch.testing.assert_close(seen.values, outputs[:, 1, unit])
    assert seen.layer == "Recurrent l1" and seen.labels == tuple("012345")
    assert unit_colours(layer, x, layer="Recurrent l0").layer == "Recurrent l0"
    assert seen.to_dict()["unit"] == 5 and len(seen.to_dict()["values"]) == 6


def test_text_is_coloured_and_escaped(tmp_path: Path) -> None:
    words = ("The", "movie", "was", "<not>", '"good"', "$x$")
    view = lens.View(elman.GRU(3, 4), torch.randn(8, 1, 3), labels={"": (words,)})
    seen = unit_colours(view, unit=2)
    page = ElementTree.fromstring(seen._repr_html_())
    assert tuple(one.text for one in page) == words and all("rgba" in one.get("style", "") for one in page)
    assert float(page[0].get("title", "")) == pytest.approx(float(seen.values[0]), abs=0.006)
    assert isinstance(seen.plot(tmp_path / "a.png"), Figure)
    assert (tmp_path / "a.png").stat().st_size > 3_000
    many = unit_colours(elman.GRU(3, 4), torch.randn(200, 1, 3)).plot()
    assert many.get_figheight() > seen.plot().get_figheight()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": 4}, "unit must be a number from 0 to 3, not 4"),
        ({"sequence": 2}, "sequence must be a number from 0 to 1, not 2"),
        ({"layer": "b"}, "layer must be one of GRU l0"),
    ],
)
def test_wrong_arguments(options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        unit_colours(elman.GRU(3, 4), torch.randn(6, 2, 3), **options)
