"""Results show themselves in a notebook, escaped."""

from xml.etree import ElementTree

import torch

import elman
from elman import lens
from elman.lens.notebook import InNotebook


def results() -> dict[str, InNotebook]:
    torch.manual_seed(0)
    layer, x = elman.Recurrent("lstm", 3, 4), torch.randn(6, 2, 3)
    target = lambda result: result[0][-1].sum(1)  # noqa: E731
    return {
        "States": lens.states(layer, x),
        "GradientFlow": lens.gradient_flow(layer, x),
        "MemoryHorizon": lens.memory_horizon(layer, x),
        "Attribution": lens.attribution(layer, x, target),
        "PrefixAttribution": lens.attribution_by_prefix(layer, x, target, cut=lambda n: x[:n]),
        "Unrolled": lens.unroll(layer, x),
        "Dependency": lens.dependency([[0, 1] * 40]),
    }


def test_a_picture_and_a_sentence() -> None:
    for name, result in results().items():
        page = ElementTree.fromstring(result._repr_html_().replace("<br>", "<br/>"))
        assert type(result).__name__ == name and page.tag == "figure"
        picture = page[0][0]
        assert picture.tag == "{http://www.w3.org/2000/svg}svg" and page[0].get("aria-label")
        assert len(page) == (2 if type(result).__str__ is not object.__str__ else 1)


class Odd(InNotebook):
    def __str__(self) -> str:
        return '<b>"a"</b>\nb'

    def plot(self, path: object = None) -> str:
        return "<svg/>"


def test_a_sentence_alone() -> None:
    layer, x = elman.GRU(3, 4), torch.full((5, 1, 3), torch.nan)
    shown = lens.first_bad_step(layer, x)
    assert shown is not None and shown._repr_html_() == f"<p>{shown}</p>"
    assert lens.diagnose(layer, x)._repr_html_().startswith("<p>")


def test_text_is_escaped() -> None:
    page = Odd()._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;&quot;a&quot;&lt;/b&gt;<br>b</figcaption>" in page


def test_a_sentence_where_there_is_no_picture() -> None:
    shown = lens.states(elman.LSTM(3, 4, 5), torch.randn(6, 1, 3))._repr_html_()
    assert shown == "<p>30 pictures of states and gates are too many: draw a layer at a time</p>"
