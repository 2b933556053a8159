"""The contract that every task keeps, and what loading says of a model whose parts don't fit."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from torch import nn

import elman
from elman import artifact
from elman.cli import run
from elman.errors import ArtifactError, UsageError
from elman.export.graph import Graph
from elman.export.modules import linear
from elman.lens.view import View
from elman.settings import rows
from elman.tasks import TASKS, task_class
from elman.tasks.evaluation import Evaluation
from elman.tasks.rounding import SCALES, rounded, widened
from elman.tasks.settings import TaskSettings, split_choices, table
from elman.tasks.task import Answer, Card, Exported, Parts, Task, network_phrase
from elman.training.plan import Plan
from onnx_files import call, metadata, session
from saved_models import SAVED, answers

RUN = {"folder": None, "resume": False, "progress": True}
IN_PYTHON = {"labels"}  # arguments of `fit` beside texts in memory, which a command line can't give
# Verb → the method that answers it, and the function that reads its options from the command line.
VERBS = {
    "evaluate": ("evaluate", run.evaluate),
    "predict": ("answers", run.predict),
    "generate": ("generate", run.generate),
    "backtest": ("backtest", run.evaluate),
}
each_task = pytest.mark.parametrize("task", TASKS)


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The parameters of a method, but for `self`."""
    return {k: v for k, v in inspect.signature(function).parameters.items() if k != "self"}


def accepted(kind: Any, method: str) -> set[str]:
    """The arguments of a method, with those that it hands on to the method of its stream."""
    arguments = parameters(getattr(kind, method))
    if any(one.kind is one.VAR_KEYWORD for one in arguments.values()):
        stream = inspect.signature(kind.stream).return_annotation
        arguments |= parameters(getattr(stream, method)) if hasattr(stream, method) else {}
    return set(arguments)


def names(group: Any) -> set[str]:
    return {field.name for field in fields(group)}


def settings_of(task: str) -> type[TaskSettings]:
    settings: type[TaskSettings] = import_module(f"elman.tasks.{task}.settings").Settings
    return settings


# ---- the class


@each_task
def test_a_task_is_one_final_frozen_class(task: str) -> None:
    kind: Any = task_class(task)
    assert kind.__bases__ == (Task,)
    assert kind.__final__ and not inspect.isabstract(kind)
    options = kind.__dataclass_params__
    assert is_dataclass(kind) and options.frozen and not options.eq
    assert (kind.task, kind.SETTINGS) == (task, settings_of(task))
    assert issubclass(kind.EVALUATION, Evaluation) and kind.EVALUATION.__dataclass_params__.frozen
    assert getattr(elman, kind.__name__) is kind
    for method in ("save", "from_artifact"):
        assert method not in vars(kind)
    assert {"network", "settings", "source", "validation", "failure"} <= names(kind)
    if task != "forecast":  # whose baselines have nothing to keep
        assert "baseline" in names(kind) | vars(kind).keys()


@each_task
def test_fit_takes_data_the_run_the_arguments_and_settings(task: str) -> None:
    data, *others = parameters(task_class(task).fit).values()  # type: ignore[attr-defined]
    optional = "phrases" in rows(settings_of(task).ARGUMENTS)  # which may be learned from instead
    assert (data.name, data.default) == ("data", None if optional else inspect.Parameter.empty)
    assert (others[-1].name, others[-1].kind) == ("settings", inspect.Parameter.VAR_KEYWORD)
    defaults = {one.name: one.default for one in others[:-1]}
    assert defaults.items() >= RUN.items()
    arguments = {name: default for name, (_, default) in rows(settings_of(task).ARGUMENTS).items()}
    own = {name: default for name, default in defaults.items() if name not in RUN.keys() | IN_PYTHON}
    assert own == {k: inspect.Parameter.empty if v is MISSING else v for k, v in arguments.items()}


@each_task
@pytest.mark.parametrize("method", ["evaluate", "predict", "answers", "backtest"])
def test_a_method_takes_data_first(task: str, method: str) -> None:
    assert next(iter(parameters(getattr(task_class(task), method)))) == "data"


