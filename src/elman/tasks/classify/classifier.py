"""Text classification: sentiment, topic, intent, by a recurrent network and a linear model of n-grams."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, Literal, TypedDict, final, overload

import torch
from torch import Tensor

from elman import artifact
from elman.data.batches import text_hashes
from elman.data.table.formats import ENDINGS, ending, input_lines
from elman.data.table.frames import column_name
from elman.data.table.table import Table, arriving_texts, read_table
from elman.data.text.tokenizers import SubwordTokenizer, Tokenizer, WordTokenizer
from elman.data.text.vocabulary import any_tokenizer_from_json, as_tokenizer, build_vocabulary
from elman.errors import UsageError
from elman.tasks.classify.baseline import BagOfWords
from elman.tasks.classify.blend import Blend, fit_blend
from elman.tasks.classify.examples import (
    contradiction_note,
    encode,
    held_out_rows,
    read_corpus,
    read_examples,
    require_one_kind,
    scoring_notes,
    start_token,
)
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.linear_fit import fit_linear
from elman.tasks.classify.network import Ensemble, evidence
from elman.tasks.classify.pretrained import read_start
from elman.tasks.classify.problem import (
    LabelProblem,
    class_log_probabilities,
    class_probabilities,
    class_weights,
    held_out_log_probabilities,
)
from elman.tasks.classify.scores import BAG, UNSURE, Label, LabelEvaluation, check_share, likeliest
from elman.tasks.classify.settings import Settings, defaults
from elman.tasks.classify.stream import ClassifierStream
from elman.tasks.entry import entry, training_entry
from elman.tasks.evaluation import failure_note, overlap_note, sample_rows
from elman.tasks.inputs import read_texts, texts_of
from elman.tasks.settings import split_choices
from elman.tasks.task import Answer, Card, Parts, Task, network_phrase
from elman.training.budget import Trial, in_time, smaller
from elman.training.distributed import is_first
from elman.training.groups import even
from elman.training.loop import Run
from elman.training.progress import watch
from elman.training.stderr import say
from elman.typed import typed

FIRST_MEMBER: Final = {part: f"members.0.{part}" for part in ("embedding", "layers", "head")}
INTERRUPTED_TEXTS: Final = 200  # classified for the scores of an interrupted training


@dataclass(frozen=True)
class LabelAnswer(Answer):
    """The label of a text, None where none is likely enough, and the probabilities of all labels."""

    label: Label | None
    probabilities: dict[Label, float]

    def __str__(self) -> str:
        label = UNSURE if self.label is None else self.label
        return f"{label}\t{max(self.probabilities.values()):.4f}"

    def to_dict(self) -> dict[str, Any]:
        return {"label": self.label, "probabilities": self.probabilities}


class Columns(TypedDict):
    text: str
    label: str


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier(Task):
    """A trained text classifier. Made by `fit` and by `elman.load`.

    Attributes:
        baseline: a linear model of n-grams; in a model that was saved before there was one, a feed-forward
            network on a bag of words.
        blend: the weights of the network and of the linear model in the answer, or None for such a model.
        tokenizer: text → token ids.
        classes: the labels, in the order of every table of probabilities.
        columns: names of the columns of text and label.
        train_hashes: of the training texts, by which `evaluate` finds texts that it should not score.
    """

    task: ClassVar = "classify"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = LabelEvaluation
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"text", "label", "header", "skip_bad"}),
        "predict": frozenset({"header", "at_least"}),
        "generate": frozenset(),
    }
    SAVED_BESIDE: ClassVar = frozenset({"columns"})

    network: Ensemble
    settings: Settings
    validation: LabelEvaluation
    baseline: LinearModel | BagOfWords
    blend: Blend | None
    tokenizer: Tokenizer
    classes: tuple[Label, ...]
    columns: tuple[str, str]
    train_hashes: Tensor

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any,
        *,
        text: str = "text",
        label: str = "label",
        valid: Any = None,
        header: bool = True,
        skip_bad: bool = False,
        stream: bool = False,
        pretrained: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Classifier":
        """Train on a table with columns of texts and labels; see `Task` for the common arguments.

        Args:
            data: any table that `elman.data.table.table.read_table` reads.
            text, label: names of the columns.
            valid: a table with the same columns on which to choose the best model; if None, a tenth of the
                rows for each of `networks`, none of whose texts it learns from.
            header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...
            skip_bad: whether to skip rows that can't be used, with one warning that counts them and names the
                first, rather than to raise DataError for it; refused where they are more than half of all.
            stream: whether to read texts forwards only (`bidirectional=False`), so that the model can stream.
            pretrained: a `LanguageModel`, or the folder of one, whose tokens, embedding and recurrent layers
                every network starts from. It reads forwards. The trained classifier does without it.
        """
        started = monotonic()
        if stream and settings.setdefault("bidirectional", False):
            raise UsageError("a model that reads texts from both ends can't stream: leave one of them out")
        chosen, _ = split_choices(settings, Settings)  # before a long file is read
        start = None if pretrained is None else read_start(pretrained)
        if start is not None:
            start.check(chosen, settings)
            settings |= start.settings
        if folder is not None:
            artifact.check_destination(folder)
        require_one_kind(data, label)
        valid_table = None if valid is None else read_table(valid, header=header, skip_bad=skip_bad)
        table = read_table(data, header=header, skip_bad=skip_bad)
        corpus = read_corpus(table, valid_table, text, label)
        chosen, plan = split_choices(settings, Settings, defaults(corpus.rows, settings, start is not None))
        folds = corpus.folds(chosen.networks, plan.seed)
        trained = sorted(set().union(*(fold.train for fold in folds)))
        learned = corpus.examples.take(trained)
        tokenizer = make_tokenizer(chosen, learned.texts) if start is None else start.tokenizer
        examples, labels = corpus.examples.encoded(tokenizer), corpus.examples.labels
        balanced = chosen.class_weights == "balanced"
        weights = class_weights(learned.labels, len(corpus.classes), balanced)
        score = "macro_f1" if balanced else "accuracy"

        def fitted() -> tuple[LinearModel, Tensor]:
            if progress and is_first():
                say("linear model: choosing it by cross-validation")
            return fit_linear(corpus.examples.texts, labels, weights, folds, refit=valid is None)

        def training(size: Mapping[str, Any]) -> Trial:
            choices = settings | dict(size)
            chosen, plan = split_choices(choices, Settings, defaults(corpus.rows, choices, start is not None))
            torch.manual_seed(plan.seed)
            sizes = start_token(tokenizer) + 1, len(corpus.classes)
            network = Ensemble(chosen, *sizes)
            if start is None:
                network.start_from([evidence(examples.take(fold.train), *sizes) for fold in folds])
            else:
                network.each(start.begin)
            return Trial(
                network, LabelProblem(examples, folds, weights, plan, chosen.crop, score), plan, chosen
            )

        linear_first = None if plan.minutes is None else fitted()  # the network gets the time that is left
        sizes = smaller({"hidden": chosen.hidden}, settings)
        network, problem, plan, chosen = in_time(
            training, plan.minutes, started, sizes, folder=folder, resume=resume, progress=progress
        )
        identity = {"settings": asdict(chosen), "data": corpus.source["fingerprint"]}
        identity["valid"] = None if valid_table is None else valid_table.fingerprint
        if start is not None:
            identity["pretrained"] = start.fingerprint
        pace = even if start is None else start.pace
        # made before the linear model, where there is time: it refuses a checkpoint that doesn't fit
        run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity, pace=pace)
        linear, plain = linear_first or fitted()
        outcome = watch(run, progress, "network")
        run.require_model()
        network.eval().cpu()
        seen = corpus.examples if valid is None else learned  # by the linear model, where not by the network
        train_hashes = torch.tensor(sorted(set(text_hashes(seen.texts))))
        scored, notes = held_out_rows(folds), failure_note(outcome.error)
        if outcome.signal is not None:
            some, note = sample_rows(len(scored), INTERRUPTED_TEXTS, "texts")
            scored, plain, notes = [scored[i] for i in some], plain[some], notes + note
        held_out = corpus.examples.take(scored)
        notes = scoring_notes(held_out, corpus.classes) + contradiction_note(learned) + notes
        if valid is not None:
            notes = overlap_note(text_hashes(held_out.texts), train_hashes, "texts") + notes
        ours = held_out_log_probabilities(network, examples.texts, folds, scored)
        blend = fit_blend(ours, plain, held_out.labels, weights[held_out.labels])
        scores = LabelEvaluation.of(*blend.probabilities(ours, plain), held_out.labels, corpus.classes, notes)
        model = cls(
            network=network,
            settings=chosen,
            source=corpus.source | ({} if start is None else {"pretrained": start.name}),
            validation=scores,
            failure=outcome.error,
            baseline=linear,
            blend=blend,
            tokenizer=tokenizer,
            classes=corpus.classes,
            columns=(column_name(text), column_name(label)),
            train_hashes=train_hashes,
        )
        run.keep(model.save)
        return model

    @classmethod
    def check_data(
        cls,
        data: Any,
        text: str = "text",
        label: str = "label",
        header: bool = True,
        skip_bad: bool = False,
        **_: Any,
    ) -> None:
        read_table(data, header=header, skip_bad=skip_bad).require(text, label)

    @entry
    def evaluate(
        self,
        data: Any,
        *,
        text: str | None = None,
        label: str | None = None,
        header: bool = True,
        skip_bad: bool = False,
    ) -> LabelEvaluation:
        """Score on labelled texts, beside the plain baseline. Raises DataError for a missing column, an empty
        cell, or a label that training has not seen.

        Args:
            data, header, skip_bad: as in `fit`.
            text, label: names of the columns, if they are not those of the training data.
        """
        table = read_table(data, header=header, skip_bad=skip_bad)
        text = self.columns[0] if text is None else text
        label = self.columns[1] if label is None else label
        examples = read_examples(table, text, label, self.classes)
        notes = overlap_note(text_hashes(examples.texts), self.train_hashes, "texts")
        notes += scoring_notes(examples, self.classes)
        return LabelEvaluation.of(*self._probabilities(examples.texts), examples.labels, self.classes, notes)

    @overload
    def predict(self, data: str, probabilities: Literal[True]) -> dict[Label, float]: ...
    @overload
    def predict(self, data: str, probabilities: Literal[False] = ..., at_least: None = ...) -> Label: ...
    @overload
    def predict(
        self, data: str, probabilities: Literal[False] = ..., at_least: float = ...
    ) -> Label | None: ...
    @overload
    def predict(self, data: Any, probabilities: Literal[True]) -> list[dict[Label, float]]: ...
    @overload
    def predict(
        self, data: Any, probabilities: Literal[False] = ..., at_least: None = ...
    ) -> list[Label]: ...
    @overload
    def predict(
        self, data: Any, probabilities: Literal[False] = ..., at_least: float = ...
    ) -> list[Label | None]: ...
    @entry
    def predict(self, data: Any, probabilities: bool = False, at_least: float | None = None) -> Any:
        """Return the label of a text, or the list of labels of several, of the type that they had in the
        training data; with `probabilities`, a dict with the probability of every label.

        Args:
            data: a text; an iterable of texts; a table in memory with the column of texts that was trained
                on; a row of one, as a dict; or a `pathlib.Path` to a table or to lines of text.
            at_least: a probability, 0 to 1, below which the answer is None in place of the likeliest label.

        Where classes were balanced in training, probabilities are those of a world in which all labels are
        equally frequent. An empty text gets the answer before the first word. Raises UsageError for
        anything else, DataError for a table without the column or with an empty cell.
        """
        check_share(at_least, probabilities)
        texts, single = read_texts(data, self.columns[0])
        if not texts:
            return []
        rows = self._probabilities(texts)[0].tolist()
        answers: list[Any] = [likeliest(row, self.classes, at_least) for row in rows]
        if probabilities:
            answers = [dict(zip(self.classes, row, strict=True)) for row in rows]
        return answers[0] if single else answers

    def _probabilities(self, texts: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the probabilities (N, K) of the answer, and those of its parts or of its baseline."""
        ids = [encode(self.tokenizer, text) for text in texts]
        if isinstance(self.baseline, BagOfWords) or self.blend is None:
            return class_probabilities(self.network, ids), {BAG: class_probabilities(self.baseline, ids)}
        linear = self.baseline.log_probabilities(texts)
        return self.blend.probabilities(class_log_probabilities(self.network, ids), linear)

    @entry
    def stream(self) -> ClassifierStream:
        """Start a text that arrives in pieces, with a running answer, in constant memory. Raises UsageError
        unless it was trained with `stream`."""
        if self.settings.bidirectional:
            raise UsageError(
                "this classifier reads texts from both ends and can't stream: train one with stream=True, "
                "which reads forwards only"
            )
        linear = self.baseline if isinstance(self.baseline, LinearModel) else None
        return ClassifierStream(self.network, self.tokenizer, self.classes, linear, self.blend)

    def answers(
        self, data: Any, *, header: bool = True, at_least: float | None = None
    ) -> Iterator[LabelAnswer]:
        """Yield the label of every text in `data`, a table or a text; of a line of standard input as soon as
        it arrives. A blank line is an empty text. Below a probability of `at_least`, the label is None.
        Raises UsageError if there are no data, DataError for a table without a column of texts or with an
        empty cell."""
        self.require_input(data)
        check_share(at_least)
        for texts in _texts(data, header, self.columns[0]):
            for row in self.predict(texts, probabilities=True):
                yield LabelAnswer(likeliest(list(row.values()), list(row), at_least), row)

    def parts(self) -> Parts:
        tensors = {"seen": self.train_hashes}
        files = {"vocabulary": self.tokenizer.to_json(), "labels": list(self.classes)}
        if self.blend is not None and isinstance(self.baseline, LinearModel):
            tensors |= self.baseline.tensors()
            files |= self.baseline.files() | {"blend": self.blend._asdict()}
        return Parts(
            modules={"network": self.network, "baseline": self.baseline},
            tensors=tensors,
            files=files,
            settings={"columns": dict(zip(("text", "label"), self.columns, strict=True))},
        )

    @classmethod
    def restore(cls, settings: Settings, parts: Parts) -> dict[str, Any]:
        tokenizer = any_tokenizer_from_json(parts.files["vocabulary"])
        classes = typed(tuple[Label, ...], parts.files["labels"], "labels.json")
        columns = typed(Columns, parts.settings["columns"], "columns")
        if not classes or len(set(classes)) < len(classes):
            raise ValueError("labels.json must hold different labels")
        sizes = start_token(tokenizer) + 1, len(classes)
        # one network had no members in elman 0.1.0
        network = parts.module("network", lambda: Ensemble(settings, *sizes), FIRST_MEMBER)
        baseline: LinearModel | BagOfWords
        if "blend" in parts.files:
            baseline, blend = LinearModel.restore(parts, len(classes)), Blend.from_json(parts.files["blend"])
        else:
            baseline, blend = parts.module("baseline", lambda: BagOfWords(*sizes)), None
        return {
            "network": network,
            "baseline": baseline,
            "blend": blend,
            "tokenizer": tokenizer,
            "classes": classes,
            "columns": (columns["text"], columns["label"]),
            "train_hashes": parts.tensor("seen", torch.int64, 1),
        }

    def card(self) -> Card:
        text, label = self.columns
        source, ways = self.source, "both ways" if self.settings.bidirectional else "forwards"
        count = self.settings.networks
        kind = network_phrase(self.settings)
        begun = source.get("pretrained")
        begun = "" if begun is None else f" It started from a language model of {begun}."
        which = f"The network, {kind}," if count == 1 else f"The mean of {count} networks, each {kind},"
        return Card(
            title="Text classifier",
            data=f"{source['rows']} rows of {source['source']} (text in `{text}`, label in `{label}`)",
            network=f"{which} reads the words {ways}.{begun}" + (f" {self.blend}" if self.blend else ""),
            held_out="held-out texts",
            baseline="its two parts" if self.blend else "a feed-forward network on a bag of words",
            usage='model.predict("a text", probabilities=True)',
        )


