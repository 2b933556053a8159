"""A model's folder may come from anywhere: its checksums are right, and its parts are of any size and kind.

What loads can be used; everything else is an ArtifactError of one line, for no more memory than the folder's.
"""

import json
import random
import resource
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import elman
import mutants
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks import TASKS
from quick_trainings import TRAININGS
from saved_models import SAVED, answers, assert_close, config

each_task = pytest.mark.parametrize("task", TASKS)


@pytest.fixture
def original(task: str, tmp_path: Path) -> mutants.Files:
    """The files of a model in the form of today."""
    elman.load(SAVED / task).save(tmp_path / "original")
    return mutants.read(tmp_path / "original")


# ---- sizes

HUGE = {
    "hidden": 20_000,
    "embedding": 65_536,
    "layers": 10**12,
    "vocabulary": 10**12,
    "beam_width": 10**6,
    "num_samples": 10**6,
    "max_tokens": 10**9,
    "block_ngrams": 10**9,
    "temperature": 1e300,
    "length_penalty": 1e300,
    "context": 10**9,
    "season": 10**9,
    "bptt": 10**12,
    "crop": 10**12,
    "front": 65_536,
    "bins": 10**9,
    "logit_scale": 1e300,
    "quantiles": [k / 10_001 for k in range(1, 10_001)],
}


@each_task
def test_settings_that_ask_for_more_than_the_tensors_hold(
    task: str, original: mutants.Files, tmp_path: Path
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    names = json.loads(original["config.json"])["elman"]["settings"].keys() & HUGE.keys()
    for name in sorted(names):
        mutants.refuse(
            mutants.edited(original, "config.json", f"elman/settings/{name}", HUGE[name]), tmp_path / "m"
        )
    largest = mutants.edited(original, "config.json", "elman/settings/hidden", 65_536)
    mutants.refuse(mutants.edited(largest, "config.json", "elman/settings/layers", 100), tmp_path / "m")
    assert len(names) >= 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


@pytest.mark.parametrize("task", ["forecast"])
@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("config.json", "elman/settings/shape/horizon", 10**12),
        ("config.json", "elman/settings/shape/vocabularies", [10**12]),
        ("config.json", "elman/settings/shape/known", 10**12),
        ("config.json", "elman/settings/plan/batch_size", 10**12),
        ("adjustment.json", "season", 10**12),
        ("adjustment.json", "season", 0),
        ("series.json", "series/0/values", 10**12),
        ("series.json", "series/0/values", -1),
        ("series.json", "series/0/future", 3),
        ("series.json", "frequency", ["month", 10**12, False]),
        ("series.json", "frequency", ["month", 0, False]),
        ("series.json", "frequency", ["us", 1, False, 1]),
        ("series.json", "frequency", ["integer", 1, False]),
        ("series.json", "series/0/start", "NaT"),
        ("series.json", "series/0/start", "today"),
        ("series.json", "series/0/start", "9999-12-01T00:00:00.000000"),
        ("series.json", "series/0/start", 5),
        ("series.json", "series/0/name", "a\ud800"),
        ("series.json", "series/0/scale", 0),
        ("series.json", "series/0/static", ["x"]),
        ("series.json", "series", []),
        ("series.json", "columns", ["month", None, None, [], []]),
        ("series.json", "columns", ["month", "sales", None, ["x"], []]),
        ("features.json", "cycles", ["decade"]),
        ("features.json", "future", [[0.0, 1.0]]),
        ("features.json", "static", [[]]),
        ("adjustment.json", "base", "drift"),
        ("adjustment.json", "spread", [0.0]),
        ("adjustment.json", "weight", None),
        ("config.json", "elman/settings/context", None),
        ("config.json", "elman/settings/quantiles", [0.5]),
        ("notes.json", "", [["a"]]),
    ],
)
def test_parts_of_a_forecaster(
    name: str, path: str, value: Any, original: mutants.Files, tmp_path: Path
) -> None:
    mutants.refuse(mutants.edited(original, name, path, value), tmp_path / "m")


# ---- kinds

