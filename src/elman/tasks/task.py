"""The contract of a task, once: what every trained model holds, saves, loads and answers.

A task is one final subclass of `Task` in its own folder. It writes `fit`, `evaluate`, `predict`,
`stream` and `answers`, and says what it saves (`parts`, `restore`) and what its card tells (`card`).
"""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, NotRequired, Self, TypedDict, TypeVar, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from elman import artifact, lock
from elman.artifact import Artifact
from elman.atomic import as_path, check_output, writing
from elman.data.table.kinds import Kind
from elman.errors import ArtifactError, ElmanError, TrainingError, UsageError, counted
from elman.lens.view import View
from elman.tasks.evaluation import Evaluation
from elman.tasks.pool import Pool
from elman.tasks.rounding import rounded, widened
from elman.tasks.settings import cell_name, renamed
from elman.typed import RawText, typed
from elman.version import __version__

Module = TypeVar("Module", bound=nn.Module)

MAX_LINE: Final = 108  # characters of a model in a line, beside its brackets
MAX_WEIGHT: Final = 1e12  # of a parameter; no training comes near it, and products of larger ones overflow
SECOND_GRAPHS: Final = ("step", "ranker")  # that some tasks export beside the main one
MAX_EXAMPLES: Final = 5  # that a model's facts hold
MAX_NAMED: Final = 100  # likewise, of a list that may be long
CARD: Final = """# {title}

Trained by elman {version} on {data}.
{network}{equations}

Scores on {held_out}, on which the best model was chosen. Beside the model: {baseline}.

```
{scores}
```

```python
import elman

model = elman.load("this folder")
{usage}
```
"""


class Answer(ABC):
    """One answer of a model: a line for a terminal, JSON values for machines."""

    heading: str = ""  # the line before the first answer

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def to_dict(self) -> Any: ...

    @abstractmethod
    def cells(self) -> dict[str, Any]:
        """Return the row that the answer is in a table, beside what it answers to."""


class Card(NamedTuple):
    """What a model card says of one task, each a phrase or sentence."""

    title: str
    data: str
    network: str
    held_out: str
    baseline: str
    usage: str


class Source(TypedDict):
    """What a model tells of its training data."""

    source: RawText  # the name of the file, without its folder; of the hub's data set; or the kind of object
    fingerprint: str
    kind: NotRequired[Kind]  # of the frame, if not polars
    rows: NotRequired[int]
    characters: NotRequired[int]
    tokens: NotRequired[int]
    valid: NotRequired[str | None]  # the fingerprint of the validation data
    column: NotRequired[str]
    columns: NotRequired[tuple[str, str]]
    pretrained: NotRequired[RawText]  # likewise, of the model that training started from


DRAWS: Final = (Tensor.normal_, Tensor.uniform_)


