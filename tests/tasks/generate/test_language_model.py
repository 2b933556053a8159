"""Language models: trained on toy texts, checked step by step; how good they are is measured in bench/."""

import copy
import itertools
import json
import math
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import elman
from elman.cells import CELLS
from elman.data.text.vocabulary import END
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks.generate.cache import Cache
from elman.tasks.generate.language_model import LanguageModel
from elman.tasks.generate.network import FULL, Voice, Writer
from elman.tasks.generate.problem import NextToken, read
from elman.training.loop import Plan

SUBJECTS, VERBS, OBJECTS = (
    ("I", "you", "they"),
    ("love", "like", "read"),
    ("deep learning", "old books", "tea"),
)
SMALL: dict[str, Any] = {"hidden": 32, "embedding": 16, "steps": 16, "batch_size": 8, "dropout": 0.1}
SMALL |= {"weight_dropout": 0.0, "epochs": 3, "learning_rate": 0.02, "average": 0.9, "progress": False}


def sentences(count: int, seed: int = 1) -> str:
    draw = random.Random(seed)
    return "".join(
        f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)}.\n" for _ in range(count)
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "toy.txt"
    file.write_text(sentences(600))
    return file


@pytest.fixture(scope="module")
def letters(text: Path) -> LanguageModel:
    return LanguageModel.fit(text, tokens="character", **SMALL)


@pytest.fixture(scope="module")
def words(text: Path) -> LanguageModel:
    return LanguageModel.fit(text, tokens="word", **(SMALL | {"epochs": 10}))


@pytest.fixture(scope="module")
def subwords(text: Path) -> LanguageModel:
    options = SMALL | {"epochs": 12, "vocabulary": 290, "cell": "gru"}
    return LanguageModel.fit(text, tokens="subword", **options)


@pytest.fixture(scope="module", params=["letters", "words"])
def model(request: pytest.FixtureRequest) -> LanguageModel:
    found: LanguageModel = request.getfixturevalue(request.param)
    return found


# ---- what it says


def test_the_next_word(words: LanguageModel, letters: LanguageModel) -> None:
    for model in (words, letters):
        found = model.predict("they love deep")
        assert found[0][0] == "learning" and found[0][1] > 0.3
        assert [w for w, _ in model.predict("I love")[:3]] != [w for w, _ in found[:3]]
        assert sum(p for _, p in found) < 1.0001
        assert model.predict(["they love deep", "I"], count=2)[0] == found[:2]


def test_probabilities_are_those_of_the_whole_text_read_step_by_step(
    model: LanguageModel, text: Path
) -> None:
    """The evaluation reads pieces; a stream reads tokens. Both must find the same nats."""
    ids = model.vocabulary.encode(sentences(30, seed=2))
    stream = model.stream()
    total, last, held = 0.0, int(ids[0]), stream._held
    for token in ids[1:].tolist():
        logits, held = stream._model.step(torch.tensor([last]), held)
        total, last = total - float(logits[0].log_softmax(0)[token]), token
    whole = text.with_name("new.txt")
    whole.write_text(sentences(30, seed=2))
    result = model.evaluate(whole)
    assert result.scores.nats == pytest.approx(total / (len(ids) - 1), rel=1e-5)
    assert result.scores.perplexity == pytest.approx(np.exp(result.scores.nats))
    letters = len(sentences(30, seed=2))
    assert result.scores.bits == pytest.approx(total / np.log(2) / letters, rel=0.05)
    assert result.baseline is not None and result.tokens == len(ids) - 1


def test_the_cache_hears_what_was_just_said(model: LanguageModel, text: Path) -> None:
    odd = text.with_name("odd.txt")
    odd.write_text("they read tea.\n" * 40)
    plain, adapted = model.evaluate(odd).scores, model.evaluate(odd, adapt=True).scores
    assert adapted.nats < plain.nats
    ids = model.vocabulary.encode(odd.read_text())
    stream = model.stream(adapt=True)
    total, last, held = 0.0, int(ids[0]), stream._held
    for token in ids[1:].tolist():
        features, _ = Voice(model.network).step(torch.tensor([last]), held.state)
        logits, held = stream._model.step(torch.tensor([last]), held)
        cache = held.cache or Cache.empty(features)
        held = held._replace(cache=cache.after(features, torch.tensor([token])))
        total, last = total - float(logits[0].log_softmax(0)[token]), token
    assert adapted.nats == pytest.approx(total / (len(ids) - 1), rel=1e-4)


