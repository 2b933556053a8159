"""Next-word prediction and text generation, beside an n-gram."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from elman import artifact
from elman.data.table.formats import input_lines
from elman.data.text.corpus import read_corpus, read_ids
from elman.data.text.sources import is_table_path
from elman.data.text.vocabulary import AnyVocabulary, token_patterns, vocabulary_from_json
from elman.errors import DataError, counted
from elman.lens.view import View
from elman.tasks.entry import entry, training_entry
from elman.tasks.generate import look
from elman.tasks.generate.baseline import NGram, ngram_of
from elman.tasks.generate.cache import Blend
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.next_words import Words
from elman.tasks.generate.scores import LanguageEvaluation, evaluate
from elman.tasks.generate.settings import Settings
from elman.tasks.generate.steps import LanguageSteps
from elman.tasks.generate.stream import LanguageStream
from elman.tasks.generate.train import train
from elman.tasks.inputs import check_count, check_text, looked_at, read_texts
from elman.tasks.pool import Pool
from elman.tasks.settings import split_choices
from elman.tasks.task import Answer, Card, Exported, Parts, Task, network_phrase
from elman.typed import typed


@dataclass(frozen=True)
class NextWords(Answer):
    """The likeliest next words after a text, best first, with their probabilities."""

    words: Words
    text: str

    def __str__(self) -> str:
        return "\t".join(f"{word} {p:.4f}" for word, p in self.words)

    def to_dict(self) -> dict[str, Any]:
        return {"next": [{"word": word, "probability": p} for word, p in self.words]}

    def cells(self) -> dict[str, Any]:
        words, shares = zip(*self.words, strict=True) if self.words else ((), ())
        return {"text": self.text, "next": list(words), "probability": list(shares)}


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LanguageModel(Task):
    """A trained language model and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        vocabulary: text ↔ token ids.
        ngram_tokens: ids (N,) of the text from which the baseline is made; empty if saved without.
        blend: how the cache of `adapt` is mixed in.
    """

    task: ClassVar = "generate"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = LanguageEvaluation
    SCORE: ClassVar = ("bits", True)
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"text", "adapt", "skip_bad"}),
        "predict": frozenset({"count"}),
        "generate": frozenset({"length", "temperature", "top_k", "top_p", "seed", "stop"}),
    }
    SAVED_BESIDE: ClassVar = frozenset({"blend"})

    network: LanguageNet
    settings: Settings
    validation: LanguageEvaluation
    vocabulary: AnyVocabulary
    ngram_tokens: Tensor
    blend: Blend

    @cached_property
    def baseline(self) -> NGram | None:
        """An interpolated Kneser–Ney n-gram; None if the model was saved without."""
        return ngram_of(self.ngram_tokens.numpy(), self.vocabulary) if len(self.ngram_tokens) else None

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any,
        *,
        text: str | None = None,
        valid: Any = None,
        skip_bad: bool = False,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "LanguageModel":
        """Train on a running text, or on a table's column of texts; see `Task` for the common arguments.

        Args:
            data: a text file, "-" for standard input, or a table for `elman.data.table.table.read_table`.
            text: name of the column of texts, if `data` is a table.
            valid: such data on which to choose the best model; if None, the last tenth of the text.
            skip_bad: whether to skip rows that can't be used, with one warning that counts them and names the
                first, rather than to raise DataError for it; refused where they are more than half of all.
        """
        started = monotonic()
        chosen, _ = split_choices(settings, Settings)  # before a long file is read
        if folder is not None:
            artifact.check_destination(folder)
        corpus = read_corpus(
            data,
            valid=valid,
            text=text,
            tokens=chosen.tokenizer,  # type: ignore[arg-type]  # one of the kinds
            size=chosen.vocabulary,
            min_count=chosen.min_count,
            skip_bad=skip_bad,
        )
        trained = train(corpus, settings, started, folder=folder, resume=resume, progress=progress)
        model = cls(
            network=trained.network,
            settings=trained.settings,
            source=corpus.source | ({} if text is None else {"column": text}),
            validation=trained.validation,
            failure=trained.failure,
            vocabulary=corpus.vocabulary,
            ngram_tokens=trained.ngram_tokens,
            blend=trained.blend,
        )
        trained.run.keep(partial(model.save, overwrite=True))
        return model

    @entry
    def evaluate(
        self, data: Any, *, text: str | None = None, adapt: bool = False, skip_bad: bool = False
    ) -> LanguageEvaluation:
        """Score on another text, beside the n-gram: every token given all tokens before it.

        Args:
            data, skip_bad: as for `fit`.
            text: name of a table's column of texts, if it is not that of the training data.
            adapt: with the cache of recent words.

        Raises DataError if there is no text, or none in UTF-8.
        """
        column = self.source.get("column") if text is None and is_table_path(data) else text
        ids, characters, fingerprint = read_ids(data, self.vocabulary, text=column, skip_bad=skip_bad)
        if len(ids) < 2:
            raise DataError(f"{data} holds {counted(len(ids), 'token')}; a text to score needs at least 2")
        same = (fingerprint, column) == (self.source["fingerprint"], self.source.get("column"))
        notes = ("this text was trained on, which flatters both scores",) if same else ()
        blend = self.blend if adapt else None
        scored = evaluate(self.network, self.baseline, ids, characters, self.vocabulary, notes, blend)
        return scored.given(data)

    @entry
    def predict(self, data: Any, count: int = 5) -> Any:
        """Return the likeliest next words after a text, as [(word, probability), ...], best first; for
        several texts, the list of such lists. The last word of a text counts as complete.

        Args:
            data: a text; an iterable of texts; a table in memory with the column of texts; a row of one, as a
                dict; or a `pathlib.Path` to a table or to lines of text.

        Raises UsageError for anything else, or a count below 1; DataError for a table without the column.
        """
        check_count(count)
        texts, single = read_texts(data, self.source.get("column", "text"))
        answers, steps = [], LanguageSteps(self.network)
        for text in texts:
            stream = self._stream(steps)
            stream.push(text + " " if text.strip() and not text[-1].isspace() else text)
            answers.append(stream.result(count))
        return answers[0] if single else answers

    def generate(self, prompt: str = "", length: int = 500, **options: Any) -> Iterator[str]:
        """Yield text after a prompt, piece by piece; `options` as for `LanguageStream.generate`."""
        stream = self.stream()
        stream.push(check_text(prompt, "prompt"))
        return stream.generate(length, **options)

    @entry
    def view(self, data: Any) -> View:
        texts = looked_at(read_texts(data, self.source.get("column", "text")).texts)
        likeliest = [", ".join(f"{word} ({p:.0%})" for word, p in words) for words in self.predict(texts, 3)]
        return look.view(self.network, self.vocabulary, texts, likeliest)

    @entry
    def order_scores(self, data: Any) -> Any:
        """Return what `elman.lens.order` takes: a function from contexts of 32 tokens to the mean
        log-probability of the token after each, and the contexts of a text, which is as for `evaluate`."""
        ids, _, _ = read_ids(data, self.vocabulary, text=self.source.get("column"))
        return look.order_scores(self.network, ids.tolist())

    @entry
    def stream(self, adapt: bool = False, saved: str | Path | None = None) -> LanguageStream:
        """Start a text that is typed, with the next words at any time, in constant memory.

        Args:
            adapt: make recent words likelier.
            saved: a file in which a stream of this model was saved, to continue.
        """
        return self._stream(LanguageSteps(self.network), adapt, saved)

    @entry
    def pool(self, capacity: int) -> Pool[LanguageStream]:
        """Return room for many streams that advance together; `open` takes the options of `stream`, `write`
        those of `LanguageStream.generate`. Raises UsageError for a capacity below 1."""
        steps = LanguageSteps(self.network)
        return Pool(steps, partial(self._stream, steps), capacity)

    def _stream(
        self, steps: LanguageSteps, adapt: bool = False, saved: str | Path | None = None
    ) -> LanguageStream:
        stream = LanguageStream(steps, self.vocabulary, self.blend if adapt else None)
        if saved is not None:
            stream.load(saved)
        return stream

    def answers(self, data: Any, *, count: int = 5) -> Iterator[NextWords]:
        """Yield the likeliest next words after a text; or after every line of a file, or of standard input.
        Raises UsageError if there are no data."""
        self.require_input(data)
        lines = (
            input_lines(data)
            if isinstance(data, str)
            else read_texts(data, self.source.get("column", "text")).texts
        )
        for line in lines:
            yield NextWords(self.predict(line, count), line)

    def graphs(self) -> dict[str, Exported]:
        from elman.tasks.generate.export import language_graph

        inputs = {"vocabulary": self.vocabulary.to_json()} | token_patterns(self.vocabulary.kind)
        return {word: Exported(language_graph(self.network, bool(word)), inputs) for word in ("", "step")}

    def facts(self) -> dict[str, Any]:
        return {
            "tokens": self.vocabulary.kind,
            "vocabulary": len(self.vocabulary),
            "stream": True,
            "examples": [""],
        }

    def parts(self) -> Parts:
        return Parts(
            modules={"network": self.network},
            tensors={"counted": self.ngram_tokens},
            files={"vocabulary": self.vocabulary.to_json()},
            settings={"blend": asdict(self.blend)},
        )

    @classmethod
    def restore(cls, settings: Settings, parts: Parts) -> dict[str, Any]:
        vocabulary = vocabulary_from_json(parts.files["vocabulary"])
        tokens = parts.tensor("counted", torch.int32, 1)
        if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < len(vocabulary):
            raise ValueError("the n-gram's tokens are not of the vocabulary")
        return {
            "network": parts.module("network", lambda: LanguageNet(settings, len(vocabulary))),
            "vocabulary": vocabulary,
            "ngram_tokens": tokens,
            "blend": typed(Blend, parts.settings["blend"], "blend"),
        }

    def card(self) -> Card:
        kind, count = self.vocabulary.kind, len(self.ngram_tokens)
        of = f" of the text's last {counted(count, 'token')}, which this folder holds" if count else ""
        return Card(
            title="Language model",
            data=f"{self.source['characters']} characters of {self.source['source']}",
            network=f"The network, {network_phrase(self.settings)}, predicts {kind} tokens.",
            held_out="the held-out text",
            baseline=f"an interpolated Kneser-Ney n-gram{of}",
            usage='model.predict("a text that")               # likeliest next words\n'
            'print("".join(model.generate("a text ")))  # a continuation',
        )