PARTS: list[tuple[str, str, str, Any, str]] = [
    ("classify", "labels.json", "", [[1], 2], r"labels.json\[0\] must be a text of .*, not \[1\]"),
    ("classify", "labels.json", "", [1, 1.0], "labels.json must hold different labels"),
    ("classify", "labels.json", "", ["a", "a"], "labels.json must hold different labels"),
    ("classify", "labels.json", "", [], "labels.json must hold different labels"),
    ("classify", "labels.json", "", ["a", "\udc80"], r"labels.json\[1\] must be a text of whole characters"),
    ("classify", "labels.json", "", {"a": 1}, "labels.json has unknown or missing entries"),
    ("classify", "config.json", "elman/settings/pooling", 5, "pooling must be some of mean, max, last"),
    ("classify", "config.json", "elman/settings/columns", {"text": 1, "label": 2}, "columns.text must be"),
    ("classify", "config.json", "elman/settings/columns", ["text", "label"], "columns must be an object"),
    ("classify", "config.json", "elman/scores/scores", 5, "scores.scores must be an object, not 5"),
    ("classify", "config.json", "elman/scores/rows", 0, "division by zero"),
    ("classify", "config.json", "elman/scores/confusion", [], "scores.confusion|max"),
    ("classify", "config.json", "elman/scores/labels", ["a"], "zip"),
    ("classify", "config.json", "elman/scores/scores/accuracy", 10**400, "must be a finite number"),
    ("classify", "config.json", "elman/scores/notes", "abc", "scores.notes must be a list"),
    ("classify", "config.json", "elman/data", {}, r"missing entries \['fingerprint', 'source'\]"),
    ("classify", "config.json", "elman/data/rows", {}, "data.rows must be a whole number"),
    ("classify", "vocabulary.json", "words", ["a", 1], "neither of kind"),
    ("classify", "vocabulary.json", "words", ["a", "b"], r"must have the shape \[5, 8\], not \[13, 8\]"),
    ("generate", "config.json", "elman/settings/blend", {"sharpness": 1e308, "share": 0}, "sharpness of 0"),
    ("generate", "config.json", "elman/settings/blend", [], "blend must be an object"),
    ("generate", "config.json", "elman/data/column", 3, "data.column must be a text"),
    ("generate", "vocabulary.json", "tokens", [[]], "the vocabulary is not one of"),
    ("translate", "subwords.json", "source/model", "[" * 1000, "neither of kind"),
    ("translate", "subwords.json", "source/model/model", None, "damaged subword model"),
    ("translate", "subwords.json", "source/model/model/vocab", {"a": 2**40}, "damaged subword model"),
    ("translate", "subwords.json", "source/model/model/vocab/!", 5, "ids of the subwords are not 0, 1, 2"),
    ("translate", "subwords.json", "source/model/model/vocab/ ab", 278, "damaged subword model"),
    ("translate", "subwords.json", "source/model/model/merges", [["x", "xx"]], "merge is of unknown"),
    ("translate", "subwords.json", "source/model/model/merges", ["a b"], "damaged subword model"),
    ("translate", "subwords.json", "target", {"kind": "word", "lower": True, "words": []}, "reads subwords"),
    ("translate", "subwords.json", "copies", {"known": [1], "kinds": [], "letters": []}, "words to copy"),
    ("translate", "dictionary.json", "words", {"a": 1}, "dictionary is unreadable"),
    ("translate", "config.json", "elman/data/columns", ["a", "b", "c"], "data.columns must be a list of 2"),
    ("translate", "config.json", "elman/settings/hidden", 15, "hidden must be an even whole number"),
    ("chat", "pairs.json", "", [["a"], ["b", "c"]], "not as many replies as contexts"),
    ("chat", "pairs.json", "", [["a"], [None]], r"pairs.json\[1\]\[0\] must be a text"),
    ("chat", "pairs.json", "", [["a"]], "pairs.json must be a list of 2"),
    ("chat", "subwords.json", "kind", "word", "neither of kind"),
    ("chat", "config.json", "elman/task", "generate", "don't fit each other"),
    ("chat", "config.json", "elman/task", "x" * 10_000, "this version has classify"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "name", "path", "value", "message"), PARTS)
def test_a_part_of_another_kind_is_named(
    task: str, name: str, path: str, value: Any, message: str, original: mutants.Files, tmp_path: Path
) -> None:
    mutants.refuse(mutants.edited(original, name, path, value), tmp_path / "m", message)


@pytest.mark.parametrize("task", ["translate"])
def test_of_a_tokenizer_only_tokens_and_merges_are_read(
    task: str, original: mutants.Files, tmp_path: Path
) -> None:
    """The library builds whatever its JSON describes: here a split by a pattern, and tokens of its own."""
    changed = original
    for path, value in {
        "normalizer": {"type": "Replace", "pattern": {"Regex": "(a+)+b"}, "content": "x" * 1000},
        "added_tokens": [{"id": 5, "content": "la", "special": True}],
        "pre_tokenizer": None,
        "post_processor": [5],
        "model/dropout": 0.9,
    }.items():
        changed = mutants.edited(changed, "subwords.json", f"source/model/{path}", value)
    mutants.write(changed, tmp_path / "m")
    first, second = elman.load(SAVED / task), elman.load(tmp_path / "m")
    assert answers(second) == answers(first)
    assert second.codec.to_json() == first.codec.to_json()


