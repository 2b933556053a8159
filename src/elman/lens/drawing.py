"""An unrolled network as SVG. S steps, from left to right; layers from the bottom up."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final, NamedTuple

from torch import Tensor

# in pixels
COLUMN, ROW, RADIUS = 84, 92, 15
LEFT, MARGIN, TOP, LEGEND, MIN_WIDTH = 66, 26, 66, 92, 640
RIGHT, UP = 30, 44  # where the backward direction stands beside the forward one
LABEL_CHARS: Final = 11
THIN, THICK = 0.8, 8.0
DECADES: Final = 6  # of gradients that widths tell apart
STYLE: Final = """
svg.elman-unroll { font: 12px system-ui, sans-serif; fill: currentColor; }
svg.elman-unroll:root { color: #222; background: #fff; }
@media (prefers-color-scheme: dark) { svg.elman-unroll:root { color: #ddd; background: #161616; } }
svg.elman-unroll .u, svg.elman-unroll .w, svg.elman-unroll .out { fill: none; stroke-linecap: round; }
svg.elman-unroll .u { stroke: #d9772b; }
svg.elman-unroll .w { stroke: #3d8bd0; }
svg.elman-unroll .out { stroke: #8a8a8a; }
svg.elman-unroll .none { stroke-dasharray: 2 4; }
svg.elman-unroll .uname { fill: #d9772b; font-weight: 600; text-anchor: middle; }
svg.elman-unroll .wname { fill: #3d8bd0; font-weight: 600; }
svg.elman-unroll .output { fill: #8a8a8a; }
svg.elman-unroll .state { fill: #2a9d8f; stroke: currentColor; stroke-width: 1; }
svg.elman-unroll .paper { fill: none; stroke: currentColor; stroke-width: 1; stroke-opacity: 0.35; }
svg.elman-unroll .middle { text-anchor: middle; }
svg.elman-unroll .small { font-size: 11px; }
"""


@dataclass(frozen=True, eq=False)
class UnrolledLayer:
    """One layer in one direction, over the steps shown.

    Attributes:
        name: of the layer.
        reverse: whether it reads backwards.
        strength: root mean square of the first state's units after each step, (S,).
        through_time: ‖gradient‖ that flows back from a step to the state before it, by U and by what the cell
            carries on, (S,).
        through_input: ‖gradient‖ that flows back from a step to what it reads, by W, (S,).
        from_above: ‖gradient‖ that comes to the state of a step by its output, (S,).
    """

    name: str
    reverse: bool
    strength: Tensor
    through_time: Tensor
    through_input: Tensor
    from_above: Tensor


class Widths(NamedTuple):
    """How thick a gradient is drawn: by its logarithm, between the least and the largest shown."""

    least: float
    largest: float

    def of(self, gradient: float) -> float:
        if gradient <= self.least or self.largest <= self.least:
            return THIN if gradient < self.largest else THICK
        return THIN + (THICK - THIN) * math.log(gradient / self.least) / math.log(self.largest / self.least)

    def samples(self) -> list[float]:
        """Return gradients for the legend, the largest first."""
        if self.largest <= 0:
            return []
        return [self.largest, math.sqrt(self.largest * self.least), self.least]


def draw(
    layers: Sequence[UnrolledLayer],
    labels: Sequence[str],
    begin: int,
    answer: str,
    sentences: Sequence[str],
) -> str:
    """Return an <svg> element.

    Args:
        layers, labels, begin, answer: see `Unrolled`.
        sentences: what the drawing shows, for those who don't see it.
    """
    # a layer's two directions stand in one row
    rows = [tuple(group) for _, group in groupby(layers, key=lambda one: one.name.removesuffix(" reverse"))]
    drawing = Drawing(rows, labels, begin, _widths(layers), _row_height(layers))
    width, high = max(LEFT + COLUMN * len(labels) + 40, MIN_WIDTH), drawing.floor + LEGEND
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="elman-unroll" role="img" '
        f'viewBox="0 0 {width} {high}" width="{width}" height="{high}">',
        f"<title>The network over {len(labels)} steps</title>",
        f"<desc>{_text('. '.join(sentences))}.</desc>",
        f"<style>{STYLE}</style>",
        *drawing.edges(),
        *drawing.states(),
        *drawing.ends(answer),
        *_legend(drawing.floor, drawing.widths),
    ]
    return "\n".join([*parts, "</svg>"])


class Drawing(NamedTuple):
    """What is drawn, from the bottom up.

    Attributes:
        rows: of layers: of each, one or two directions.
        height: of a row, in pixels.
    """

    rows: Sequence[Sequence[UnrolledLayer]]
    labels: Sequence[str]
    begin: int
    widths: Widths
    height: int

    @property
    def floor(self) -> int:
        """Where the labels end and the legend begins."""
        return TOP + self.height * len(self.rows) + ROW // 2

    def place(self, step: int, row: int, reverse: bool) -> tuple[int, int]:
        """Return the centre of a state."""
        x = LEFT + COLUMN * step + COLUMN // 2 - 12
        y = self.floor - 22 - (ROW - 22 - RADIUS) - self.height * row
        return (x + RIGHT, y - UP) if reverse else (x, y)

    def top(self, row: int) -> int:
        """Return the height above a row's states."""
        two = len(self.rows[row]) > 1
        return self.place(0, row, two)[1] - RADIUS - (6 if two else 0)

    def edges(self) -> Iterator[str]:
        """Draw W, U and the outputs, and around two directions a box, whose outputs the next layer reads."""
        for row, directions in enumerate(self.rows):
            if len(directions) > 1:
                yield from (self._box(step, row) for step in range(len(self.labels)))
            for one in directions:
                for step in range(len(self.labels)):
                    yield from self._of_a_step(one, row, step)

    def states(self) -> Iterator[str]:
        """Draw a circle for each state, the stronger the darker."""
        for row, directions in enumerate(self.rows):
            for one in directions:
                for step, label in enumerate(self.labels):
                    x, y = self.place(step, row, one.reverse)
                    strength = float(one.strength[step])
                    opacity = min(strength, 1.0) if math.isfinite(strength) else 1.0
                    told = _text(f"{one.name}, “{label}”: strength {strength:.2f}")
                    yield (
                        f'<circle class="state" cx="{x}" cy="{y}" r="{RADIUS}" fill-opacity="{opacity:.2f}">'
                        f"<title>{told}</title></circle>"
                    )

    def ends(self, answer: str) -> Iterator[str]:
        """Write the steps' labels below, and the answer above."""
        for step, label in enumerate(self.labels):
            x, _ = self.place(step, 0, False)
            short = label if len(label) <= LABEL_CHARS else f"{label[: LABEL_CHARS - 1]}…"
            told = f"{_text(short)}<title>{_text(label)}</title>"
            yield f'<text class="middle" x="{x}" y="{self.floor - 6}">{told}</text>'
        if self.begin:
            yield _word("middle", MARGIN, self.floor - 6, "…")
        if answer:
            yield _word("", MARGIN, 20, f"answer: {answer}")

    def _box(self, step: int, row: int) -> str:
        x, y = self.place(step, row, False)
        left, top, edge = x - RADIUS - 6, self.top(row), 2 * RADIUS + 12
        return (
            f'<rect class="paper" x="{left}" y="{top}" width="{edge + RIGHT}" '
            f'height="{y + RADIUS + 6 - top}" rx="10"/>'
        )

    def _of_a_step(self, one: UnrolledLayer, row: int, step: int) -> Iterator[str]:
        x, y = self.place(step, row, one.reverse)
        told = f"{one.name}, “{self.labels[step]}”"
        number = "₁₂₃₄₅₆₇₈₉"[row] if 1 < len(self.rows) < 10 else ""
        mark = number + ("′" if one.reverse else "")
        foot = self.top(row - 1) if row else self.floor - 22
        reads = float(one.through_input[step])
        way = f"M{x} {foot} V{y + RADIUS}"
        yield self._path("w", way, reads, f"{told}: {reads:.3g} back to what it reads")
        side, up = (x + 6, 20) if one.reverse else (x - 6, 8)
        yield _word("wname", side, foot - up, f"W{mark}", end=not one.reverse)
        yield from self._in_time(one, row, step, f"U{mark}", told)
        if row == len(self.rows) - 1:
            out, above = float(one.from_above[step]), self.top(row) - 26
            yield self._path("out", f"M{x} {y - RADIUS} V{above}", out, f"{told}: {out:.3g} from its output")
            yield f'<rect class="output" x="{x - 6}" y="{above - 10}" width="12" height="10"/>'

    def _in_time(self, one: UnrolledLayer, row: int, step: int, name: str, told: str) -> Iterator[str]:
        """Draw the edge from a step's state to the one that it begins from."""
        x, y = self.place(step, row, one.reverse)
        before = step + 1 if one.reverse else step - 1
        hidden = self.begin > 0 and before < 0  # it begins from a step that is not shown
        if not hidden and not 0 <= before < len(self.labels):
            return
        sign, length = (1 if one.reverse else -1), 44 if hidden else COLUMN - RADIUS
        gradient = float(one.through_time[step])
        way = f"M{x + sign * length} {y} H{x + sign * RADIUS}"
        yield self._path("u", way, gradient, f"{told}: {gradient:.3g} back to the state before")
        yield _word("uname", x + sign * (length + RADIUS) // 2, y - 8, name)

    def _path(self, kind: str, way: str, gradient: float, told: str) -> str:
        kind += "" if gradient > 0 else " none"
        title = f"<title>{_text(told)}</title>"
        return f'<path class="{kind}" stroke-width="{self.widths.of(gradient):.2f}" d="{way}">{title}</path>'


def _row_height(layers: Sequence[UnrolledLayer]) -> int:
    return ROW + UP if any(one.reverse for one in layers) else ROW


def _widths(layers: Sequence[UnrolledLayer]) -> Widths:
    each = [
        value
        for one in layers
        for values in (one.through_time, one.through_input, one.from_above)
        for value in values.tolist()
        if value > 0 and math.isfinite(value)
    ]
    largest = max(each, default=0.0)
    return Widths(max(min(each, default=0.0), largest * 10.0**-DECADES), largest)


def _legend(floor: int, widths: Widths) -> Iterator[str]:
    y = floor + 22
    yield f'<path class="paper" d="M{MARGIN} {y - 14} h{MIN_WIDTH - 2 * MARGIN}"/>'
    for kind, x, name in (
        ("u", 0, "U, the same at every step"),
        ("w", 220, "W, the same at every step"),
        ("out", 440, "output"),
    ):
        yield f'<path class="{kind}" stroke-width="3" d="M{MARGIN + x} {y + 4} h24"/>'
        yield _word("", MARGIN + x + 32, y + 8, name)
    y += 26
    yield _word("", MARGIN, y + 4, "gradient that flows back:")
    for k, sample in enumerate(widths.samples()):
        x = MARGIN + 168 + 84 * k
        yield f'<path class="out" stroke-width="{widths.of(sample):.2f}" d="M{x} {y} h24"/>'
        yield _word("small", x + 34, y + 4, f"{sample:.2g}")
    y += 26
    yield _word("", MARGIN, y + 4, "strength of a state:")
    for k, strength in enumerate((0.0, 0.5, 1.0)):
        x = MARGIN + 180 + 84 * k
        yield f'<circle class="state" cx="{x}" cy="{y}" r="8" fill-opacity="{strength}"/>'
        yield _word("small", x + 22, y + 4, f"{strength:g}")


def _word(kind: str, x: int, y: int, text: str, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text class="{kind}" x="{x}" y="{y}"{anchor}>{_text(text)}</text>'


def _text(text: str) -> str:
    """Return text as XML takes it: escaped, without characters that it has no room for."""
    return escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text))
