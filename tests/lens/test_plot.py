"""Attention as a picture."""

from pathlib import Path

import numpy as np
import pytest

from elman.errors import UsageError
from elman.lens.plot import MAX_PARTS, draw_attention, picture_path

SIGNATURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".PNG": b"\x89PNG"}


@pytest.mark.parametrize("ending", SIGNATURES)
def test_attention_is_drawn(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    draw_attention(path, [" ein", " $Haus$"], ["a", " house", ".\n"], lambda: np.full((3, 2), 0.5))
    assert path.read_bytes().startswith(SIGNATURES[ending])


def test_parts_are_the_labels_with_their_spaces(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    draw_attention(path, [" ein", "s"], [" one", "s"], lambda: np.eye(2))
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
def test_nothing_or_too_much_to_draw(
    tmp_path: Path, source: list[str], target: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        draw_attention(tmp_path / "a.png", source, target, lambda: np.zeros((len(target), len(source))))
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(("name", "message"), [("a", "not nothing"), ("a.jpg", "not .jpg")])
def test_endings(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        picture_path(tmp_path / name)
    assert picture_path("a.png") == Path("a.png") and picture_path("b.SVG") == Path("b.SVG")
