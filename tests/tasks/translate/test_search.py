"""Beam and greedy search over many sentences, segments of long texts, and attention."""

from pathlib import Path

import pytest
import torch

from elman.errors import UsageError
from elman.tasks.translate.problem import MAX_TRAIN_TOKENS
from elman.tasks.translate.search import Translation, joined, segments, translate
from elman.tasks.translate.translator import Translator
from made_up_language import language


def test_one_by_one_together_and_by_other_widths(model: Translator) -> None:
    source, _ = language(1)
    source = source[:9]
    together = model.predict(source)
    assert together == [model.predict(text) for text in source]
    wide = translate(model.network, model.codec, source, beam_width=4, n_best=4)
    narrow = translate(model.network, model.codec, source, beam_width=1)
    for best, (greedy,) in zip(wide, narrow, strict=True):
        scores = [one.score for one in best]
        assert scores[0] >= greedy.score - 1e-4
        assert len({one.text for one in best}) > 1


def test_attention_belongs_to_the_parts(model: Translator, tmp_path: Path) -> None:
    (one,) = model.translate(["pomon vidas la kato 12345."])[0]
    assert one.attention.shape == (len(one.target), len(one.source))
    assert "".join(one.target).strip() == one.text and "".join(one.source).strip().startswith("pomon")
    assert bool((one.attention.sum(1) <= 1 + 1e-5).all()) and bool((one.attention >= 0).all())
    number = one.target.index("12345")
    assert one.source[int(one.attention[number].argmax())] in ("12345", " ", ".")
    one.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="drawn as"):
        one.plot(tmp_path / "a")
    with pytest.raises(UsageError, match="empty"):
        model.translate([""])[0][0].plot(tmp_path / "b.png")
    with pytest.raises(UsageError, match="too long to draw"):
        model.translate(["kato. " * 300])[0][0].plot(tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_segments_hold_the_whole_text(model: Translator) -> None:
    text = "Pomon vidas. La kato! " * 40 + "libron" * 500 + " fino"
    parts = segments(model.codec, text)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert max(len(model.codec.encode_source(part).ids) for part in parts) <= MAX_TRAIN_TOKENS + 1


def test_segments_are_joined_rank_by_rank() -> None:
    def one(text: str, score: float, size: int) -> Translation:
        return Translation(text, score, ("s",) * size, (text,), (torch.full((1, size), score),))

    first, second = [one("a", -1.0, 2), one("b", -2.0, 2)], [one("c", -4.0, 1)]
    best, next_best = joined([first, second], 2)
    assert (best.text, best.score, best.source, best.target) == ("a c", -5.0, ("s",) * 3, ("a", "c"))
    assert best.attention.tolist() == [[-1, -1, 0], [0, 0, -4]]
    assert (next_best.text, next_best.score) == ("b c", -6.0)
    assert joined([first], 2) is first
    assert joined([], 2)[0].text == "" and joined([], 2)[0].attention.shape == (0, 0)


def test_the_attention_of_a_long_text_takes_no_memory_of_its_square() -> None:
    part = Translation("b", -1.0, ("a",) * 100, ("b",) * 100, (torch.ones(100, 100),))
    (whole,) = joined([[part]] * 4000, 1)  # as one matrix, 640 GB
    assert len(whole.source) == 400_000 and len(whole.segments) == 4000
    with pytest.raises(UsageError, match="400000 parts is too long to draw"):
        whole.plot("attention.png")