@each_task
def test_other_arguments_have_defaults(task: str) -> None:
    for method in ("evaluate", "predict", "answers", "backtest", "generate", "stream"):
        needed = [
            name
            for name, one in parameters(getattr(task_class(task), method)).items()
            if one.default is one.empty and one.kind is not one.VAR_KEYWORD and name != "data"
        ]
        assert not needed, method


@each_task
def test_options_are_those_that_the_command_line_and_the_method_share(task: str) -> None:
    kind = task_class(task)
    backtests = {"backtest"} if "backtest" in vars(kind) else set()
    assert kind.OPTIONS.keys() == {"evaluate", "predict", "generate"} | backtests
    for verb, options in kind.OPTIONS.items():
        method, command = VERBS[verb]
        offered = parameters(command).keys() - {"data", "prompt", "model"}
        offered |= {"cutoffs"} if verb == "backtest" else set()
        assert options == offered & accepted(kind, method), verb


@each_task
def test_generate_and_backtest_are_refused_by_tasks_without_them(task: str) -> None:
    kind = task_class(task)
    model = object.__new__(kind)
    if "generate" not in vars(kind):
        with pytest.raises(UsageError, match=f"a '{task}' model writes no text"):
            model.generate("a text")
    if "backtest" not in vars(kind):
        with pytest.raises(UsageError, match=f"a '{task}' model has no past to cut off"):
            model.backtest("data.csv")


# ---- settings


@each_task
def test_every_setting_is_a_row_with_help(task: str) -> None:
    settings = settings_of(task)
    for group in (settings, settings.ARGUMENTS, Plan):
        assert [*rows(group)] == [field.name for field in fields(group)]
        for row, _ in rows(group).values():
            assert row.help[0].isupper() and row.help[-1] != "."
    assert not names(settings) & names(Plan)
    assert not names(settings.ARGUMENTS) & (names(settings) | names(Plan) | RUN.keys())
    made, plan = split_choices({}, settings)
    for group in (made, plan):
        for name, (row, default) in rows(type(group)).items():
            assert row.holds(getattr(group, name)) and row.range() and row.holds(default)
    assert table(settings).count("\n") == 2 + len(fields(settings)) + len(fields(Plan))


@each_task
def test_derived_settings_are_those_of_the_defaults(task: str) -> None:
    defaults = import_module(f"elman.tasks.{task}.settings").defaults
    arguments = (1000, {})[: len(parameters(defaults))]
    assert set(settings_of(task).DERIVED) == defaults(*arguments).keys()
    assert set(settings_of(task).DERIVED) <= names(settings_of(task)) | names(Plan)
    for count in (1, 100, 10**9):
        split_choices({}, settings_of(task), defaults(count, *arguments[1:]))


@each_task
def test_a_renamed_setting_is_named_by_its_new_name(task: str) -> None:
    settings = settings_of(task)
    for group in (settings, Plan):
        for old, new in group.RENAMED.items():  # type: ignore[attr-defined]
            assert old not in names(settings) | names(Plan)
            assert new in names(group)
            with pytest.raises(UsageError, match=f"no setting '{old}'; it is called '{new}' now"):
                split_choices({old: 1}, settings)


def test_settings_need_no_torch_and_no_polars() -> None:
    modules = ", ".join(f"elman.tasks.{task}.settings" for task in TASKS)
    program = f"import sys, {modules}; assert not {{'torch', 'polars'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


# ---- on disk


@each_task
def test_save_and_load(task: str, tmp_path: Path) -> None:
    first = elman.load(SAVED / task)
    first.save(tmp_path / "model")
    second = elman.load(tmp_path / "model")
    assert type(second) is task_class(task) and second.failure is None
    assert answers(second) == answers(first)
    for name in ("settings", "source", "validation"):
        assert getattr(second, name) == getattr(first, name)
    assert not second.network.training
    assert (tmp_path / "model" / "README.md").read_text(encoding="utf-8").startswith("# ")
    assert str(first.validation) in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", [None, 3, ""])
def test_a_folder_that_is_no_path(folder: Any) -> None:
    with pytest.raises(UsageError, match="folder must be a path"):
        elman.load(SAVED / "classify").save(folder)


def saved(task: str) -> artifact.Artifact:
    return artifact.load(SAVED / task)


