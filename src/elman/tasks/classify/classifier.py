"""Text → label: sentiment, topic, intent. Beside every score stands that of a net that ignores word order."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, overload

import torch
from torch import Tensor

from elman import artifact
from elman.artifact import Artifact
from elman.data.batches import marks
from elman.data.table.formats import ENDINGS
from elman.data.table.table import read_table
from elman.data.text.tokenizers import Tokenizer, tokenizer_from_json
from elman.errors import ArtifactError, TrainingError, UsageError
from elman.tasks import settings as dials
from elman.tasks.classify.baseline import BagOfWords
from elman.tasks.classify.network import Reader, evidence
from elman.tasks.classify.problem import (
    Encoded,
    LabelProblem,
    class_probabilities,
    encode,
    read_corpus,
    read_examples,
    start_sign,
)
from elman.tasks.classify.scores import Evaluation, class_weights, likeliest
from elman.tasks.classify.settings import Settings, defaults
from elman.tasks.classify.stream import ClassifierStream
from elman.training.loop import Run
from elman.training.progress import watch
from elman.version import __version__

CARD: Final = """# Text classifier

Trained by elman {version} on {data}.
The network, {cell}, reads the words {reads}.

Scores on held-out texts, on which the best model was chosen. Beside the network stands the plain baseline, a
feed-forward net on a bag of words.

```
{scores}
```

