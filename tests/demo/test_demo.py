"""The demo: its data, its sentences, and a quick run to the page."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
import torch

from elman import demo
from elman.demo import memory, sentences, series
from elman.errors import UsageError


def test_the_sales_figures_are_all_there() -> None:
    frame = series.sales()
    assert frame.height == 293
    assert (frame["ds"].min(), frame["ds"].max()) == (date(1992, 1, 1), date(2016, 5, 1))
    assert frame["y"].sum() == 90528594
    # December is the year's best month but for the crisis of 2008: a slip of a column would show
    months = frame["y"].to_list()
    weak = [1992 + i // 12 for i in range(0, 288, 12) if max(months[i : i + 12]) > months[i + 11]]
    assert weak == [2008]


def test_stocks_and_weather_come_from_the_package() -> None:
    assert set(series.stocks()["unique_id"]) == {"MSFT", "AMZN", "IBM", "GOOG", "AAPL"}
    assert series.weather().height == 1461


@pytest.mark.parametrize("gap", [0, 5, 12, 80])
def test_half_of_the_sentences_are_good_and_counting_words_does_not_tell(gap: int) -> None:
    words, good = sentences.sentences(gap, 50, torch.Generator().manual_seed(gap))
    assert good.float().mean() == 0.5
    answers: dict[tuple[int, ...], list[bool]] = {}
    for column, label in zip(words.T, good, strict=True):
        answers.setdefault(tuple(sorted(column.tolist())), []).append(bool(label))
    best = sum(max(found.count(True), found.count(False)) for found in answers.values())
    assert best / len(good) == sentences.bag_ceiling() == 0.75


def test_the_movie_is_good_unless_its_own_clause_says_not() -> None:
    words, good = sentences.sentences(30, 20, torch.Generator().manual_seed(0))
    for column, label in zip(words.T, good, strict=True):
        assert ("the movie was not good" in sentences.written(column)) == (not label)


def test_the_gradient_back_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    model = memory.Reader(memory.CELLS["GRU"], 8)
    words, _ = sentences.sentences(4, 1, torch.Generator().manual_seed(0))
    shares = memory.gradient_back(model, words)
    h = torch.zeros(1, words.shape[1], 8)
    _, h = model.layer(model.embedding(words[:-1]), h)
    h = h.detach().requires_grad_()
    _, last = model.layer(model.embedding(words[-1:]), h)
    end = last.detach().requires_grad_()
    (at_end,) = torch.autograd.grad(model.answer(end).sum(), end)
    (before,) = torch.autograd.grad(model.answer(last).sum(), h)
    assert shares[0] == 1
    assert shares[1] == pytest.approx(float((before.norm(dim=-1) / at_end.norm(dim=-1)).mean()), rel=1e-4)


def test_a_quick_run_writes_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text("old")
    result = demo.run(place, progress=False, quick=True)
    page = place.read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    outside = re.findall(r'(?:src|href)\s*=\s*"?(?!#)[^"\s>]+|url\((?!#)[^)]+\)|@import|<script', page)
    assert not [found for found in outside if not found.startswith(("xlink:href", 'href="#'))]
    assert page.count("<svg") == 5
    for found in result["series"].values():
        assert f"{found['scores']['mase']:.3f}" in page
        assert f"{found['baseline']['mase']:.3f}" in page
    for network in result["memory"]["networks"].values():
        assert f"{network['mean']:.1%}" in page
    assert json.loads(json.dumps(result)) == result
    said = demo.summary(result)
    assert all(
        name in said for name in ("stocks", "weather", "sales", "Elman", "GRU", "LSTM", "bag of words")
    )


def test_a_page_that_cannot_be_written_is_said_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name a file in a folder that exists"):
        demo.run(tmp_path / "none" / "page.html")
    with pytest.raises(UsageError, match="name a file in a folder that exists"):
        demo.run(tmp_path)
    assert list(tmp_path.iterdir()) == []
