"""Text classification: sentiment, topic, intent, by a recurrent network and a linear model of n-grams."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, Literal, TypedDict, final, overload

import torch
from torch import Tensor

from elman import artifact
from elman.data.batches import text_hashes
from elman.data.table.frames import column_name
from elman.data.table.table import read_table
from elman.data.text.tokenizers import Tokenizer, word_patterns
from elman.data.text.vocabulary import any_tokenizer_from_json
from elman.errors import UsageError
from elman.lens.view import View
from elman.tasks.classify import look
from elman.tasks.classify.answers import LabelAnswer, LabelsAnswer, arriving, make_answer, rows_as_given
from elman.tasks.classify.baseline import BagOfWords
from elman.tasks.classify.blend import Blend
from elman.tasks.classify.examples import (
    corpus_of,
    encode,
    labelled,
    read_examples,
    scoring_notes,
    start_token,
)
from elman.tasks.classify.labels import BAG, Label, Labels, check_separator, shares
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.network import Ensemble
from elman.tasks.classify.ngrams import check_phrases
from elman.tasks.classify.pretrained import read_start
from elman.tasks.classify.problem import class_log_probabilities, class_probabilities
from elman.tasks.classify.scores import LabelEvaluation, LabelSetEvaluation, check_share, evaluation_of
from elman.tasks.classify.settings import Settings
from elman.tasks.classify.steps import EnsembleSteps
from elman.tasks.classify.stream import ClassifierStream
from elman.tasks.classify.train import Trained, train
from elman.tasks.entry import entry, training_entry
from elman.tasks.evaluation import overlap_note
from elman.tasks.inputs import as_given, looked_at, read_texts
from elman.tasks.pool import Pool
from elman.tasks.settings import split_choices
from elman.tasks.task import Card, Exported, Parts, Task, network_phrase
from elman.typed import typed

FIRST_MEMBER: Final = {part: f"members.0.{part}" for part in ("embedding", "layers", "head")}


class Columns(TypedDict):
    text: str
    label: str


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Classifier(Task):
    """A trained text classifier. Made by `fit` and by `elman.load`.

    Attributes:
        baseline: a linear model of n-grams; in a model that was saved before there was one, a feed-forward
            network on a bag of words.
        blend: the weights of the network and of the linear model in the answer, or None for such a model.
        tokenizer: text → token ids.
        labels: those that the model knows, and whether a text may have several.
        columns: names of the columns of text and label.
        train_hashes: of the training texts, by which `evaluate` finds texts that it should not score.
    """

    task: ClassVar = "classify"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = LabelEvaluation
    SCORE: ClassVar = ("accuracy", False)
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"text", "label", "separator", "header", "skip_bad"}),
        "predict": frozenset({"header", "at_least"}),
        "generate": frozenset(),
    }
    SAVED_BESIDE: ClassVar = frozenset({"columns"})

    network: Ensemble
    settings: Settings
    validation: LabelEvaluation | LabelSetEvaluation
    baseline: LinearModel | BagOfWords
    blend: Blend | None
    tokenizer: Tokenizer
    labels: Labels
    columns: tuple[str, str]
    train_hashes: Tensor

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.labels.several != isinstance(self.validation, LabelSetEvaluation):
            raise ValueError("labels.json and the scores differ in whether a text may have several labels")

    def chosen_score(self) -> tuple[str, bool]:
        balanced = self.settings.class_weights == "balanced"
        return "micro_f1" if self.labels.several else "macro_f1" if balanced else "accuracy", False

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels, in the order of every table of probabilities."""
        return self.labels.classes

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any,
        labels: Any = None,
        *,
        text: str = "text",
        label: str = "label",
        valid: Any = None,
        header: bool = True,
        skip_bad: bool = False,
        stream: bool = False,
        separator: str | None = None,
        pretrained: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Classifier":
        """Train on a table with columns of texts and labels, or on texts and their labels; see `Task` for the
        common arguments.

        Args:
            data: any table that `elman.data.table.table.read_table` reads; or texts, if `labels` are given.
            labels: those of the texts, as many: a list, an array or a column of a frame.
            text, label: names of the columns.
            valid: a table with the same columns, or a pair of texts and labels, on which to choose the best
                model; if None, a tenth of the rows for each of `networks`, which learns none of their texts.
            header: whether the first line of a CSV or TSV names the columns; if not, they are "1", "2", ...
            skip_bad: whether to skip rows that can't be used, with one warning that counts them and names the
                first, rather than to raise DataError for it; refused where they are more than half of all.
            stream: whether to read texts forwards only (`bidirectional=False`), so that the model can stream.
            separator: what separates several labels of a text in its cell, such as ";". A column of lists
                needs none. An empty list, or with a separator an empty cell, is a text without a label.
            pretrained: a `LanguageModel` of words, or the folder of one, whose vocabulary, embedding and
                layers the networks start from, so that they read forwards. The classifier does without it.
        """
        started = monotonic()
        if stream and settings.setdefault("bidirectional", False):
            raise UsageError("a bidirectional model can't stream: leave out stream or bidirectional")
        split_choices(settings, Settings)  # before a long file is read
        start = None if pretrained is None else read_start(pretrained)
        if start is not None:
            settings = start.choices(settings)
        if folder is not None:
            artifact.check_destination(folder)
        if labels is not None:
            data = labelled(data, labels, text, label)
        if isinstance(valid, tuple) and len(valid) == 2:
            valid = labelled(*valid, text, label)
        corpus = corpus_of(data, valid, text, label, separator, header=header, skip_bad=skip_bad)
        options: dict[str, Any] = {"folder": folder, "resume": resume, "progress": progress}
        trained = train(corpus, settings, started, start=start, **options)
        source = corpus.source | ({} if start is None else {"pretrained": start.name})
        model = cls._of(trained, source, (column_name(text), column_name(label)))
        trained.run.keep(partial(model.save, overwrite=True))
        return model

    @classmethod
    def _of(cls, trained: Trained, source: dict[str, Any], columns: tuple[str, str]) -> "Classifier":
        return cls(
            network=trained.network,
            settings=trained.settings,
            source=source,
            validation=trained.validation,
            failure=trained.failure,
            baseline=trained.linear,
            blend=trained.blend,
            tokenizer=trained.tokenizer,
            labels=trained.labels,
            columns=columns,
            train_hashes=trained.train_hashes,
        )

    @classmethod
    def check_data(
        cls,
        test: Any,
        data: Any = None,
        text: str = "text",
        label: str = "label",
        header: bool = True,
        skip_bad: bool = False,
        separator: str | None = None,
        **_: Any,
    ) -> None:
        table = read_table(test, header=header, skip_bad=skip_bad)
        table.require(text, label)
        if data is not None:
            corpus = corpus_of(data, None, text, label, separator, header=header, skip_bad=skip_bad)
            read_examples(table, text, label, corpus.labels)

    @entry
    def evaluate(
        self,
        data: Any,
        labels: Any = None,
        *,
        text: str | None = None,
        label: str | None = None,
        separator: str | None = None,
        header: bool = True,
        skip_bad: bool = False,
    ) -> LabelEvaluation | LabelSetEvaluation:
        """Score on labelled texts, beside the plain baseline. Raises DataError for a missing column, an empty
        cell, or a label that training has not seen.

        Args:
            data, labels, header, skip_bad: as in `fit`.
            text, label, separator: names of the columns, and what separates several labels in a cell, if
                they are not those of the training data.
        """
        check_separator(separator)
        if separator is not None and not self.labels.several:
            raise UsageError("this classifier gives each text one label: leave separator out")
        text = self.columns[0] if text is None else text
        label = self.columns[1] if label is None else label
        texts = data
        if labels is not None:
            data = labelled(data, labels, text, label)
        table = read_table(data, header=header, skip_bad=skip_bad)
        known = self.labels if separator is None else replace(self.labels, separator=separator)
        examples = read_examples(table, text, label, known)
        notes = overlap_note(text_hashes(examples.texts), self.train_hashes, "text")
        notes += scoring_notes(examples, known)
        answer, parts = self._answers(examples.texts)
        evaluation = evaluation_of(answer, parts, examples.labels, known, notes)
        return evaluation.with_answers(examples.texts, answer, examples.labels, known).given(texts)

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
        """Return the label of a text, or the list of labels of several texts, of the type that they had in
        the training data; with `probabilities`, a dict with the probability of every label. Where a text may
        have several labels, each answer is a list, which may be empty, the likeliest label first.

        Args:
            data: a text; an iterable of texts; a table in memory with the column of texts that was trained
                on; a row of one, as a dict; or a `pathlib.Path` to a table or to lines of text.
            at_least: a probability, 0 to 1, below which the answer is None in place of the likeliest label.
                Of several, the answer holds those that are at least as likely as that; by default, as the
                threshold of highest micro-F1 on held-out texts.

        Texts in a frame or column of pandas, polars or Arrow get a column of its library, or with
        `probabilities` a frame with a column for every label; of pandas, with the index of the texts.

        Where classes were balanced in training, probabilities are those of a world in which all labels are
        equally frequent. An empty text gets the answer before the first word. Raises UsageError for
        anything else, DataError for a table without the column or with an empty cell.
        """
        check_share(at_least, probabilities)
        texts, single = read_texts(data, self.columns[0])
        rows = shares(self._answers(texts)[0]).tolist() if texts else []
        if probabilities:
            return rows_as_given(self.labels, rows, single, data)
        answers = [self.labels.answer(row, at_least) for row in rows]
        return as_given(answers, single, data, self.columns[1])

    @overload
    def familiar(self, data: str) -> float: ...
    @overload
    def familiar(self, data: Any) -> list[float]: ...
    @entry
    def familiar(self, data: Any) -> Any:
        """Return how familiar a text is, or a list for several texts: the share of its words and pairs of
        neighbouring words that training has seen, from 0 to 1; 0 of an empty text. The start of a text counts
        as a neighbour of its first word, since it tells much in short texts. It is low for a text about
        something else. A text of the usual kind that none of the labels fits may have a high one; there the
        probability of the answer tells more.

        Args:
            data: as in `predict`.

        Raises UsageError for a model that was saved before there was a linear part, which knows no pairs.
        """
        texts, single = read_texts(data, self.columns[0])
        if not isinstance(self.baseline, LinearModel):
            raise UsageError("this model is too old to tell how familiar a text is: train it again")
        return as_given(self.baseline.familiar(texts), single, data, "familiar")

    def _answers(self, texts: Sequence[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the probabilities of the model's answers, (N, K), or (N, K, 2) of no and yes to each of
        several labels, and those of its parts or of its baseline."""
        ids = [encode(self.tokenizer, text) for text in texts]
        if isinstance(self.baseline, BagOfWords) or self.blend is None:
            return class_probabilities(self.network, ids), {BAG: class_probabilities(self.baseline, ids)}
        linear = self.baseline.log_probabilities(texts)
        return self.blend.probabilities(class_log_probabilities(self.network, ids), linear)

    @entry
    def view(self, data: Any) -> View:
        texts = looked_at(read_texts(data, self.columns[0]).texts)
        probabilities = shares(self._answers(texts)[0])
        answers = [f"{self.labels.answer(row)} ({max(row):.0%})" for row in probabilities.tolist()]
        rows = probabilities.argmax(1).tolist()
        return look.view(self.network, self.blend, self.tokenizer, texts, rows, answers)

    @entry
    def order_scores(self, data: Any, *, header: bool = True) -> Any:
        """Return what `elman.lens.order` takes: a function from texts as lists of words to the accuracies of
        the network and of the baseline, and the texts of `data`, which are as for `evaluate`. Where a text
        may have several labels, each answer to each label counts."""
        examples = read_examples(read_table(data, header=header), *self.columns, self.labels)
        return look.order_scores(self.network, self.baseline, self.tokenizer, examples)

    @entry
    def stream(self) -> ClassifierStream:
        """Start a text that arrives in pieces, with a running answer, in constant memory. Raises UsageError
        unless it was trained with `stream`."""
        self._check_one_way()
        return self._stream(EnsembleSteps(self.network))

    @entry
    def pool(self, capacity: int) -> Pool[ClassifierStream]:
        """Return room for many streams that advance together. Raises UsageError for a capacity below 1, and
        as `stream` does."""
        self._check_one_way()
        steps = EnsembleSteps(self.network)
        return Pool(steps, partial(self._stream, steps), capacity)

    def _stream(self, steps: EnsembleSteps) -> ClassifierStream:
        linear = self.baseline if isinstance(self.baseline, LinearModel) else None
        return ClassifierStream(steps, self.tokenizer, self.labels, linear, self.blend)

    def _check_one_way(self) -> None:
        if self.settings.bidirectional:
            raise UsageError(
                "this classifier is bidirectional and can't stream: train one with stream=True, "
                "which reads forwards only"
            )

    def answers(
        self, data: Any, *, header: bool = True, at_least: float | None = None
    ) -> Iterator[LabelAnswer | LabelsAnswer]:
        """Yield the label or labels of every text in `data`, a table or a text, with the text itself unless
        `data` are that; of a line of standard input as soon as it arrives. A blank line is an empty text.
        `at_least` is that of `predict`. Raises UsageError if there are no data, DataError for a table without
        a column of texts or with an empty cell."""
        self.require_input(data)
        check_share(at_least)
        for texts in arriving(data, header, self.columns[0]):
            linear = self.baseline if isinstance(self.baseline, LinearModel) else None
            familiar = [None] * len(texts) if linear is None else linear.familiar(texts)
            rows = self.predict(texts, probabilities=True)
            for text, row, share in zip(texts, rows, familiar, strict=True):
                alone = isinstance(data, str) and text == data
                yield make_answer(self.labels, row, at_least, share, text, alone)

    def graphs(self) -> dict[str, Exported]:
        from elman.tasks.classify.export import classifier_graph, linear_inputs

        linear = self.baseline if self.blend is not None and isinstance(self.baseline, LinearModel) else None
        inputs: dict[str, Any] = {
            "classes": self.labels.classes,
            "labels": self.labels.to_json(),
            "vocabulary": self.tokenizer.to_json(),
            "start": start_token(self.tokenizer),
            "patterns": word_patterns(),
            "ngrams": None if linear is None else linear_inputs(linear),
        }
        words = ("",) if self.settings.bidirectional else ("", "step")
        return {
            word: Exported(classifier_graph(self.network, linear, self.blend, bool(word)), inputs)
            for word in words
        }

    def facts(self) -> dict[str, Any]:
        return {
            "labels": list(self.classes),
            "several": self.labels.several,
            "columns": dict(zip(("text", "label"), self.columns, strict=True)),
            "stream": not self.settings.bidirectional,
            "examples": ["The movie was not good."],
        }

    def parts(self) -> Parts:
        tensors = {"seen": self.train_hashes}
        if (phrases := self.network.phrases) is not None:
            tensors["network_phrases"] = phrases
        files = {"vocabulary": self.tokenizer.to_json(), "labels": self.labels.to_json()}
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
        labels = Labels.from_json(parts.files["labels"])
        columns = typed(Columns, parts.settings["columns"], "columns")
        sizes = start_token(tokenizer) + 1, len(labels.classes)
        # one network had no members in elman 0.1.0
        phrases = parts.tensor("network_phrases", torch.int64, 1) if settings.phrase else None
        if phrases is not None:
            check_phrases(phrases, sizes[0])
        network = parts.module(
            "network", lambda: Ensemble(settings, *sizes, labels.several, phrases), FIRST_MEMBER
        )
        baseline: LinearModel | BagOfWords
        blend: Blend | None
        if "blend" in parts.files:
            baseline = LinearModel.restore(parts, len(labels.classes), labels.several)
            blend = Blend.from_json(parts.files["blend"])
        elif labels.several:
            raise ValueError("a model of several labels must have a linear part")
        else:
            baseline, blend = parts.module("baseline", lambda: BagOfWords(*sizes)), None
        return {
            "network": network,
            "baseline": baseline,
            "blend": blend,
            "tokenizer": tokenizer,
            "labels": labels,
            "columns": (columns["text"], columns["label"]),
            "train_hashes": parts.tensor("seen", torch.int64, 1),
        }

    def card(self) -> Card:
        text, label = self.columns
        source, ways = self.source, "both ways" if self.settings.bidirectional else "forwards"
        count = self.settings.networks
        kind = network_phrase(self.settings)
        which = f"The network, {kind}," if count == 1 else f"The mean of {count} networks, each {kind},"
        begun = source.get("pretrained")
        facts = [] if begun is None else [f"It started from a language model of {begun}."]
        facts += [str(self.blend)] if self.blend else []
        if self.labels.several:
            facts.append(
                f"A text has any number of {len(self.labels.classes)} labels: those with a probability of at "
                f"least {self.labels.threshold:.2f}, the threshold of highest micro-F1 on held-out texts."
            )
        return Card(
            title="Text classifier",
            data=f"{source['rows']} rows of {source['source']} (text in `{text}`, label in `{label}`)",
            network=" ".join([f"{which} reads the words {ways}.", *facts]),
            held_out="held-out texts",
            baseline="its two parts" if self.blend else "a feed-forward network on a bag of words",
            usage='model.predict("a text", probabilities=True)',
        )