```python
import elman

model = elman.load("this folder")
model.predict("a text", probabilities=True)
```
"""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A trained text classifier and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        network, baseline: in eval mode.
        classes: the labels, in the order of every table of probabilities.
        columns: names of the columns of text and label.
        seen: marks of the training texts, by which `evaluate` finds texts that it should not score.
        source: name, fingerprint and number of rows of the training data.
        validation: scores on the held-out texts on which the best model was chosen.
        failure: why `fit` had to stop after the best model, such as a loss of NaN; None in a loaded model.
    """

    task: ClassVar = "classify"

    network: Reader
    baseline: BagOfWords
    tokenizer: Tokenizer
    settings: Settings
    classes: tuple[str, ...]
    columns: tuple[str, str]
    seen: Tensor
    source: dict[str, Any]
    validation: Evaluation
    failure: TrainingError | None = None

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        text: str = "text",
        label: str = "label",
        valid: Any = None,
        header: bool = True,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Classifier":
        """Train on a table with a column of texts and one of labels.

        Args:
            data: whatever `elman.data.table.table.read_table` takes.
            valid: a table with the same columns on which to choose the best model; if None, a tenth of the
                rows, none of whose texts is trained on.
            header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...
            folder: where the run's metrics and checkpoints, and then the model are saved.
            resume: go on with the run in `folder`.
            settings: fields of `Settings` and of `elman.training.loop.Plan`.

        Raises:
            DataError: an empty cell, a label without a second example, too few rows.
            UsageError: a setting that isn't there, or a value that can't be.
            TrainingError: the loss became NaN or infinite, or there is no run to resume.
        """
        _, plan = dials.split(settings, Settings)  # what is wrong should be said before a long file is read
        if folder is not None:
            artifact.check_place(folder)
        checked = None if valid is None else read_table(valid, header=header)
        corpus = read_corpus(read_table(data, header=header), checked, text, label, plan.seed)
        chosen, plan = dials.split(settings, Settings, defaults(len(corpus.train.texts), settings))
        tokenizer = chosen.make_tokenizer(corpus.train.texts)
        train, held_out = corpus.train.encoded(tokenizer), corpus.held_out.encoded(tokenizer)
        balanced = chosen.class_weights == "balanced"
        weights = class_weights(train.labels, len(corpus.classes), balanced)
        problem = LabelProblem(train, held_out, weights, plan)
        torch.manual_seed(plan.seed)
        sizes = start_sign(tokenizer) + 1, len(corpus.classes)
        baseline, network = BagOfWords(*sizes), chosen.make_network(*sizes)
        network.start_from(evidence(train.texts, train.labels, *sizes))
        identity = {"settings": asdict(chosen), "data": corpus.source["fingerprint"]}
        identity |= {"valid": checked.fingerprint if checked is not None else None}
        # first of all: it refuses a checkpoint that doesn't fit
        run = Run(
            network,
            replace(problem, longest=chosen.longest),
            plan,
            folder=folder,
            resume=resume,
            identity=identity,
        )
        if watch(Run(baseline, problem, plan), progress, "plain baseline").stopped == "interrupted":
            raise KeyboardInterrupt
        outcome = watch(run, progress, "network")
        seen = torch.tensor(sorted(set(marks(corpus.train.texts))))
        notes = _overlap(corpus.held_out.texts, seen) + ((outcome.stopped,) if outcome.error else ())
        validation = _score(network.eval(), baseline.eval(), held_out, corpus.classes, notes)
        model = cls(
            network,
            baseline,
            tokenizer,
            chosen,
            corpus.classes,
            (text, label),
            seen,
            corpus.source,
            validation,
            outcome.error,
        )
        run.keep(model.save)
        return model

    def evaluate(
        self, data: Any, *, text: str | None = None, label: str | None = None, header: bool = True
    ) -> Evaluation:
        """Score on labelled texts, beside the plain baseline.

        Args:
            data: whatever `elman.data.table.table.read_table` takes.
            text, label: names of the columns, if they are not those of the training data.
            header: whether the first line of a CSV or TSV names the columns.

        Raises:
            DataError: a column is missing, a cell is empty, a label that training has not seen.
        """
        table = read_table(data, header=header)
        examples = read_examples(table, text or self.columns[0], label or self.columns[1], self.classes)
        notes = _overlap(examples.texts, self.seen)
        return _score(self.network, self.baseline, examples.encoded(self.tokenizer), self.classes, notes)

    @overload
    def predict(self, texts: str, probabilities: Literal[False] = ...) -> str: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, texts: str, probabilities: Literal[True]) -> dict[str, float]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, texts: Iterable[str], probabilities: Literal[False] = ...) -> list[str]: ...
    @overload
    def predict(self, texts: Iterable[str], probabilities: Literal[True]) -> list[dict[str, float]]: ...
    def predict(self, texts: str | Iterable[str], probabilities: bool = False) -> Any:
        """The label of a text, or the list of labels of several; with `probabilities`, a dict of all labels'.

        Where classes were balanced in training, probabilities are those of a world in which all labels are
        equally frequent. An empty text gets what the network says before the first word.

        Raises:
            UsageError: a text that is not a string.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        for i, text in enumerate(several):
            if not isinstance(text, str):
                raise UsageError(f"text {i} to predict must be a string, not {type(text).__name__}")
        if not several:
            return []
        rows = class_probabilities(self.network, [encode(self.tokenizer, text) for text in several]).tolist()
        said: list[Any] = [likeliest(row, self.classes) for row in rows]
        if probabilities:
            said = [dict(zip(self.classes, row, strict=True)) for row in rows]
        return said[0] if isinstance(texts, str) else said

    def stream(self) -> "ClassifierStream":
        """Read a text that arrives in pieces, with a running answer, in constant memory.

        Raises:
            UsageError: the network is bidirectional.
        """
        if self.settings.bidirectional:
            raise UsageError(
                "a bidirectional classifier can't stream, for it reads from the end too: "
                "train one with bidirectional=False"
            )
        return ClassifierStream(self.network, self.tokenizer, self.classes)

    def report(
        self, data: Any, *, header: bool = True, plot: Any = None, as_json: bool = False
    ) -> Iterator[str]:
        """A line for each text in `data`, a table or a text: the label and its probability, or JSON.

        Raises:
            UsageError: no data, or a plot was asked for.
            DataError: the table has no column of texts, or an empty cell.
        """
        if data is None:
            raise UsageError(
                "a classifier needs something to read: give a text, a file, or - for standard input"
            )
        if plot is not None:
            raise UsageError("a classifier draws no plot: leave plot out")
        texts = _texts(data, header, self.columns[0])
        for answer in self.predict(texts, probabilities=True):
            label = max(answer, key=lambda name: answer[name])
            record = {"label": label, "probabilities": answer}
            yield json.dumps(record, ensure_ascii=False) if as_json else f"{label}\t{answer[label]:.4f}"

    # ---- on disk

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder that `elman.load` reads. Raises UsageError if the place is taken."""
        parts = {"network": self.network.state_dict(), "baseline": self.baseline.state_dict()}
        tensors = {
            f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()
        }
        saved = Artifact(
            task=self.task,
            settings=asdict(self.settings)
            | {"columns": dict(zip(("text", "label"), self.columns, strict=True))},
            tensors=tensors | {"seen": self.seen},
            extras={"vocabulary": self.tokenizer.to_json(), "labels": list(self.classes)},
            scores=self.validation.to_dict(),
            data=self.source,
            card=self._card(),
        )
        artifact.save(saved, folder)

    @classmethod
    def from_artifact(cls, saved: Artifact) -> "Classifier":
        """The classifier that `save` wrote. Raises ArtifactError if its parts don't fit each other."""
        try:
            columns = saved.settings["columns"]
            settings = Settings(**{k: v for k, v in saved.settings.items() if k != "columns"})
            tokenizer = tokenizer_from_json(saved.extras["vocabulary"])
            classes = tuple(saved.extras["labels"])
            network = settings.make_network(start_sign(tokenizer) + 1, len(classes))
            baseline = BagOfWords(start_sign(tokenizer) + 1, len(classes))
            network.load_state_dict(_part(saved.tensors, "network."))
            baseline.load_state_dict(_part(saved.tensors, "baseline."))
            validation = Evaluation.from_dict(saved.scores)
            seen, names = saved.tensors["seen"], (columns["text"], columns["label"])
        except (KeyError, TypeError, RuntimeError, UsageError) as error:
            raise ArtifactError(f"the parts of the model don't fit each other: {error}") from error
        return cls(
            network.eval(), baseline.eval(), tokenizer, settings, classes, names, seen, saved.data, validation
        )

    def _card(self) -> str:
        text, label = self.columns
        source, settings = self.source, self.settings
        return CARD.format(
            version=__version__,
            data=f"{source['rows']} rows of {source['source']} (text in `{text}`, label in `{label}`)",
            cell=f"{settings.cell} of {settings.hidden} units, {settings.layers} layer(s)",
            reads="both ways" if settings.bidirectional else "forwards",
            scores=self.validation,
        )


def _score(
    network: Reader,
    baseline: BagOfWords,
    examples: Encoded,
    classes: tuple[str, ...],
    notes: tuple[str, ...],
) -> Evaluation:
    ours, plain = (class_probabilities(model, examples.texts) for model in (network, baseline))
    return Evaluation.of(ours, plain, examples.labels, classes, notes)


def _overlap(texts: Sequence[str], seen: Tensor) -> tuple[str, ...]:
    """A note if some texts were trained on."""
    known = set(seen.tolist())
    shared = sum(mark in known for mark in marks(texts))
    if not shared:
        return ()
    return (f"{shared} of these {len(texts)} texts were trained on, which flatters both scores",)


def _texts(data: Any, header: bool, column: str) -> list[str]:
    """The texts of a file, of standard input or of a frame; any other string is a text itself."""
    if isinstance(data, str) and not _names_a_table(data):
        return [data]
    table = read_table(data, header=header)
    only = table.frame.columns if len(table.frame.columns) == 1 else [column]
    return table.texts(only[0])


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _names_a_table(data: str) -> bool:
    path = Path(data.removesuffix(".gz"))
    ends_so = path.suffix in ENDINGS and (" " not in data or Path(data).exists())
    return data == "-" or data.startswith("hf:") or ends_so