@settings(max_examples=20)
@given(st.data())
def test_a_text_in_pieces_is_the_text(
    letters: LanguageModel, words: LanguageModel, data: st.DataObject
) -> None:
    whole = sentences(2, seed=data.draw(st.integers(0, 9)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    for model in (letters, words):
        at_once, pieces = model.stream(), model.stream()
        at_once.push(whole)
        for begin, end in itertools.pairwise([0, *cuts, len(whole)]):
            pieces.push(whole[begin:end])
        for (w1, p1), (w2, p2) in zip(at_once.result(), pieces.result(), strict=True):
            assert w1 == w2 and p1 == pytest.approx(p2, rel=1e-5)


def test_a_part_of_a_word_is_completed(
    words: LanguageModel, letters: LanguageModel, subwords: LanguageModel
) -> None:
    for model in (words, letters, subwords):
        stream = model.stream()
        stream.push("I love deep lea")
        found = stream.result(3)
        assert found[0][0] == "learning"
        assert all(word.startswith("lea") for word, _ in found)


def test_subwords_that_reach_over_a_blank_or_a_begun_word(subwords: LanguageModel) -> None:
    """In training "learning" came as tokens of " learning": neither a lone blank nor " l" was ever read."""
    assert subwords.predict("they love deep")[0][0] == "learning"
    stream = subwords.stream()
    for typed, wanted in (("they love deep l", "learning"), ("ear", "learning"), ("ning.\n", None)):
        stream.push(typed)
        found = stream.result(3)
        assert all(0 <= p <= 1.0001 for _, p in found)
        assert wanted is None or found[0][0] == wanted
    after_blank = "".join(subwords.generate("they love deep ", 20, temperature=0))
    assert " " + after_blank == "".join(subwords.generate("they love deep", 21, temperature=0))


def test_no_half_characters_among_the_next_words(subwords: LanguageModel) -> None:
    found = [word for word, _ in subwords.predict("I love ", 2000)]
    assert len(found) > 40 and not any("\ufffd" in word for word in found)


def test_words_go_on_after_marks(words: LanguageModel) -> None:
    for typed in ("they love tea.", "they love tea", "I lo", "I love tea. the", "I love tea.\nthe", "tea .I"):
        stream = words.stream()
        stream.push(typed)
        assert stream.result(3), typed


def test_the_cache_is_the_same_for_one_row_and_for_many(letters: LanguageModel) -> None:
    stream = letters.stream(adapt=True)
    stream.push("they read tea.\n" * 3)
    tokens = torch.tensor([3, 4, 5, 3])
    held = stream._model.select(stream._held, torch.zeros(4, dtype=torch.int64))
    together, _ = stream._model.step(tokens, held)
    for row, token in enumerate(tokens):
        alone, _ = stream._model.step(token.view(1), stream._held)
        assert torch.allclose(together[row], alone[0], atol=1e-5)


@pytest.mark.parametrize("adapt", [False, True])
def test_a_stream_goes_on_from_a_file(model: LanguageModel, tmp_path: Path, adapt: bool) -> None:
    stream = model.stream(adapt)
    stream.push("I love tea.\nthey read ol")
    stream.save(tmp_path / "stream")
    again = model.stream(adapt, saved=tmp_path / "stream")
    assert again.result() == stream.result()
    for each in (stream, again):
        each.push("d books.\n")
    assert again.result() == stream.result()


def test_a_stream_of_another_model(words: LanguageModel, letters: LanguageModel, tmp_path: Path) -> None:
    words.stream().save(tmp_path / "stream")
    with pytest.raises(ArtifactError, match="another model"):
        letters.stream(saved=tmp_path / "stream")
    (tmp_path / "stream").write_bytes(b"no")
    with pytest.raises(ArtifactError, match="holds no stream"):
        words.stream(saved=tmp_path / "stream")
    with pytest.raises(ArtifactError, match="holds no stream"):
        words.stream(saved=tmp_path / "nowhere")


# ---- what it writes


def test_generated_text(model: LanguageModel) -> None:
    first = "".join(model.generate("I love", 200, seed=1))
    assert first == "".join(model.generate("I love", 200, seed=1))
    assert first != "".join(model.generate("I love", 200, seed=2))
    assert 190 <= len(first) <= 200
    known = set(sentences(600)) | {" "}
    assert set(first) <= known
    written = first.replace("\n", " ").split()
    assert sum(w.strip(".") in sentences(600) for w in written) > 0.5 * len(written)


def test_temperature_0_is_the_likeliest(model: LanguageModel) -> None:
    texts = {"".join(model.generate("they", 60, temperature=0, seed=s)) for s in (1, 2, 3)}
    assert len(texts) == 1
    assert texts == {"".join(model.generate("they", 60, top_k=1, seed=5))}


def test_stop_and_length(model: LanguageModel) -> None:
    text = "".join(model.generate("I", 300, seed=3))
    stopped = "".join(model.generate("I", 300, seed=3, stop=".\n"))
    assert ".\n" in text and stopped == text[: text.index(".\n")]
    assert "".join(model.generate("I", 0)) == ""
    for length in (1, 7):
        assert "".join(model.generate("I", length, seed=3)) == text[:length]


def test_writing_leaves_the_stream_where_it_is(model: LanguageModel) -> None:
    stream = model.stream()
    stream.push("they like")
    before = stream.result()
    "".join(stream.generate(50, seed=1))
    assert stream.result() == before


def test_odd_prompts(model: LanguageModel) -> None:
    for odd in ("", " ", "\n\n", "ωλ 漢字 \U0001f600", "x" * 3000, "\x00\ud800"):
        assert len("".join(model.generate(odd, 20, seed=1))) <= 20
        assert all(0 <= p <= 1 for _, p in model.predict(odd))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"length": -1}, "length"),
        ({"length": 1.5}, "length"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"top_k": "3"}, "top_k"),
        ({"top_p": "all"}, "top_p"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"stop": ""}, "stop"),
        ({"seed": 2**64}, "seed"),
        ({"seed": "1"}, "seed"),
    ],
)
def test_wrong_options(letters: LanguageModel, options: dict[str, Any], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        "".join(letters.generate("I", **options))


# ---- what it is made of


def test_windows_in_order_are_the_text_read_whole() -> None:
    """Without dropout, and with the state carried, windows foretell what the whole rows foretell."""
    torch.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 9, 403)
    plan = Plan(batch_size=4)
    problem = NextToken(ids, ids, steps=10, activation=0.0, slowness=0.0, plan=plan)
    network = small_network()
    assert problem.rows == 4
    total, count, state = 0.0, 0.0, None
    for window in problem.batches(0, 0, 1):
        loss, items, state = problem.loss(network, window, state)
        total, count = total + loss.item(), count + items
    length = 402 // 4
    rows = torch.from_numpy(np.stack([ids[r * length : r * length + 101] for r in range(4)], 1))
    features, _, _ = network(rows[:-1])
    assert count == 400
    assert total == pytest.approx(network.loss(features, rows[1:]).item(), rel=1e-6)


