"""The drawing is well-formed SVG, whatever the words, and thicker where more gradient flows."""

import math
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman.lens.drawing import UnrolledLayer, Widths, draw

SVG = "{http://www.w3.org/2000/svg}"


def layer(name: str, *numbers: float) -> UnrolledLayer:
    return UnrolledLayer(name, name.endswith("reverse"), *[torch.tensor(numbers)] * 4)


@settings(max_examples=20, deadline=None)
@given(
    words=st.lists(st.text(st.characters(codec="utf-8"), max_size=14), min_size=1, max_size=4),
    answer=st.text(st.characters(codec="utf-8")),
    number=st.sampled_from([0.0, 1.0, math.inf, math.nan]),
)
def test_well_formed(words: list[str], answer: str, number: float) -> None:
    layers = [layer(name, *[number] * len(words)) for name in ("a l0", "a l0 reverse", "a l1", "b l0")]
    page = ElementTree.fromstring(draw(layers, words, 3, answer, ["<one>"]))
    assert page.tag == f"{SVG}svg" and page.get("viewBox")
    assert page.findtext(f"{SVG}title") and page.findtext(f"{SVG}desc") == "<one>."
    assert len(page.findall(f"{SVG}circle")) == 4 * len(words) + 3


def test_the_same_weights_and_thickness_by_gradient() -> None:
    page = ElementTree.fromstring(draw([layer("a l0", 1e-9, 1e-2, 1.0)], ["x", "y", "z"], 0, "", []))
    names = [word.text for word in page.findall(f"{SVG}text") if "name" in word.get("class", "")]
    assert sorted(names) == ["U", "U", "W", "W", "W"]
    widths = [float(one.get("stroke-width", 0)) for one in page.findall(f"{SVG}path[@class='w']")][:3]
    assert widths == sorted(widths) and widths[0] == 0.8 and widths[2] == 8.0


def test_widths() -> None:
    widths = Widths(1e-6, 1.0)
    assert widths.of(1e-3) == (0.8 + 8.0) / 2 and widths.of(0.0) == 0.8
    assert widths.samples() == pytest.approx([1.0, 1e-3, 1e-6])
    assert Widths(2.0, 2.0).of(2.0) == 8.0 and Widths(0.0, 0.0).samples() == []
