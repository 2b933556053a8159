"""A translator of a made-up language whose words stand in the opposite order."""

import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman.data.text.pairs import Pairs
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks import Translator
from elman.tasks.translate.problem import divided
from elman.tasks.translate.search import pieces, translate

WHO = {"kato": "cat", "hundo": "dog", "birdo": "bird", "viro": "man"}
DOES = {"vidas": "sees", "portas": "carries", "trovas": "finds"}
WHAT = {"pomon": "apple", "libron": "book", "domon": "house", "floron": "flower"}


def language(seed: int = 0) -> tuple[list[str], list[str]]:
    """What, verb, number, who → who, number, verb, what; numbers are rare and stand as they are."""
    rng = random.Random(seed)
    rows = []
    for (who, man), (does, do), (what, thing) in product(WHO.items(), DOES.items(), WHAT.items()):
        for _ in range(5):
            number = rng.randrange(1000, 100_000)
            rows.append((f"{what} {does} la {who} {number}.", f"{man} {number} {do} a {thing}."))
    rng.shuffle(rows)
    return [source for source, _ in rows], [target for _, target in rows]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Translator:
    source, target = language()
    return Translator.fit(
        {"source": source, "target": target},
        folder=tmp_path_factory.mktemp("runs") / "t",
        progress=False,
        vocabulary=320,
        hidden=48,
        embedding=32,
        dropout=0.1,
        epochs=14,
        batch_size=8,
        learning_rate=5e-3,
        patience=14,
        width=3,
    )


def test_learns_order_and_copies_numbers_that_it_never_saw(model: Translator) -> None:
    assert model.validation.scores.bleu > 90
    assert model.validation.baseline is not None and model.validation.baseline.bleu < 60
    assert model.predict("libron portas la viro 7654321.") == "man 7654321 carries a book."


def test_one_by_one_together_and_by_other_widths(model: Translator) -> None:
    source, _ = language(1)
    source = source[:9]
    together = model.predict(source)
    assert together == [model.predict(text) for text in source]
    wide = translate(model.network, model.codec, source, width=4, n_best=4)
    narrow = translate(model.network, model.codec, source, width=1)
    for best, (greedy,) in zip(wide, narrow, strict=True):
        scores = [one.score for one in best]
        assert scores[0] >= greedy.score - 1e-4
        assert len({one.text for one in best}) > 1


def test_the_stream_says_what_greedy_search_says(model: Translator) -> None:
    texts = ["pomon vidas la kato 12345. domon trovas la birdo 54321.", "floron portas la hundo 77777."]
    for text in texts:
        stream = model.stream()
        for letter in text:
            stream.push(letter)
        parts = [greedy[0].text for greedy in translate(model.network, model.codec, [text], width=1)]
        assert "".join(stream.words()).rstrip() == parts[0] == "".join(model.generate(text)).rstrip()
        assert stream.result() == model.predict(text)
    with pytest.raises(UsageError, match="push takes a text"):
        model.stream().push(3)  # type: ignore[arg-type]


def test_attention_belongs_to_the_parts(model: Translator, tmp_path: Path) -> None:
    (one,) = model.translate(["pomon vidas la kato 12345."])[0]
    assert one.attention.shape == (len(one.target), len(one.source))
    assert "".join(one.target).strip() == one.text and "".join(one.source).strip().startswith("pomon")
    assert bool((one.attention.sum(1) <= 1 + 1e-5).all()) and bool((one.attention >= 0).all())
    number = one.target.index("12345")
    assert one.source[int(one.attention[number].argmax())] in ("12345", " ", ".")
    one.draw(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="nothing"):
        one.draw(tmp_path / "a")
    with pytest.raises(UsageError, match="empty"):
        model.translate([""])[0][0].draw(tmp_path / "b.png")
    with pytest.raises(UsageError, match="too long to draw"):
        model.translate(["kato. " * 300])[0][0].draw(tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_n_best(model: Translator) -> None:
    best = model.predict("pomon vidas la kato 12345.", count=5)
    assert len(best) == 5 and best[0][0] == model.predict("pomon vidas la kato 12345.")
    assert all(isinstance(text, str) and score <= 0 for text, score in best)
    for count in (0, 2.5, "3", 101):
        with pytest.raises(UsageError, match="count"):
            model.predict("pomon", count=count)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="text 1 to translate"):
        model.predict(["pomon", 3])


@pytest.mark.parametrize(
    "text", ["", "  \n ", "東京", "🙂" * 50, "x" * 2000, "\ud800", "a\0b", "pomon " * 300]
)
def test_odd_texts_have_a_sound_result(model: Translator, text: str) -> None:
    found = model.predict(text)
    assert isinstance(found, str) and (found == "" or text.strip())
    assert "".join(model.generate(text)) is not None


def test_pieces_hold_the_whole_text(model: Translator) -> None:
    text = "Pomon vidas. La kato! " * 40 + "libron" * 500 + " fino"
    parts = pieces(model.codec, text)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert max(len(model.codec.read(part).ids) for part in parts) <= 101