def test_ranks_share_the_rows_and_epochs_begin_elsewhere() -> None:
    ids = np.zeros(20_000, np.int64)
    problem = NextToken(ids, ids, steps=16, activation=0.0, slowness=0.0, plan=Plan(batch_size=8))
    both = [problem.batches(3, rank, 2) for rank in (0, 1)]
    for a, b in zip(*both, strict=True):
        assert a.begin == b.begin and sorted([*a.rows, *b.rows]) == list(range(8))
    begins = {problem.batches(epoch, 0, 1)[0].begin for epoch in range(8)}
    assert len(begins) > 3 and problem.batches(0, 0, 1)[0].begin == 0
    with pytest.raises(elman.TrainingError, match="16 processes"):
        problem.batches(0, 9, 16)


def small_network(**options: Any) -> Writer:
    given_ = {"embedding": 6, "hidden": 8, "layers": 2, "dropout": 0.0, "embedding_dropout": 0.0}
    return Writer(elman.cells.LSTM, 9, **(given_ | {"weight_dropout": 0.0} | options))


def test_regularisation_costs_what_it_says() -> None:
    torch.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, 9, 200)
    network, losses = small_network(), {}
    for activation, slowness in ((0.0, 0.0), (2.0, 0.0), (0.0, 3.0)):
        problem = NextToken(ids, ids, 20, activation, slowness, Plan(batch_size=2))
        window = problem.batches(0, 0, 1)[0]
        losses[activation, slowness] = problem.loss(network, window, None)[0].item() / 40
    text = np.stack([ids[:20], ids[99:119]], 1)
    _, outputs, _ = network(torch.from_numpy(text))
    plain = losses[0.0, 0.0]
    assert losses[2.0, 0.0] - plain == pytest.approx(2 * outputs.pow(2).mean().item(), rel=1e-2)
    change = (outputs[1:] - outputs[:-1]).pow(2).mean().item()
    assert losses[0.0, 3.0] - plain == pytest.approx(3 * change, rel=1e-2)


