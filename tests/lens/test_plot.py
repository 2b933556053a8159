"""Attention as a picture, and pictures on pages."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb

from elman.errors import UsageError
from elman.lens.figures import finished
from elman.lens.plot import (
    DARK_INK,
    INK,
    LIGHT_INK,
    MAX_PARTS,
    Picture,
    attention,
    in_page,
    picture_path,
)

SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".PNG": b"\x89PNG"}


@pytest.mark.parametrize("ending", SIGNATURES)
def test_attention_is_drawn(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    finished(attention([" ein", " $Haus$"], ["a", " house", ".\n"], lambda: np.full((3, 2), 0.5)), path)
    assert path.read_bytes().startswith(SIGNATURES[ending])


def test_parts_are_the_labels_with_their_spaces(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    finished(attention([" ein", "s"], [" one", "s"], lambda: np.eye(2)), path)
    assert all(f"<!-- {label} -->" in path.read_text() for label in ("·ein", "·one", "s"))


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([], ["a"], "text to translate is empty"),
        (["a"], [], "translation is empty"),
        (["a"] * (MAX_PARTS + 1), ["a"], "too long to draw"),
        (["a"], ["a"] * (MAX_PARTS + 1), "too long to draw"),
    ],
)
def test_nothing_or_too_much_to_draw(source: list[str], target: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        attention(source, target, lambda: np.zeros((len(target), len(source))))


def test_pictures_have_no_ground_and_ink_for_light_and_dark(tmp_path: Path) -> None:
    finished(attention(["a"], ["b"], lambda: np.eye(1)), tmp_path / "a.png")
    corner = image.imread(tmp_path / "a.png")[0, 0]
    assert corner[3] == 0, "transparent"
    finished(attention(["a"], ["b"], lambda: np.eye(1)), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "currentColor" in text and INK not in text
    assert f"svg{{color:{LIGHT_INK}}}@media(prefers-color-scheme:dark){{svg{{color:{DARK_INK}}}}}" in text


@pytest.mark.parametrize("ground", [(1, 1, 1), (0.08, 0.09, 0.11)])
def test_the_ink_is_seen_on_light_and_dark(ground: tuple[float, ...]) -> None:
    def luminance(colour: Any) -> float:  # of WCAG 2.1
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(to_rgb(INK)), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) > 4


@pytest.mark.parametrize(("name", "message"), [("a", "not .*a$"), ("a.jpg", r"not .*a\.jpg$")])
def test_endings(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        picture_path(tmp_path / name)
    assert picture_path("a.png") == Path("a.png") and picture_path("b.SVG") == Path("b.SVG")


def test_a_figure_shows_itself_in_a_notebook_in_the_ink_of_its_page() -> None:
    figure = attention(["a"], ["b"], lambda: np.eye(1))
    assert isinstance(figure, Picture)
    page = ElementTree.fromstring(figure._repr_html_())
    assert page[0].tag == "{http://www.w3.org/2000/svg}svg" and page.get("role") == "img"
    assert "currentColor" in figure._repr_html_()
    assert f"min-width:{0.75 * 96 * figure.get_figwidth():.0f}px" in page[0].get("style", "")


def test_a_label_is_escaped() -> None:
    assert 'aria-label="&lt;b&gt; &quot;a&quot;"' in in_page("<svg/>", '<b> "a"')
