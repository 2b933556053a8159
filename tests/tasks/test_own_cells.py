"""A cell of one's own in every task: trained, saved by its equations, loaded, used and trained again."""

import json
import random
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import elman
import mutants
from elman import lens
from elman.cells import cell
from elman.engine.portable import to_json
from elman.errors import ArtifactError, DataError, TrainingError, UsageError
from elman.tasks import TASKS
from quick_trainings import TRAININGS
from saved_models import config

pytestmark = pytest.mark.usefixtures("short_talks")
QUICK: dict[str, Any] = {"progress": False, "epochs": 1, "hidden": 8, "device": "cpu"}
EQUATIONS = "h = f * s.h + (1 - f) * tanh(x.n + u.n)"


@cell(gates="f n", state="h c", weights="p")
def Mine(x, u, s, w):
    f = torch.sigmoid(x.f + u.f + w.p * s.c)
    h = f * s.h + (1 - f) * torch.tanh(x.n + u.n)
    return h, 0.5 * s.c + 0.5 * h


@pytest.fixture(scope="module", params=TASKS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(request.param)
    model = TRAININGS[request.param](place, QUICK | {"folder": place / "model", "cell": Mine})
    assert "Mine of 8 units" in repr(model)
    return place / "model"


def test_a_folder_has_equations_and_no_code(folder: Path) -> None:
    assert config(folder)["settings"]["cell"] == json.loads(json.dumps(to_json(Mine)))
    card = (folder / "README.md").read_text()
    assert "Mine of 8 units" in card and EQUATIONS in card
    assert not list(folder.glob("*.py"))
    assert Path(__file__).name.encode() not in b"".join(file.read_bytes() for file in folder.iterdir())


def test_what_is_loaded_is_used_as_any_model(folder: Path, tmp_path: Path) -> None:
    model = elman.load(folder)
    assert EQUATIONS in str(model.settings.cell) and model.settings.cell.name == "Mine"
    assert elman.load(folder).settings == model.settings
    mutants.use(model, tmp_path / "again")
    mutants.use(elman.load(tmp_path / "again", int8=True), tmp_path / "third")
    assert elman.load(tmp_path / "third").settings == model.settings
    recurrent = [m for m in model.network.modules() if isinstance(m, elman.Recurrent)]
    assert any(m.cell is model.settings.cell for m in recurrent)


def test_the_lens_looks_into_it(folder: Path, tmp_path: Path) -> None:
    model = elman.load(folder)
    said = {"classify": "good film", "generate": "The cat sat", "translate": "der Hund", "chat": "Hello"}
    if model.task == "transcribe":
        said["transcribe"] = str(next(folder.parent.glob("*.wav")))
    activity = lens.states(model, said.get(model.task))
    assert any({"h", "c"} <= layer.states.keys() and "f" in layer.gates for layer in activity.layers)


def test_it_trains_again_with_the_cell_that_was_loaded(folder: Path, tmp_path: Path) -> None:
    old = elman.load(folder)
    new = TRAININGS[old.task](tmp_path, QUICK | {"folder": tmp_path / "m", "cell": old.settings.cell})
    assert new.settings.cell is old.settings.cell


WRONG = [
    ("elman/settings/cell/values/2", ["system", 0], "is no input, number or primitive"),
    ("elman/settings/cell/values/2", ["add", 2, 2], "operands must be earlier values"),
    ("elman/settings/cell/gates", ["f", "n", "o"], "must have the shape"),
    ("elman/settings/cell/weights", ["q"], "is no input"),
    ("elman/settings/cell", "mine.py:Mine", "import the cell"),
    ("elman/settings/cell", {"a": 1}, "unknown or missing entries"),
    ("elman/settings/cell", ["lstm"], "cell must be one of"),
    ("elman/settings/cell", "lstm", "parameters of the network"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=lambda v: str(v)[:30])
def test_a_damaged_cell_is_named(folder: Path, path: str, value: Any, message: str, tmp_path: Path) -> None:
    mutants.refuse(mutants.edited(mutants.read(folder), "config.json", path, value), tmp_path / "m", message)


def test_mutants_of_the_equations(folder: Path, tmp_path: Path) -> None:
    files, worked = mutants.read(folder), 0
    facts = json.loads(files["config.json"])
    for number in range(60):
        draw = random.Random(f"{facts['elman']['task']} {number}")
        inner = json.dumps(facts["elman"]["settings"]["cell"]).encode()
        _, changed = mutants.change_json(inner, draw)
        try:
            value = json.loads(changed)
        except (ValueError, RecursionError):
            continue
        mutants.write(mutants.edited(files, "config.json", "elman/settings/cell", value), tmp_path / "mutant")
        try:
            model = elman.load(tmp_path / "mutant")
        except ArtifactError as error:
            assert "\n" not in str(error)
            continue
        worked += 1
        if worked > 1:  # for the rest it is slow
            str(model.validation), model.card(), model.save(tmp_path / "again", overwrite=True)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                mutants.use(model, tmp_path / "again")
            except (UsageError, DataError):
                continue
    assert worked >= 2


# ---- training that goes on

ROWS = {"text": [f"the film was {'good' if k % 2 else 'bad'} {k % 5}" for k in range(60)]}
ROWS["label"] = [text.split()[3] for text in ROWS["text"]]


def fit(folder: Path, chosen: Any, **more: Any) -> Any:
    return elman.Classifier.fit(
        ROWS, folder=folder, cell=chosen, batch_size=16, epochs=3, hidden=4, progress=False, **more
    )


def other() -> Any:
    @cell(gates="f n", state="h c", weights="p")
    def Mine(x, u, s, w):
        f = torch.sigmoid(x.f + u.f + w.p * s.c)
        h = f * s.h + (1 - f) * torch.tanh(x.n + u.n)
        return h, 0.25 * s.c + 0.75 * h

    return Mine


def test_a_resumed_run_has_the_same_equations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from elman.training.loop import Run

    class Killed(BaseException):
        pass

    plain, count = Run._step, 0

    def step(run: Run, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == 9:
            raise Killed
        return plain(run, *arguments)

    whole = fit(tmp_path / "whole", Mine)
    monkeypatch.setattr(Run, "_step", step)
    with pytest.raises(Killed):
        fit(tmp_path / "m", Mine)
    sentence = (
        r"was trained with cell = 'Mine \(equations (\w+)\)', but this call has 'Mine \(equations \w+\)'"
    )
    with pytest.raises(TrainingError, match=sentence) as raised:
        fit(tmp_path / "m", other(), resume=True)
    assert len(set(re.findall(r"equations (\w+)", str(raised.value)))) == 2
    with pytest.raises(TrainingError, match=r"cell = 'Mine \(.*\)', but this call has 'gru'"):
        fit(tmp_path / "m", "gru", resume=True)
    resumed = fit(tmp_path / "m", whole.settings.cell, resume=True)
    for a, b in zip(resumed.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.equal(a, b)