def make_tokenizer(settings: Settings, texts: list[str]) -> Tokenizer:
    """Build the vocabulary of `texts`. Raises DataError if no word occurs twice."""
    if settings.tokenizer == "subword":
        return SubwordTokenizer.train(texts, settings.vocabulary)
    if settings.tokenizer == "word":
        return WordTokenizer.build(texts, settings.vocabulary)
    least = 1 if settings.tokenizer == "character" else 2
    return as_tokenizer(build_vocabulary(settings.tokenizer, texts, settings.vocabulary, least))


def _texts(data: Any, header: bool, column: Any) -> Iterator[list[str]]:
    """Yield the texts of a table, the lines of a file or, as they arrive, of standard input; any other string
    is a text itself."""
    if not isinstance(data, str):
        yield read_texts(data, column).texts
    elif data != "-":
        is_named = _names_a_table(data)
        yield texts_of(read_table(data, header=header), column) if is_named else list(input_lines(data))
    elif isinstance(texts := arriving_texts(header), Table):
        yield texts_of(texts, column)
    else:
        yield from ([line] for line in texts)


def _names_a_table(data: str) -> bool:
    """Return whether a string is a name of a table rather than a text, which may end in one."""
    one_word = len(data.split()) == 1
    # unlike Path.exists, it accepts any string
    has_ending = ending(Path(data)) in ENDINGS and (one_word or os.path.exists(data))  # noqa: PTH110
    return data.startswith("hf:") or has_ending