def test_saved_model_translates_the_same(model: Translator, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert isinstance(again, Translator)
    text = "pomon vidas la kato 12345."
    assert again.predict(text, count=3) == model.predict(text, count=3)
    assert again.validation == model.validation
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["elman"]["settings"]["hidden"] = 50
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match="don't fit"):
        elman.load(tmp_path / "m")


def test_evaluate_knows_what_was_trained_on(model: Translator, tmp_path: Path) -> None:
    source, target = language(5)
    (tmp_path / "t.x").write_text("\n".join(source[:6]) + "\n")
    (tmp_path / "t.y").write_text("\n".join(target[:6]) + "\n")
    result = model.evaluate((tmp_path / "t.x", tmp_path / "t.y"))
    assert result.pairs == 6 and result.scores.bleu > 80 and not result.notes
    trained = language()
    known = model.evaluate({"source": trained[0], "target": trained[1]})
    assert any("were trained on" in note for note in known.notes)
    with pytest.raises(DataError, match="lines"):
        (tmp_path / "t.y").write_text("only one\n")
        model.evaluate((tmp_path / "t.x", tmp_path / "t.y"))


def test_evaluate_takes_the_columns_of_the_training(tmp_path: Path) -> None:
    source, target = language()
    table = {"n": list(range(60)), "a": source[:60], "b": target[:60], "note": ["x"] * 60}
    small = {"vocabulary": 320, "hidden": 8, "embedding": 8, "epochs": 1}
    model = Translator.fit(table, source="b", target="a", progress=False, **small)
    same = model.evaluate(table)
    assert same == model.evaluate(table, source="b", target="a")
    assert same != model.evaluate(table, source="a", target="b")
    files = (tmp_path / "x", tmp_path / "y")
    for file, side in zip(files, (target, source), strict=True):
        file.write_text("\n".join(side[:60]))
    assert model.evaluate(files).scores == same.scores


def test_endless_pairs_have_no_perplexity(model: Translator) -> None:
    result = model.evaluate({"source": ["pomon vidas la kato 1.", "la " * 500], "target": ["a", "b " * 500]})
    assert "1 pairs of more than 400 tokens are left out of the perplexity" in result.notes
    alone = model.evaluate({"source": ["la " * 500], "target": ["b " * 500]})
    assert alone.perplexity is None and json.dumps(alone.to_dict(), allow_nan=False)


def test_every_line_has_an_answer(model: Translator, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("pomon\n\nla kato\n")
    assert len(list(model.report(tmp_path / "t"))) == 3
    assert json.loads(next(iter(model.report("\udcff", as_json=True))))


def test_split_keeps_a_source_on_one_side() -> None:
    source = [f"Satz {i // 3}" for i in range(300)]
    train, held_out = divided(Pairs(source, [str(i) for i in range(300)], "x", "y", None), 0)
    assert not set(train.source) & set(held_out.source)
    assert len(train) + len(held_out) == 300 and len(held_out) == pytest.approx(30, abs=6)


@pytest.mark.parametrize(
    ("data", "settings", "said"),
    [
        ({"source": ["a"] * 3, "target": ["b"] * 3}, {}, "holds 3 pairs"),
        (
            {"source": ["a b " * 200] * 12, "target": ["b"] * 12},
            {"valid": {"source": ["a"], "target": ["b"]}},
            "more than 100",
        ),
        ({"source": ["a"], "target": ["b"]}, {"hidden": 33}, "even"),
        ({"source": ["a"], "target": ["b"]}, {"feeding": "yes"}, "feeding"),
        ({"source": ["a"], "target": ["b"]}, {"smoothing": 1}, "smoothing"),
        ({"source": ["a"], "target": ["b"]}, {"length_penalty": -1}, "length_penalty"),
        ({"source": ["a"], "target": ["b"]}, {"vocabulary": 10}, "at least 258"),
    ],
)
def test_what_cannot_be_is_said(data: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises((UsageError, DataError), match=said):
        Translator.fit(data, progress=False, **settings)


def test_input_feeding_and_joint_subwords_train(tmp_path: Path) -> None:
    source, target = language()
    model = Translator.fit(
        {"source": source[:60], "target": target[:60]},
        progress=False,
        vocabulary=320,
        hidden=16,
        embedding=16,
        epochs=1,
        batch_size=16,
        feeding=True,
        joint=True,
        cell="gru",
    )
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert again.predict(source[:3]) == model.predict(source[:3])


def test_long_pairs_are_left_out_and_said() -> None:
    source, target = language()
    source, target = source[:40], target[:40]
    source[3] = source[3] * 200  # far too long whatever its tokens are
    source[5] = " ".join([source[5]] * 20)
    model = Translator.fit(
        {"source": source, "target": target},
        progress=False,
        vocabulary=320,
        hidden=8,
        embedding=8,
        epochs=1,
        valid={"source": source[:2], "target": target[:2]},
    )
    assert "2 pairs of more than 100 tokens were not trained on" in model.validation.notes
    assert torch.get_num_threads() >= 1
