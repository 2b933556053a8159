"""The demo's figures."""

import re
from typing import Any

from elman.demo import pictures

RANGE: dict[str, Any] = {
    "accuracy": {"0": 0.9, "5": 0.7},
    "lowest": {"0": 0.8, "5": 0.6},
    "highest": {"0": 1.0, "5": 0.8},
}
RESULT: dict[str, Any] = {
    "ceiling": 0.75,
    "networks": {
        "Elman": RANGE | {"gradient": {"before": [1.0, 0.0], "after": [1.0, 0.1]}},
        "bag of words": RANGE,
    },
}


def test_a_figure_has_a_line_for_each_network_and_takes_the_colour_of_the_page() -> None:
    for draw, lines in ((pictures.memory, 2), (pictures.gradients, 1)):
        figure = draw(RESULT)
        assert figure.startswith("<svg") and "currentColor" in figure and pictures.INK not in figure
        assert sum(colour in figure for colour in pictures.COLOURS.values()) == lines


def test_a_figure_is_narrow_enough_for_its_text_on_a_phone() -> None:
    width = float(re.search(r'width="([\d.]+)pt"', pictures.memory(RESULT)).group(1))  # type: ignore[union-attr]
    smallest = pictures.LOOK["xtick.labelsize"]
    assert smallest * 300 / width >= 5.5  # points, on a phone 300 points wide