# ---- tensors


def retensored(files: mutants.Files, change: Callable[[str, torch.Tensor], Any]) -> mutants.Files:
    tensors = safetensors.torch.load(files["model.safetensors"])
    changed = {name: change(name, value) for name, value in tensors.items()}
    saved = {name: value.clone() for name, value in changed.items() if value is not None}
    return files | {"model.safetensors": safetensors.torch.save(saved)}


def of_network(change: Callable[[torch.Tensor], Any]) -> Callable[[str, torch.Tensor], Any]:
    return lambda name, value: change(value) if name.startswith("network.") else value


@each_task
def test_weights_that_no_training_saves(task: str, original: mutants.Files, tmp_path: Path) -> None:
    cases = {
        "must hold": lambda value: value * float("nan"),
        "must hold numbers": lambda value: value + float("inf"),
        "must hold numbers of": lambda value: value.to(torch.int8),
        "must hold numbers of at most": lambda value: value.sign() * 1e13,
        "must have the shape": lambda value: value.reshape(-1, 1, 1),
        "parameters of the network": lambda value: None,
    }
    for message, change in cases.items():
        mutants.refuse(retensored(original, of_network(change)), tmp_path / "m", message)


@each_task
def test_weights_of_another_precision_are_those_of_the_run(
    task: str, original: mutants.Files, tmp_path: Path
) -> None:
    mutants.write(retensored(original, of_network(lambda value: value.double())), tmp_path / "m")
    model = elman.load(tmp_path / "m")
    assert {value.dtype for value in model.network.state_dict().values()} == {torch.float32}
    assert_close(answers(model), answers(elman.load(SAVED / task)))


@pytest.mark.parametrize(
    ("task", "tensor", "change"),
    [
        ("classify", "seen", lambda value: value.float()),
        ("classify", "seen", lambda value: value[None]),
        ("translate", "seen", lambda value: None),
        ("generate", "counted", lambda value: value + 1000),
        ("generate", "counted", lambda value: -value),
        ("generate", "counted", lambda value: value.long()),
        ("forecast", "history.values", lambda value: value.float()),
        ("forecast", "history.values", lambda value: value[1:]),
        ("forecast", "history.values", lambda value: value * float("inf")),
        ("forecast", "history.future", lambda value: value.reshape(-1)),
    ],
)
def test_other_tensors(
    task: str, tensor: str, change: Callable[[torch.Tensor], Any], original: mutants.Files, tmp_path: Path
) -> None:
    changed = retensored(original, lambda name, value: change(value) if name == tensor else value)
    mutants.refuse(changed, tmp_path / "m")


# ---- mutants


@each_task
def test_mutants(task: str, original: mutants.Files, tmp_path: Path) -> None:
    """A few of those that bench/fuzz_models.py tries by the thousand."""
    worked = 0
    for number in range(32):
        draw = random.Random(f"{task} {number}")
        what, files = mutants.mutated(original, draw)
        mutants.write(files, tmp_path / "mutant")
        try:
            model = elman.load(tmp_path / "mutant")
        except ArtifactError as error:
            assert "\n" not in str(error), what
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about numbers of absurd size
            try:
                if number % 8 == 0:  # for the rest it is slow
                    mutants.use(model, tmp_path / "again")
                else:
                    str(model.validation), model.card(), model.save(tmp_path / "again", overwrite=True)
            except (UsageError, DataError):
                continue
        worked += 1
    assert worked >= 2


# ---- traces of the machine


@each_task
def test_a_saved_model_keeps_the_name_of_its_data_without_the_folder(task: str, tmp_path: Path) -> None:
    place, folder = tmp_path / "ada's home", tmp_path / "ada's home" / "run"
    place.mkdir()
    quick: dict[str, Any] = {"progress": False, "epochs": 1, "hidden": 8, "device": "cpu", "folder": folder}
    model = TRAININGS[task](place, quick)
    names = {"translate": "data.txt + data.en", "generate": "data.txt", "chat": "data.tsv"}
    assert model.source["source"] == names.get(task, "data.csv")
    assert elman.load(folder).source == model.source
    for file in folder.iterdir():
        content = file.read_bytes()
        assert b"ada's home" not in content and str(tmp_path).encode() not in content, file
    assert config(folder)["data"]["source"] in (folder / "README.md").read_text()