class _Uninitialised(TorchFunctionMode):
    """Leaves new parameters as they are. On the meta device, to draw them would import PyTorch's compiler."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__module__", "") == "torch.nn.init" or function in DRAWS:
            return next(iter([*args, *(kwargs or {}).values()]))  # the tensor
        return function(*args, **(kwargs or {}))


class Exported(NamedTuple):
    """An ONNX file of a model, before it is written.

    Attributes:
        graph: an `elman.export.graph.Graph`.
        inputs: what its metadata say of what the graph reads, such as a vocabulary.
    """

    graph: Any
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class Parts:
    """What a model consists of on disk, beside its settings and scores.

    Attributes:
        modules: saved by their parameters, as tensors "name.parameter"; empty when read.
        tensors: by name.
        files: JSON values by the stem of their file.
        settings: values saved beside the fields of the settings.
    """

    modules: Mapping[str, nn.Module] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def module(
        self, name: str, build: Callable[[], Module], names: Mapping[str, str] | None = None
    ) -> Module:
        """Return a module with the parameters saved under `name`, in eval mode. `names` maps the first part
        of a saved parameter's name to today's, where that has changed.

        `build` is called on the meta device, without memory, so that a folder whose settings ask for more
        than its tensors hold is refused before anything is allocated. Raises ValueError for parameters that
        are missing, unknown, not finite, absurdly large, or of another shape or kind.
        """
        prefix, today = f"{name}.", names or {}
        values = {}
        for key, value in self.tensors.items():
            if key.startswith(prefix):
                first, dot, rest = key.removeprefix(prefix).partition(".")
                values[today.get(first, first) + dot + rest] = value
        with torch.device("meta"), _Uninitialised():
            module = build()
        expected = module.state_dict()
        if differing := sorted(expected.keys() ^ values.keys()):
            raise ValueError(f"unknown or missing parameters of the {name}: {reprlib.repr(differing)}")
        for key, parameter in expected.items():
            value = values[key]
            if value.shape != parameter.shape:
                sizes = f"{list(parameter.shape)}, not {list(value.shape)}"
                raise ValueError(f"parameter {key} of the {name} must have the shape {sizes}")
            if not value.is_floating_point() or not bool((value.abs() <= MAX_WEIGHT).all()):
                raise ValueError(f"parameter {key} of the {name} must hold numbers of at most {MAX_WEIGHT:g}")
            # copied, since memory inside a file is not aligned; a run in another precision saved that
            values[key] = value.to(parameter.dtype, copy=True)
        module.load_state_dict(values, assign=True)
        return module.eval()

    def tensor(self, name: str, dtype: torch.dtype, dimensions: int) -> Tensor:
        """Return a saved tensor. Raises ValueError if it is missing or of another kind."""
        value = self.tensors[name]
        if value.dtype != dtype or value.dim() != dimensions:
            raise ValueError(f"tensor {name} must be {dtype} of {dimensions} dimensions")
        return value


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Task(ABC):
    """A trained model beside its plain baseline. Made by `fit` and by `elman.load`.

    Every `fit` takes, beside its data: `folder`, for the run's metrics and checkpoints and then the model;
    `resume`, to continue the run in it; `progress`, for a progress bar on standard error; and as `settings`
    the fields of the task's `Settings` and of `elman.training.plan.Plan`. Every `fit` raises DataError for
    data that it can't use, UsageError for an unknown setting or a value out of its range, and TrainingError
    if the loss becomes NaN or infinite or if there is no run to resume.

    Attributes:
        network: in eval mode.
        settings: those of the task, with the derived values; the training plan is not among them.
        source: name, fingerprint and size of the training data.
        validation: scores on the held-out data on which the best model was chosen.
        failure: why `fit` had to stop after the best model, such as a loss of NaN; None in a loaded model.
    """

    task: ClassVar[str]
    SETTINGS: ClassVar[type[Any]]
    EVALUATION: ClassVar[type[Evaluation]]
    # The options that each verb takes on the command line.
    OPTIONS: ClassVar[Mapping[str, frozenset[str]]]
    # The score by which models of the same data are compared, and whether a lower one is better.
    SCORE: ClassVar[tuple[str, bool]]
    # Extra keys saved with the settings.
    SAVED_BESIDE: ClassVar[frozenset[str]] = frozenset()

    network: Any
    settings: Any
    source: dict[str, Any]  # a `Source`
    validation: Any
    failure: TrainingError | None = None

    def __post_init__(self) -> None:
        # a saved model holds no paths
        source = self.source | {"source": bare_name(self.source["source"])}
        object.__setattr__(self, "source", source)
        # nor the answers behind the scores, which may be as many as the data
        object.__setattr__(self, "validation", replace(self.validation))

    @final
    def __repr__(self) -> str:
        """Return what it is, of which size, and on what it was trained, in a line."""
        line = self._phrase()
        return f"<{line}>" if len(line) <= MAX_LINE else f"<{line[: MAX_LINE - 1]}…>"

    def _phrase(self) -> str:
        text = f"elman.{type(self).__name__}: {network_phrase(self.settings)}, trained on {self.card().data}"
        return "".join(mark if mark.isprintable() else " " for mark in text)  # of the name of a file

    @final
    def _repr_html_(self) -> str:
        """Return what a notebook shows: the line, the picture of a task that has one, and the scores."""
        from elman.lens.notebook import figure, in_lines  # matplotlib takes long to load

        phrase, picture, plot = self._phrase(), "", getattr(self, "plot", None)
        with suppress(ElmanError):  # such as covariates that are not known ahead
            picture = "" if plot is None else figure(plot(), f"what {phrase} answers")
        scores = self.validation._repr_html_()
        return f"<p>{in_lines(phrase)}</p>{picture}<p>On {self.card().held_out}:</p>{scores}"

    def chosen_score(self) -> tuple[str, bool]:
        """Return `SCORE`, or that of this model where its settings ask for another."""
        return self.SCORE

    @classmethod  # noqa: B027
    def check_data(cls, test: Any, data: Any = None, **options: Any) -> None:
        """Raise DataError where `evaluate` could not score `test`, as for labels that the training `data`
        lack: before an hour of training. What needs no PyTorch, `elman.tasks.early` has looked at.

        Args:
            data: None if they can be read only once.
            options: the arguments of `fit`, of which a task takes those that say what to read.
        """

    @abstractmethod
    def evaluate(self, data: Any) -> Evaluation:
        """Score on other data, beside the baseline."""

    @abstractmethod
    def predict(self, data: Any) -> Any:
        """Return the answer to one input, or the list of answers to several."""

    @abstractmethod
    def stream(self) -> Any:
        """Start a stream: `push` input piece by piece, `result` at any time."""

    @abstractmethod
    def pool(self, capacity: int) -> Pool[Any]:
        """Return room for many streams that advance together. Raises UsageError for a capacity below 1, and
        as `stream` does."""

    @abstractmethod
    def view(self, data: Any) -> View:
        """Return what `elman.lens` looks at: the network, and `data` as it reads them.

        Args:
            data: as for `predict`; several inputs are several sequences of one batch,
                of more than 32 the first.

        Raises UsageError or DataError as `predict` does, and UsageError for nothing at all.
        """

    @final
    def require_input(self, data: Any) -> None:
        """Raise UsageError where there are no data to answer to."""
        if data is None:
            raise UsageError(f"a {self.task!r} model needs input: a text, a file, or - for standard input")

    @abstractmethod
    def answers(self, data: Any) -> Iterator[Answer]:
        """Yield an answer for every input in `data`: a file, "-" for standard input, or a text itself."""

    @abstractmethod
    def parts(self) -> Parts:
        """Return what `save` writes and `restore` reads."""

    @classmethod
    @abstractmethod
    def restore(cls, settings: Any, parts: Parts) -> dict[str, Any]:
        """Return `network` and the fields of the task itself from the saved parts."""

    @abstractmethod
    def card(self) -> Card:
        """Return the facts of the model card."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return what a program has to know to use the model, as JSON values: such as the labels of its
        answers, and as "examples" a few inputs to try, if it knows any."""

    def generate(self, prompt: str = "") -> Iterator[str]:
        """Yield text after a prompt. Raises UsageError for a task that writes none."""
        raise UsageError(f"a {self.task!r} model writes no text: use predict")

    def backtest(self, data: Any) -> Evaluation:
        """Score what earlier trainings would have forecast. Raises UsageError for all but forecasts."""
        raise UsageError(f"a {self.task!r} model has no past to cut off: use evaluate")

    @abstractmethod
    def graphs(self) -> Mapping[str, Exported]:
        """Return what the model predicts with as ONNX graphs: "" the main one, and others by the word that
        their file's name has before its ending. Raises UsageError for what can't be exported."""

    @final
    def export_onnx(self, path: str | Path) -> list[Path]:
        """Write what the model predicts with as ONNX (opset 17), which runs without elman and PyTorch, and
        return the files: `path`, and beside "model.onnx" for some tasks "model.step.onnx", one step of a
        stream or of a decoder. docs/export.md says what the graphs of each task read and return.

        The metadata entry "elman" is JSON: task, settings, vocabulary or scaler, equations, card.

        Raises UsageError without the package onnx, for a model that ONNX can't compute, or where a file can't
        be written; each is written whole or not at all. A second file that an earlier export left is removed.
        """
        from elman.export.graph import remove_written, write
        from elman.export.stack import equations_of

        main, model = as_path(path, "path"), self
        if any(weight.dtype != torch.float32 for weight in self.network.parameters()):
            # of a run in another precision; loaded, it is of float32 as well
            model = replace(self, network=deepcopy(self.network).float())
        common = {"kind": "model", "task": self.task, "settings": self.settings.to_dict()}
        common |= {"equations": equations_of(self.settings.cell), "card": self.card_text()}
        places = {word: main.with_suffix(f".{word}{main.suffix}") for word in SECOND_GRAPHS} | {"": main}
        contents = {
            places[word]: exported.graph.model(
                f"{self.task}_{word or 'model'}", common | {"graph": word or "whole"} | dict(exported.inputs)
            )
            for word, exported in model.graphs().items()
        }
        for file in contents:
            check_output(file)
        files = [write(file, content) for file, content in contents.items()]
        for word, file in places.items():
            if file not in contents:
                remove_written(file, word)
        return files

    @final
    def card_text(self) -> str:
        """Return the model card, in Markdown."""
        return CARD.format(
            version=__version__,
            equations=_equations(self.settings),
            scores=self.validation,
            **self.card()._asdict(),
        )

    @final
    def save(self, folder: str | Path, *, overwrite: bool = False, bits: int = 32) -> None:
        """Write the model as a folder that `elman.load` reads.

        Args:
            overwrite: whether to replace a model that the folder holds.
            bits: of a weight: 32; 16, by which answers differ in the third or fourth digit; or 8, by which
                they differ in the second or third. A loaded model computes in float32 all the same.

        Raises UsageError if the folder holds a model or something else or a training in it goes on, for
        other `bits`, or for a weight that they can't hold; ArtifactError if it can't be written.
        """
        folder = as_path(folder, "folder")
        if not overwrite and artifact.is_artifact(folder):
            advice = "name another folder, or give overwrite=True to replace it"
            raise UsageError(f"{folder} already holds a model: {advice}")
        parts = self.parts()
        tensors = {
            f"{name}.{key}": value
            for name, module in parts.modules.items()
            for key, value in module.state_dict().items()
        }
        saved = Artifact(
            task=self.task,
            settings=self.settings.to_dict() | dict(parts.settings),
            tensors=rounded(tensors | dict(parts.tensors), bits),
            extras=dict(parts.files),
            scores=self.validation.to_dict(),
            data=self.source,
            card=self.card_text(),
        )
        with writing(folder, ArtifactError), lock.held(folder):
            artifact.save(saved, folder)

    @final
    @classmethod
    def from_artifact(cls, saved: Artifact) -> Self:
        """Return the model that `save` wrote. Raises ArtifactError if its parts don't fit each other.

        A folder may come from anywhere: every part is checked here, so that what loads can be used.
        """
        try:
            values = renamed(saved.settings, cls.SETTINGS)
            names = {one.name for one in fields(cls.SETTINGS)}
            settings = cls.SETTINGS(**{k: v for k, v in values.items() if k in names})
            beside = {k: v for k, v in values.items() if k not in names}
            if beside.keys() != cls.SAVED_BESIDE:
                raise ValueError(f"unknown or missing settings {sorted(beside.keys() ^ cls.SAVED_BESIDE)}")
            parts = Parts(tensors=widened(saved.tensors), files=saved.extras, settings=beside)
            model = cls(
                settings=settings,
                source=typed(Source, saved.data, "data"),
                validation=cls.EVALUATION.from_dict(saved.scores),
                **cls.restore(settings, parts),
            )
            # what the model says of itself is made of many parts
            str(model.validation), model.card()
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise ArtifactError(f"the parts of the model don't fit each other: {reason:.400}") from error
        return model


def bare_name(name: str) -> str:
    """Return the name of data without folders: of a file, or of two parallel files."""
    return name if name.startswith("hf:") else " + ".join(Path(part).name for part in name.split(" + "))


def network_phrase(settings: Any) -> str:
    units, layers = counted(settings.hidden, "unit"), counted(settings.layers, "layer")
    return f"{cell_name(settings)} of {units}, {layers}"


def _equations(settings: Any) -> str:
    """Return what the card says of a cell of one's own; a built-in one is known by its name."""
    if isinstance(settings.cell, str):
        return ""
    return f"\n\nThe equations of its cell, for a step:\n\n```\n{settings.cell}\n```"
