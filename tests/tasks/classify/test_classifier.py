"""The classifier against single texts, hand-made sums and its own saved self; and every way to misuse it."""

import itertools
import random
from array import array
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import artifact
from elman.cells import CELLS
from elman.data.batches import pad
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks.classify import network as classify_net
from elman.tasks.classify.classifier import Classifier
from elman.tasks.classify.network import POOLS, Reader, evidence
from elman.tasks.classify.problem import Encoded, Examples, LabelProblem, divide, normal
from elman.tasks.classify.scores import Evaluation, class_weights, scores
from elman.tasks.classify.settings import Settings
from elman.training.loop import Plan

FILLERS = ["the", "film", "plot", "was", "day", "we", "saw", "it"]
QUICK: dict[str, Any] = {"hidden": 12, "embedding": 12, "progress": False, "device": "cpu"}
Rows = list[dict[str, str]]


def order_matters(count: int, seed: int = 0) -> Rows:
    """ "... not good ... bad" is bad and "... not bad ... good" is good: the same words, in another order."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        label, other = draw.sample(["good", "bad"], 2)
        words = draw.choices(FILLERS, k=draw.randint(1, 8))
        first = draw.randint(0, len(words))
        second = draw.randint(first, len(words))
        words = [*words[:first], "not", other, *words[first:second], label, *words[second:]]
        rows.append({"text": " ".join(words), "label": label})
    return rows


def rows_of(texts: list[str], labels: list[str]) -> Rows:
    return [{"text": t, "label": y} for t, y in zip(texts, labels, strict=True)]


def small(count: int = 24) -> Rows:
    return rows_of(
        [f"word{i % 4} and word{i % 3} number{i}" for i in range(count)], ["a", "b"] * (count // 2)
    )


def reader(**changes: Any) -> Reader:
    torch.manual_seed(1)
    parts = {"embedding": 5, "hidden": 4, "layers": 1, "bidirectional": False, "pools": tuple(POOLS)}
    parts |= {"dropout": 0.3, "embedding_dropout": 0.2} | changes
    return Reader(CELLS[parts.pop("cell", "lstm")], 20, 3, **parts)


@pytest.fixture(scope="module")
def model() -> Classifier:
    return Classifier.fit(order_matters(500), **QUICK, epochs=12, learning_rate=1e-2)


@pytest.fixture(scope="module")
def subwords() -> Classifier:
    return Classifier.fit(order_matters(60), **QUICK, epochs=1, tokenizer="subword", vocabulary=300, layers=2)


# ---- what it learns


def test_order_is_what_the_network_sees_and_the_bag_of_words_cannot(model: Classifier) -> None:
    result = model.evaluate(order_matters(300, seed=1))
    assert result.scores["accuracy"] > 0.95
    assert result.baseline["accuracy"] < 0.65
    assert model.predict("the plot was not bad it was good") == "good"
    assert model.predict(["the plot was not good it was bad"]) == ["bad"]


def test_same_seed_same_model() -> None:
    made = [Classifier.fit(small(), **QUICK, epochs=2, seed=s) for s in (3, 3, 4)]
    first, second, other = (m.predict("word1 and word2", probabilities=True) for m in made)
    assert first == second != other


def test_many_classes_stand_in_numeric_order() -> None:
    labels = ["10", "9", "2.5", "-1"]
    rows = rows_of(
        [f"sign{y} {w}" for y in labels for w in FILLERS * 4], [y for y in labels for _ in range(32)]
    )
    model = Classifier.fit(rows, **QUICK, epochs=8, learning_rate=1e-2)
    assert model.classes == ("-1", "2.5", "9", "10")
    assert model.predict([f"sign{y} film" for y in labels]) == labels
    assert sum(model.predict("sign9", probabilities=True).values()) == pytest.approx(1)


def test_labels_that_are_not_all_numbers_stand_by_alphabet() -> None:
    rows = rows_of([f"some text {i}" for i in range(12)], ["10", "9", "x"] * 4)
    assert Classifier.fit(rows, **QUICK, epochs=1).classes == ("10", "9", "x")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_cell_trains(cell: str, bidirectional: bool) -> None:
    module = reader(cell=cell, bidirectional=bidirectional)
    texts = [array("i", [2, 3, 4, 5, 6]), array("i", [7, 8])]
    examples = Encoded(texts, torch.tensor([0, 2]))
    problem = LabelProblem(examples, examples, torch.ones(3), Plan())
    before = problem.loss(module.eval(), [0, 1], None)[0].item()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(10):
        optimizer.zero_grad()
        problem.loss(module.train(), [0, 1], None)[0].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())
        optimizer.step()
    assert problem.loss(module.eval(), [0, 1], None)[0].item() < before


# ---- the network


@pytest.mark.parametrize(
    "changes", [{}, {"bidirectional": True}, {"layers": 2}, {"cell": "gru"}, {"cell": "mgu"}]
)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=20)
def test_a_text_in_a_padded_batch_is_read_as_if_alone(changes: Any, lengths: list[int], seed: int) -> None:
    module, draw = reader(**changes).eval(), random.Random(seed)
    texts = [[draw.randint(1, 19) for _ in range(n)] for n in lengths]
    alone = torch.cat([module(*pad([text])) for text in texts])
    torch.testing.assert_close(module(*pad(texts)), alone)


def test_pools_against_their_definition() -> None:
    module = reader().eval()
    ids = torch.tensor([3, 4, 5, 6])
    outputs, _ = module.layers(module.embedding(ids).unsqueeze(1))
    pooled = torch.cat([outputs.mean(0), outputs.amax(0), outputs[-1]], 1)
    torch.testing.assert_close(module(ids.unsqueeze(1), torch.tensor([4])), module.head(pooled))


def test_last_of_both_directions_is_the_final_state() -> None:
    module = reader(bidirectional=True, pools=("last",)).eval()
    ids, lengths = pad([[3, 4, 5], [6, 7, 8, 9, 10]])
    _, (h, _) = module.layers(module.embedding(ids), lengths=lengths)
    torch.testing.assert_close(module(ids, lengths), module.head(torch.cat([h[0], h[1]], 1)))


def test_reading_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = reader().eval()
    batch = pad([[i % 18 + 1 for i in range(n)] for n in (1, 7, 8, 30)])
    whole = module(*batch)
    monkeypatch.setattr(classify_net, "PIECE", 7)
    torch.testing.assert_close(module(*batch), whole)


def test_evidence_is_the_log_of_the_shares() -> None:
    # word 2 stands in both texts of class 0, once a text; word 3 in the text of class 1
    found = evidence([[2, 2], [2], [3]], torch.tensor([0, 0, 1]), 4, 2)
    shares = torch.tensor([[1, 1], [1, 1], [3, 1], [1, 2]]) / torch.tensor([6, 5])
    torch.testing.assert_close(found, shares.log() - shares.log().mean(1, keepdim=True))


# ---- loss, weights, scores


def test_balanced_weights_give_classes_the_same_say() -> None:
    labels = torch.tensor([0, 0, 0, 1])
    torch.testing.assert_close(class_weights(labels, 2, True), torch.tensor([4 / 6, 4 / 2]))
    assert class_weights(labels, 2, False).tolist() == [1, 1]


def test_loss_is_the_weighted_sum_of_logarithms() -> None:
    module, weights = reader(dropout=0.0, embedding_dropout=0.0), torch.tensor([0.5, 2.0, 1.0])
    examples = Encoded([array("i", [2, 3]), array("i", [4]), array("i", [5])], torch.tensor([1, 0, 1]))
    loss, count, state = LabelProblem(examples, examples, weights, Plan()).loss(module, [0, 1, 2], None)
    logs = [module(*pad([ids])).log_softmax(1)[0] for ids in examples.texts]
    torch.testing.assert_close(loss, -(2 * logs[0][1] + 0.5 * logs[1][0] + 2 * logs[2][1]))
    assert count == 4.5
    assert state is None


def test_rare_labels_are_found_when_classes_are_balanced() -> None:
    rows = rows_of([f"{w} {v} {i % 3}" for i in range(6) for w in FILLERS for v in FILLERS], ["many"] * 384)
    for row in rows[::16]:
        row |= {"text": f"rare {row['text']}", "label": "few"}
    result = Classifier.fit(rows, **QUICK, epochs=15, learning_rate=1e-2).validation
    assert result.scores["macro_f1"] > 0.9


def test_a_crop_is_a_part_of_the_text() -> None:
    examples = Encoded([array("i", range(2, 12))], torch.tensor([0]))
    problem = LabelProblem(examples, examples, torch.ones(3), Plan(), longest=3)
    read: list[list[int]] = []

    class Spy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(3))

        def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            read.append(ids[:, 0].tolist())
            return self.weight.expand(1, 3)

    for _ in range(50):
        problem.loss(Spy(), [0], None)
    assert {tuple(ids) for ids in read} == {(i, i + 1, i + 2) for i in range(2, 10)}


def test_scores_against_counting() -> None:
    said, true = [0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 2, 2]
    probabilities = torch.nn.functional.one_hot(torch.tensor(said), 3).float()
    f1 = [2 * 1 / (2 + 1), 2 * 2 / (3 + 3), 2 * 1 / (1 + 2)]
    wanted = {"accuracy": 4 / 6, "macro_f1": sum(f1) / 3}
    assert scores(probabilities, torch.tensor(true)) == pytest.approx(wanted)
    result = Evaluation.of(probabilities, probabilities, torch.tensor(true), ("x", "y", "z"))
    assert result.confusion == [[1, 0, 0], [1, 2, 0], [0, 1, 1]]
    assert result.commonest == ("y", 0.5)
    assert "no better than the bag of words" in result.notes[0]
    assert Evaluation.from_dict(result.to_dict()) == result
    assert "macro-F1" in str(result)
    assert "0.6667" in str(result)


# ---- streams


@given(
    pieces=st.lists(
        st.sampled_from(["the ", "fil", "m not", " good", ", bad", "'s ", "don", "'t", " \n", "zz!"])
    )
)
@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("kind", ["model", "subwords"])
def test_a_stream_ends_where_predict_does(
    kind: str, pieces: list[str], request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(kind)
    stream = model.stream()
    for piece in pieces:
        stream.push(piece)
        stream.result()  # asking changes nothing
    text = "".join(pieces)
    assert stream.result(probabilities=True) == pytest.approx(
        model.predict(text, probabilities=True), abs=1e-5
    )
    assert stream.result() == model.predict(text)


def test_a_stream_answers_after_every_token(model: Classifier) -> None:
    readings = model.stream().push("The plot was not bad, it was good so")
    assert [r.token for r in readings] == ["the", "plot", "was", "not", "bad", ",", "it", "was", "good"]
    prefixes = list(itertools.accumulate((r.token for r in readings), lambda a, b: f"{a} {b}"))
    for reading, prefix in zip(readings, prefixes, strict=True):
        wanted = model.predict(prefix, probabilities=True)
        assert reading.probabilities == pytest.approx(wanted, abs=1e-5)
        assert reading.label == model.predict(prefix)


def test_a_stream_keeps_nothing_that_grows(model: Classifier) -> None:
    def size(stream: Any) -> int:
        tensors = [*stream._memory[1:], *stream._memory.state, stream._last]
        return sum(t.untyped_storage().nbytes() for t in tensors) + len(stream._rest)

    stream = model.stream()
    stream.push("not good ")
    early = size(stream)
    for _ in range(200):
        stream.push("not good ")
    assert size(stream) == early


def test_a_bidirectional_model_does_not_stream() -> None:
    model = Classifier.fit(small(), **QUICK, epochs=1, bidirectional=True)
    assert set(model.predict("word1", probabilities=True)) == {"a", "b"}
    with pytest.raises(UsageError, match="bidirectional=False"):
        model.stream()


# ---- odd texts


@pytest.mark.parametrize("text", ["", " \n", "qwertz zxcvb", "\u200b", "👍🏽", "a" * 1000])
def test_odd_texts_have_an_answer(model: Classifier, subwords: Classifier, text: str) -> None:
    for each in (model, subwords):
        probabilities = each.predict(text, probabilities=True)
        assert sum(probabilities.values()) == pytest.approx(1)


def test_a_million_characters(model: Classifier) -> None:
    text = "not good but bad " * 60_000
    assert len(text) > 1_000_000
    stream = model.stream()
    stream.push(text)
    wanted = model.predict(text, probabilities=True)
    assert stream.result(probabilities=True) == pytest.approx(wanted, abs=1e-5)


def test_no_text_no_answer(model: Classifier) -> None:
    assert model.predict([]) == []


# ---- splits


def test_the_same_text_is_never_on_both_sides() -> None:
    rows = order_matters(300)
    texts = [row["text"] for row in rows] * 2 + [row["text"].upper() for row in rows]
    train, held_out = divide(Examples(texts, torch.tensor([0, 1] * 450)), seed=0)
    assert len(train.texts) + len(held_out.texts) == 900
    assert not {normal(t) for t in train.texts} & {normal(t) for t in held_out.texts}


def test_texts_that_were_trained_on_are_counted(model: Classifier) -> None:
    known = order_matters(500)
    fresh = rows_of(["an unheard of good thing"] * 2, ["good", "bad"])
    assert model.evaluate(fresh).notes[:1] != (
        "2 of these 2 texts were trained on, which flatters both scores",
    )
    note = next(n for n in model.evaluate(known + fresh).notes if "trained on" in n)
    assert 400 <= int(note.split()[0]) < 500
    leaky = Classifier.fit(small(), valid=small()[:4], **QUICK, epochs=1)
    assert any(n.startswith("4 of these 4 texts were trained on") for n in leaky.validation.notes)


# ---- on disk


def test_save_and_load_bit_for_bit(model: Classifier, subwords: Classifier, tmp_path: Path) -> None:
    texts = [row["text"] for row in order_matters(50, seed=2)]
    for name, each in {"words": model, "subwords": subwords}.items():
        each.save(tmp_path / name)
        loaded = Classifier.from_artifact(artifact.load(tmp_path / name))
        assert loaded.predict(texts, probabilities=True) == each.predict(texts, probabilities=True)
        assert loaded.validation == each.validation
        assert loaded.evaluate(order_matters(50)) == each.evaluate(order_matters(50))
    assert "macro-F1" in (tmp_path / "words" / "README.md").read_text()


def test_fit_saves_in_its_folder(tmp_path: Path) -> None:
    model = Classifier.fit(small(), **QUICK, epochs=1, folder=tmp_path / "run")
    loaded = Classifier.from_artifact(artifact.load(tmp_path / "run"))
    assert loaded.predict("word1", probabilities=True) == model.predict("word1", probabilities=True)
    assert (tmp_path / "run" / "metrics.jsonl").exists()
    assert not list((tmp_path / "run").glob("checkpoint*"))


def test_parts_that_do_not_fit_each_other(model: Classifier, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    saved = artifact.load(tmp_path / "m")
    saved.settings["hidden"] = 13
    with pytest.raises(ArtifactError, match="don't fit"):
        Classifier.from_artifact(saved)


# ---- reports


def test_report(model: Classifier, tmp_path: Path) -> None:
    text = "the plot was not bad it was good"
    (line,) = model.report(text)
    assert line.split("\t")[0] == "good"
    file = tmp_path / "texts.txt"
    file.write_text(f"{text}\n{text}\n")
    assert list(model.report(str(file))) == [line, line]
    (record,) = model.report(text, as_json=True)
    assert record.startswith('{"label": "good", "probabilities": {"bad": ')
    with pytest.raises(UsageError, match="give a text"):
        list(model.report(None))
    with pytest.raises(UsageError, match="no plot"):
        list(model.report(text, plot="x.png"))
    with pytest.raises(DataError, match="missing"):
        list(model.report("missing.csv"))


# ---- what can be wrong


BAD_TABLES: dict[str, tuple[Rows, str]] = {
    "empty label": ([*small(), {"text": "a text", "label": ""}], r"row 24 .*: column 'label' is empty"),
    "empty text": ([*small(), {"text": " ", "label": "a"}], r"row 24 .*: column 'text' is empty"),
    "one class": (rows_of(["a text"] * 20, ["a"] * 20), "only the label 'a'"),
    "lone label": (
        [*small(), {"text": "a text", "label": "c"}],
        r"row 24 .*: the label 'c' occurs only here",
    ),
    "few rows": (small(8), "has 8 rows; a classifier needs at least 10"),
    "equal texts": (rows_of(["same"] * 20, ["a", "b"] * 10), "do not differ"),
    "no word twice": (rows_of([f"w{i}" for i in range(20)], ["a", "b"] * 10), "no word occurs 2 times"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(case: str) -> None:
    rows, message = BAD_TABLES[case]
    with pytest.raises(DataError, match=message):
        Classifier.fit(rows, **QUICK)


def test_bad_columns_and_validation_labels() -> None:
    with pytest.raises(DataError, match="has no column 'stars'"):
        Classifier.fit(small(), label="stars", **QUICK)
    with pytest.raises(DataError, match=r"row 1 .*: the label 'c' in column 'label' is not among"):
        Classifier.fit(small(), valid=rows_of(["x", "y"], ["a", "c"]), **QUICK)


@pytest.mark.parametrize(
    "setting",
    [
        {"cell": "lsmt"},
        {"hidden": 0},
        {"hidden": 1.5},
        {"dropout": 1.0},
        {"pooling": "mean+mean"},
        {"pooling": ""},
        {"tokenizer": "bytes"},
        {"class_weights": "even"},
        {"epochs": 0},
        {"hiden": 3},
        {"bidirectional": "yes"},
    ],
)
def test_bad_settings(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        Classifier.fit(small(), **(QUICK | setting))


def test_settings_know_their_pools() -> None:
    assert Settings(pooling="last+max").pools == ("last", "max")


def test_evaluate_names_the_row_of_an_unseen_label(model: Classifier) -> None:
    with pytest.raises(DataError, match=r"row 1 .*: the label 'soso' in column 'label' .*\(bad, good\)"):
        model.evaluate(rows_of(["x", "y"], ["good", "soso"]))


def test_predict_takes_strings_only(model: Classifier) -> None:
    with pytest.raises(UsageError, match="text 1 to predict must be a string, not NoneType"):
        model.predict(["fine", None])  # type: ignore[list-item]


def test_a_place_that_is_taken_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        Classifier.fit(small(), **QUICK, folder=tmp_path)