def mutations(task: str) -> Iterator[tuple[str, artifact.Artifact]]:
    """A saved model, each time with another part that doesn't fit."""
    model = saved(task)
    yield "unknown setting", replace(model, settings=model.settings | {"nonsense": 1})
    yield "wrong setting", replace(model, settings=model.settings | {"layers": 0})
    yield "another size", replace(model, settings=model.settings | {"layers": 5})
    yield "another cell", replace(model, settings=model.settings | {"cell": "peephole-lstm"})
    yield "no scores", replace(model, scores={})
    yield "an unknown score", replace(model, scores=model.scores | {"nonsense": 1})
    for name in task_class(task).SAVED_BESIDE:
        settings = {k: v for k, v in model.settings.items() if k != name}
        yield f"no {name}", replace(model, settings=settings)
    for name, value in model.tensors.items():
        if name.startswith("network."):
            tensors = {k: v for k, v in model.tensors.items() if k != name}
            yield f"no {name}", replace(model, tensors=tensors)
            yield f"{name} twice", replace(model, tensors=model.tensors | {f"{name}_2": value})
            yield (
                f"{name} of other size",
                replace(model, tensors=model.tensors | {name: torch.zeros(3, 1, 2)}),
            )
            break
    for name in model.extras:
        yield f"no {name}", replace(model, extras={k: v for k, v in model.extras.items() if k != name})
        for value in (None, 3, "text", [3], {"nonsense": 1}):
            yield f"{name}: {value!r}", replace(model, extras=model.extras | {name: value})
    for other in TASKS:
        if other != task:
            foreign = saved(other)
            yield f"parts of {other}", replace(model, tensors=foreign.tensors, extras=foreign.extras)
            yield f"settings of {other}", replace(model, settings=foreign.settings)
            yield f"scores of {other}", replace(model, scores=foreign.scores)


@each_task
def test_parts_that_do_not_fit_each_other(task: str) -> None:
    fitting = []
    for what, model in mutations(task):
        try:
            task_class(task).from_artifact(model)
        except ArtifactError:
            continue
        fitting.append(what)
    assert not [what for what in fitting if not what.startswith("notes: ")]  # of which any JSON is printed


@each_task
def test_unknown_and_missing_settings_are_named(task: str) -> None:
    kind, model = task_class(task), saved(task)
    with pytest.raises(ArtifactError, match=r"unknown or missing settings \['nonsense'\]"):
        kind.from_artifact(replace(model, settings=model.settings | {"nonsense": 1}))
    for name in kind.SAVED_BESIDE:
        settings = {k: v for k, v in model.settings.items() if k != name}
        with pytest.raises(ArtifactError, match=rf"unknown or missing settings \['{name}'\]"):
            kind.from_artifact(replace(model, settings=settings))


@each_task
def test_a_model_is_a_line_and_in_a_notebook_a_page(task: str) -> None:
    kind = task_class(task)
    model = kind.from_artifact(saved(task))
    line = repr(model)
    assert line.startswith(
        f"<elman.{kind.__name__}: {model.settings.cell} of {model.settings.hidden} units, "
    )
    assert len(line) <= 110 and "\n" not in line and model.source["source"] in line
    page = model._repr_html_()
    assert escape(line.strip("<>")) in page and model.validation._repr_html_() in page
    assert ("<svg" in page) == (task == "forecast")


def test_a_long_or_hostile_name_stays_in_its_line() -> None:
    model = task_class("classify").from_artifact(saved("classify"))
    for name in ("a" * 500 + ".csv", "a\n<b>\x1b[31m" * 40):
        other = replace(model, source=model.source | {"source": name})
        assert len(repr(other)) <= 110 and repr(other).isprintable() and repr(other).endswith("…>")
        assert "<b>" not in other._repr_html_()


@each_task
def test_another_model_is_replaced_only_when_told(task: str, tmp_path: Path) -> None:
    model = task_class(task).from_artifact(saved(task))
    model.save(tmp_path / "m")
    before = (tmp_path / "m" / "config.json").stat()
    with pytest.raises(
        UsageError, match="m already holds a model: name another folder, or give overwrite=True"
    ):
        model.save(tmp_path / "m")
    assert (tmp_path / "m" / "config.json").stat() == before
    model.save(tmp_path / "m", overwrite=True)