def test_dropped_words_are_missing_everywhere() -> None:
    torch.manual_seed(0)
    network = small_network(embedding_dropout=0.5).train()
    ids = torch.arange(9).repeat(2).view(18, 1)
    x = network._read(ids)
    missing = (x == 0).all(2).squeeze(1)
    assert 0 < missing.sum() < 18 and torch.equal(missing[:9], missing[9:])
    dropped = small_network(dropout=0.5).train()._dropped(torch.ones(7, 3, 8))
    assert torch.equal(dropped, dropped[:1].expand(7, 3, 8)) and (dropped == 0).any()


@pytest.mark.parametrize(("tokens", "loudness"), [(9, 1.0), (9, 3.0), (FULL + 50, 1.0), (FULL + 50, 3.0)])
def test_log_probabilities_sum_to_1_and_are_the_loss(tokens: int, loudness: float) -> None:
    torch.manual_seed(0)
    network = Writer(
        elman.cells.GRU, tokens, embedding=6, hidden=6, layers=1,
        dropout=0.0, embedding_dropout=0.0, weight_dropout=0.0, loudness=loudness,
    )  # fmt: skip
    ids = torch.randint(0, tokens, (6, 2))
    features, _, _ = network(ids[:-1])
    logs = network.log_probs(features)
    assert logs.shape == (5, 2, tokens)
    assert torch.allclose(logs.exp().sum(-1), torch.ones(5, 2), atol=1e-5)
    own = logs.gather(2, ids[1:].unsqueeze(2)).sum()
    assert network.loss(features, ids[1:]).item() == pytest.approx(-own.item(), rel=1e-5)
    voice = Voice(network.eval())
    said = voice.logits(features[0].detach()).log_softmax(1)
    torch.testing.assert_close(said, logs[0].detach(), atol=1e-5, rtol=1e-5)


def test_reading_in_rows_reads_every_row_once() -> None:
    ids = np.arange(2000) % 9
    network = small_network().eval()
    for rows in (1, 3):
        wanted = [w for _, w in read(network, ids, rows)]
        found = torch.cat(wanted).T.flatten()
        length = 1999 // rows
        assert torch.equal(
            found, torch.from_numpy(np.concatenate([ids[1 + r * length :][:length] for r in range(rows)]))
        )


# ---- on disk, and wrong calls


def test_a_saved_model_is_the_same(model: LanguageModel, tmp_path: Path, text: Path) -> None:
    model.save(tmp_path / "m")
    again = elman.load(tmp_path / "m")
    assert isinstance(again, LanguageModel)
    assert again.predict("they love deep") == model.predict("they love deep")
    assert again.validation == model.validation and again.blend == model.blend
    assert again.evaluate(text).to_dict() == model.evaluate(text).to_dict()
    card = (tmp_path / "m" / "README.md").read_text()
    assert str(model.validation) in card and "Kneser-Ney" in card
    assert elman.load(tmp_path / "m", int8=True).predict("they love deep")[0][0] == "learning"


def test_a_model_without_its_text(text: Path, tmp_path: Path) -> None:
    model = LanguageModel.fit(text, folder=tmp_path / "m", tokens="word", keep_baseline=False, **SMALL)
    assert model.validation.baseline is not None
    again = elman.load(tmp_path / "m")
    assert isinstance(again, LanguageModel) and not len(again.counted)
    assert again.evaluate(text).baseline is None
    assert "which this folder holds" not in (tmp_path / "m" / "README.md").read_text()


def test_lines_that_end_otherwise(letters: LanguageModel) -> None:
    plain, other = letters.stream(), letters.stream()
    plain.push("they\nlike\n")
    for piece in ("they\r", "", "\nlike\r\n"):
        other.push(piece)
    assert plain.result() == other.result()
    plain.push("they\n")
    other.push("they\r")  # may be a whole line end, so it counts at once
    assert plain.result() == other.result()


@pytest.mark.parametrize("tokens", [5, FULL + 1])
@pytest.mark.parametrize("alone", [False, True])
def test_a_voice_says_what_the_network_foretells(tokens: int, alone: bool) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"dropout": 0.5, "embedding_dropout": 0.5, "weight_dropout": 0.5}
    network = Writer(CELLS["gru"], tokens, embedding=8, hidden=32, layers=2, **options).eval()
    ids = torch.randint(tokens, (6, 1))
    voice, state, found = copy.deepcopy(Voice(network, alone)), None, []
    for step in ids:
        features, state = voice.step(step, state)
        found.append(voice.logits(features).log_softmax(1))
    with torch.no_grad():
        wanted = network.log_probs(network(ids)[0])[:, 0]
    torch.testing.assert_close(torch.cat(found), wanted, rtol=1e-5, atol=1e-5)


def test_a_text_that_was_trained_on_is_named(letters: LanguageModel, text: Path, tmp_path: Path) -> None:
    assert any("trained on" in note for note in letters.evaluate(text).notes)
    table = pl.DataFrame({name: [f"{name} {k}" for k in range(99)] for name in ("text", "other")})
    options = SMALL | {"epochs": 1, "tokens": "character"}
    model = LanguageModel.fit(table, text="text", **options)
    assert any("trained on" in note for note in model.evaluate(table).notes)
    assert not any("trained on" in note for note in model.evaluate(table, text="other").notes)
    (tmp_path / "other.txt").write_text(sentences(40))
    assert not any("trained on" in note for note in letters.evaluate(tmp_path / "other.txt").notes)


def test_a_run_goes_on_with_its_own_held_out_text_only(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name} " + sentences(80))
    run = {"tokens": "character", "folder": tmp_path / "run", **SMALL}

    def full(*_: Any) -> None:
        raise UsageError("the disk is full")

    monkeypatch.setattr(LanguageModel, "save", full)
    with pytest.raises(UsageError, match="full"):  # the run's checkpoint stays
        LanguageModel.fit(text, valid=tmp_path / "a.txt", **run)
    with pytest.raises(elman.TrainingError, match="valid"):
        LanguageModel.fit(text, valid=tmp_path / "b.txt", resume=True, **run)


def test_training_goes_on(text: Path, tmp_path: Path) -> None:
    whole = LanguageModel.fit(text, tokens="character", folder=tmp_path / "a", **SMALL)
    assert not (tmp_path / "a" / "checkpoint.pt").exists()
    with pytest.raises(elman.TrainingError):
        LanguageModel.fit(text, tokens="character", folder=tmp_path / "b", resume=True, **SMALL)
    assert asdict(whole.settings)["hidden"] == 32


def test_wrong_data_and_settings(text: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.txt"
    short.write_text("too little")
    with pytest.raises(DataError, match=r"short\.txt"):
        LanguageModel.fit(short, **SMALL)
    for wrong, word in (
        ({"tokens": "letters"}, "tokens"),
        ({"hidden": 0}, "hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"slowness": -1}, "slowness"),
        ({"cell": "lstn"}, "cell"),
        ({"cell": {"a": 1}}, "cell"),
        ({"keep_baseline": 1}, "keep_baseline"),
        ({"temperature": 1}, "temperature"),
    ):
        with pytest.raises(UsageError, match=word):
            LanguageModel.fit(text, **(SMALL | wrong))
    with pytest.raises(DataError, match="nope"):
        LanguageModel.fit(tmp_path / "nope.txt", **SMALL)


def test_a_million_characters_on_one_line(letters: LanguageModel, tmp_path: Path) -> None:
    long = tmp_path / "long.txt"
    long.write_text("I love tea " * 10_000)
    result = letters.evaluate(long)
    assert result.tokens == 110_000 - 1
    assert END not in letters.vocabulary.encode("I love tea")


def test_a_text_of_one_token_has_no_score(letters: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("I")
    with pytest.raises(DataError, match="at least 2"):
        letters.evaluate(tmp_path / "one.txt")


def test_unknown_words_are_said(words: LanguageModel, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("they love unheard words.\n" * 9)
    assert "unknown words" in words.evaluate(tmp_path / "new.txt").notes[0]


def test_a_tables_column_is_remembered(tmp_path: Path) -> None:
    rows = [json.dumps({"body": line}) for line in sentences(300).splitlines()]
    (tmp_path / "d.jsonl").write_text("\n".join(rows))
    model = LanguageModel.fit(
        tmp_path / "d.jsonl", text="body", tokens="character", folder=tmp_path / "m", **SMALL
    )
    again = elman.load(tmp_path / "m")
    assert isinstance(again, LanguageModel)
    assert again.evaluate(tmp_path / "d.jsonl").scores == model.evaluate(tmp_path / "d.jsonl").scores
    (tmp_path / "plain.txt").write_text(sentences(9))
    assert again.evaluate(tmp_path / "plain.txt").tokens > 100