# ---- the pieces, on a task of its own


@dataclass(frozen=True)
class ToySettings(TaskSettings):
    RENAMED: ClassVar = {"units": "hidden"}
    hidden: int = 2
    cell: str = "lstm"


@dataclass(frozen=True, kw_only=True)
class ToyEvaluation(Evaluation):
    def metrics(self) -> dict[str, Any]:
        return {}

    def facts(self) -> list[str]:
        return []

    def worst(self) -> pl.DataFrame:
        return self.frame()

    def __str__(self) -> str:
        return "a table"


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Toy(Task):
    task: ClassVar = "toy"
    SETTINGS: ClassVar = ToySettings
    EVALUATION: ClassVar = ToyEvaluation
    OPTIONS: ClassVar = {}
    SAVED_BESIDE: ClassVar = frozenset({"columns"})

    words: list[str]
    columns: str

    @classmethod
    def check_data(cls, data: Any, **_: Any) -> None: ...

    def evaluate(self, data: Any) -> ToyEvaluation:
        return ToyEvaluation(scores={}, baselines={})

    def predict(self, data: Any) -> Any:
        return self.network(torch.ones(2)).tolist()

    def stream(self) -> Any: ...

    def pool(self, capacity: int) -> Any: ...

    def answers(self, data: Any) -> Iterator[Answer]:
        yield from ()

    def view(self, data: Any) -> View:
        raise UsageError("there is nothing to see")

    def facts(self) -> dict[str, Any]:
        return {}

    def graphs(self) -> Mapping[str, Exported]:
        graph = Graph()
        graph.output("y", linear(graph, self.network, graph.input("x", (2,))), (1,))
        step = Graph()
        step.output("y", step.input("x", (1,)), (1,))
        return {"": Exported(graph, {"words": self.words}), "step": Exported(step, {})}

    def parts(self) -> Parts:
        return Parts(
            {"network": self.network},
            {"seen": torch.ones(1)},
            {"words": self.words},
            {"columns": self.columns},
        )

    @classmethod
    def restore(cls, settings: ToySettings, parts: Parts) -> dict[str, Any]:
        network = parts.module("network", lambda: nn.Linear(settings.hidden, 1), {"slope": "weight"})
        return {"network": network, "words": parts.files["words"], "columns": parts.settings["columns"]}

    def card(self) -> Card:
        return Card("Toy", "nothing", "A line.", "nothing at all", "chance", "model.predict(1)")


SOURCE = {"source": "a.csv", "fingerprint": "0", "rows": 3}  # without the folder of the file


def toy() -> Toy:
    torch.manual_seed(0)
    return Toy(
        network=nn.Linear(2, 1),
        settings=ToySettings(),
        source={"source": "/home/ada/a.csv", "fingerprint": "0", "rows": 3},
        validation=ToyEvaluation(scores={"accuracy": 0.5}, baselines={}, notes=("few",)),
        words=["a"],
        columns="text",
    )


def test_a_saved_toy_is_loaded(tmp_path: Path) -> None:
    model = toy()
    model.save(tmp_path)
    stored = artifact.load(tmp_path)
    assert (stored.task, stored.settings) == ("toy", {"hidden": 2, "cell": "lstm", "columns": "text"})
    assert sorted(stored.tensors) == ["network.bias", "network.weight", "seen"]
    assert stored.extras == {"words": ["a"]}
    loaded = Toy.from_artifact(stored)
    assert (loaded.words, loaded.columns, loaded.source) == (["a"], "text", SOURCE)
    assert loaded.validation == model.validation
    assert loaded.predict(None) == model.predict(None)
    assert not loaded.network.training
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("# Toy\n\nTrained by elman ")
    for phrase in ("on nothing.\nA line.\n", "Scores on nothing at all, ", "a table", "model.predict(1)"):
        assert phrase in card


def test_names_of_an_older_version_are_mapped(tmp_path: Path) -> None:
    toy().save(tmp_path)
    stored = artifact.load(tmp_path)
    old = {key.replace("weight", "slope"): value for key, value in stored.tensors.items()}
    settings = {"units": 2, "columns": "text"}
    loaded = Toy.from_artifact(replace(stored, tensors=old, settings=settings))
    assert loaded.predict(None) == toy().predict(None)


def test_a_network_in_the_words_of_a_card() -> None:
    settings = elman.load(SAVED / "classify").settings
    assert network_phrase(settings) == "lstm of 8 units, 1 layer"
    assert network_phrase(replace(settings, layers=2)) == "lstm of 8 units, 2 layers"


@each_task
def test_the_page_of_settings_is_what_the_rows_say(task: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert table(settings_of(task)) in page.read_text(encoding="utf-8")


def test_the_files_of_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = toy()
    files = model.export_onnx(tmp_path / "a.onnx")
    assert [file.name for file in files] == ["a.onnx", "a.step.onnx"]
    found = call(session(files[0]), x=np.ones(2, np.float32))["y"]
    assert found == pytest.approx(model.predict(None), abs=1e-6)
    about = metadata(session(files[0]))
    assert (about["task"], about["graph"], about["words"]) == ("toy", "whole", ["a"])
    assert about["card"].startswith("# Toy") and about["equations"].startswith("LSTM(")
    (tmp_path / "d.step.onnx").mkdir()
    with pytest.raises(UsageError, match=r"d\.step\.onnx can't be written"):  # nor is the other
        model.export_onnx(tmp_path / "d.onnx")
    assert not (tmp_path / "d.onnx").exists()
    coarse = replace(model, network=nn.Linear(2, 1, dtype=torch.bfloat16))
    found = call(session(coarse.export_onnx(tmp_path / "c.onnx")[0]), x=np.ones(2, np.float32))["y"]
    assert found == pytest.approx(coarse.network.float()(torch.ones(2)).tolist(), abs=1e-6)
    wrong = Graph()
    wrong.output("y", "nothing", ())
    graphs = model.graphs() | {"step": Exported(wrong, {})}
    monkeypatch.setattr(Toy, "graphs", lambda self: graphs)
    with pytest.raises(onnx.checker.ValidationError):  # of the second file, so that neither is written
        model.export_onnx(tmp_path / "b.onnx")
    assert not list(tmp_path.glob("*b.*"))
    whole = {"": model.graphs()[""]}
    monkeypatch.setattr(Toy, "graphs", lambda self: whole)
    (tmp_path / "a.ranker.onnx").write_text("of somebody else")
    assert model.export_onnx(tmp_path / "a.onnx") == [tmp_path / "a.onnx"]  # and no step of an older model
    assert {file.name for file in tmp_path.glob("a.*")} == {"a.onnx", "a.ranker.onnx"}


@each_task
@pytest.mark.parametrize("bits", [16, 8])
def test_weights_of_fewer_bits(task: str, bits: int, tmp_path: Path) -> None:
    model = elman.load(SAVED / task)
    model.save(tmp_path / "small", bits=bits)
    small = elman.load(tmp_path / "small")
    weights = small.network.state_dict()
    expected = widened(rounded(dict(model.network.state_dict()), bits))
    assert weights.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=0)
    stored = artifact.load(tmp_path / "small").tensors
    kept = {tensor.dtype for name, tensor in stored.items() if not name.endswith(SCALES)}
    assert torch.float32 not in kept
    assert (torch.int8 in kept) == (bits == 8)
    assert answers(small)  # and in float32, like any model
    small.save(tmp_path / "again", bits=bits)
    for name, tensor in artifact.load(tmp_path / "again").tensors.items():
        torch.testing.assert_close(tensor, stored[name])


@pytest.mark.parametrize(("bits", "least"), [(16, 2e-3), (8, 2e-2)])
def test_answers_of_fewer_bits_differ_little(bits: int, least: float, tmp_path: Path) -> None:
    model = elman.load(SAVED / "classify")
    model.save(tmp_path / "small", bits=bits)
    for ours, theirs in zip(answers(elman.load(tmp_path / "small")), answers(model), strict=True):
        assert ours == pytest.approx(theirs, abs=least)


def test_weights_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    model = elman.load(SAVED / "classify")
    with torch.no_grad():
        next(iter(model.network.parameters()))[0] = 1e5
    with pytest.raises(
        UsageError, match=r"^the weights network\..* are too large for bits=16: save without it"
    ):
        model.save(tmp_path / "small", bits=16)
    assert not (tmp_path / "small").exists()
