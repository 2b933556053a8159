"""Translation of sentences, beside a word-for-word dictionary."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor

from elman import artifact
from elman.data.batches import text_hashes
from elman.data.table.formats import input_lines
from elman.data.text.pairs import read_pairs
from elman.lens.view import View
from elman.tasks.entry import entry, training_entry
from elman.tasks.evaluation import few_note, overlap_note
from elman.tasks.inputs import Texts, as_given, check_count, check_text, looked_at, read_texts
from elman.tasks.pool import Pool
from elman.tasks.settings import split_choices
from elman.tasks.task import Answer, Card, Exported, Parts, Task, network_phrase
from elman.tasks.translate import look
from elman.tasks.translate.baseline import WordDictionary
from elman.tasks.translate.codec import Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.scores import TranslationEvaluation, evaluate
from elman.tasks.translate.search import Translation, segments, translate
from elman.tasks.translate.settings import Settings
from elman.tasks.translate.steps import DecoderSteps
from elman.tasks.translate.stream import TranslationStream
from elman.tasks.translate.train import train

COLUMNS: Final = ("source", "target")  # of a table, where the training data had none
MAX_TRANSLATIONS: Final = 100  # of a text
MAX_ATTENTION_PARTS: Final = 1000  # of a text whose attention stands in JSON


@dataclass(frozen=True)
class TranslationAnswer(Answer):
    """The best translations of a text, best first."""

    best: list[Translation]
    several: bool  # whether more than one was asked for, so that each is listed with its score
    text: str

    def __str__(self) -> str:
        return "\t".join(f"{one.text} {one.score:.3f}" if self.several else one.text for one in self.best)

    def to_dict(self) -> Any:
        values = [_json_values(one) for one in self.best]
        return values if self.several else values[0]

    def cells(self) -> dict[str, Any]:
        texts = [one.text for one in self.best]
        return {"source": self.text, "translation": texts if self.several else texts[0]}


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Translator(Task):
    """A trained translator and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        baseline: a word-for-word dictionary learned from the same pairs.
        codec: sentences ↔ token ids.
        train_hashes: of the training sources, by which `evaluate` finds sentences that it should not score.
    """

    task: ClassVar = "translate"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = TranslationEvaluation
    SCORE: ClassVar = ("bleu", False)
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"source", "target", "skip_bad"}),
        "predict": frozenset({"count", "plot"}),
        "generate": frozenset(),
    }

    network: EncoderDecoder
    settings: Settings
    validation: TranslationEvaluation
    baseline: WordDictionary
    codec: Codec
    train_hashes: Tensor

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any,
        *,
        source: str | None = None,
        target: str | None = None,
        valid: Any = None,
        skip_bad: bool = False,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Translator":
        """Train on pairs of sentences; see `Task` for the common arguments.

        Args:
            data: pairs for `elman.data.text.pairs.read_pairs`: two parallel files as ("a.de",
                "a.en"), lines of sentence, tab, translation, or a table.
            source, target: columns of the sentences and of the translations of a table.
            valid: such data on which to choose the best model, of which at most 2,000 evenly spaced pairs are
                used; if None, a part of the pairs, none of whose source sentences is trained on.
            skip_bad: whether to skip rows that can't be used, with one warning that counts them and names the
                first, rather than to raise DataError for it; refused where they are more than half of all.
        """
        started = monotonic()
        split_choices(settings, Settings)  # before a long file is read
        if folder is not None:
            artifact.check_destination(folder)
        valid_pairs = None if valid is None else read_pairs(valid, source, target, skip_bad)
        pairs = read_pairs(data, source, target, skip_bad)
        trained = train(
            pairs, valid_pairs, settings, started, folder=folder, resume=resume, progress=progress
        )
        origin = {"source": pairs.name, "fingerprint": pairs.fingerprint, "rows": len(pairs)}
        model = cls(
            network=trained.network,
            settings=trained.settings,
            source=origin | ({"columns": pairs.columns} if pairs.columns else {}),
            validation=trained.validation,
            failure=trained.failure,
            baseline=trained.baseline,
            codec=trained.codec,
            train_hashes=trained.train_hashes,
        )
        trained.run.keep(partial(model.save, overwrite=True))
        return model

    @entry
    def evaluate(
        self,
        data: Any,
        *,
        source: str | None = None,
        target: str | None = None,
        skip_bad: bool = False,
    ) -> TranslationEvaluation:
        """Score the translations of other sentences, beside the dictionary's. Every pair counts as a sentence
        with one reference. Raises DataError for files of different length, an empty side, or no pairs.

        Args:
            data, skip_bad: as in `fit`.
            source, target: columns of a table, if they are not those of the training data.
        """
        if source is None and target is None and not isinstance(data, tuple | list):
            source, target = self.source.get("columns", (None, None))
        pairs = read_pairs(data, source, target, skip_bad)
        hashes = text_hashes(pairs.source)
        notes = overlap_note(hashes, self.train_hashes, "sentence") + few_note(len(set(hashes)), "sentence")
        evaluation = evaluate(self.network, self.codec, self.baseline, self.settings, pairs, notes)
        return evaluation.given(data)

    @entry
    def predict(self, data: Any, count: int = 1) -> Any:
        """Return the translation of a text, or the list of those of several; for a frame or column of pandas
        (with its index), polars or Arrow, a column of its library. With a count above 1, return for each text
        the best `count` as [(translation, log-probability), ...], best first.

        Args:
            data: a text; an iterable of texts; a table in memory with the column of sentences; a row of one,
                as a dict; or a `pathlib.Path` to a table or to lines of text.

        Raises UsageError for anything else, or a count out of its range; DataError for a table without the
        column.
        """
        texts, single = self._texts(data)
        translations = self.translate(texts, count)
        if count > 1:
            scored = [[(one.text, one.score) for one in best] for best in translations]
            return scored[0] if single else scored
        _, target = self.source.get("columns", COLUMNS)
        return as_given([best[0].text for best in translations], single, data, target)

    @entry
    def view(self, data: Any) -> View:
        texts = looked_at([text for text in self._texts(data).texts if text.strip()])
        parts = [segments(self.codec, text) for text in texts]
        first = [one[0] for one in parts]
        best = [one[0] for one in self.translate(first)]
        return look.view(self.network, self.codec, first, best, any(len(one) > 1 for one in parts))

    @entry
    def translate(self, texts: Sequence[str], count: int = 1) -> list[list[Translation]]:
        """Return the best `count` translations of each text, with the attention between the parts of both.
        Raises UsageError as `predict` does."""
        check_count(count, most=MAX_TRANSLATIONS)
        return translate(
            self.network,
            self.codec,
            self._texts(texts).texts,
            beam_width=max(self.settings.beam_width, count),
            n_best=count,
            length_penalty=self.settings.length_penalty,
        )

    def generate(self, prompt: str = "") -> Iterator[str]:
        """Yield the greedy translation of a text in pieces, as they are decoded."""
        stream = self.stream()
        stream.push(check_text(prompt, "prompt"))
        return stream.words()

    @entry
    def stream(self) -> TranslationStream:
        """Start a text that arrives in pieces. All of it is kept, to be translated in one search."""
        return self._stream(DecoderSteps(self.network))

    @entry
    def pool(self, capacity: int) -> Pool[TranslationStream]:
        """Return room for many streams that are translated together; `write` takes what `words` of a stream
        does. Raises UsageError for a capacity below 1."""
        steps = DecoderSteps(self.network)
        return Pool(steps, partial(self._stream, steps), capacity)

    def _stream(self, steps: DecoderSteps) -> TranslationStream:
        return TranslationStream(steps, self.codec, self.settings)

    def answers(self, data: Any, *, count: int = 1, plot: Any = None) -> Iterator[TranslationAnswer]:
        """Yield the translations of every line of a file or of standard input, or of a text.

        Args:
            count: translations of each.
            plot: a picture to draw of the attention, .png or .svg; the lines are then one text.

        Raises UsageError if there are no data, or there is no attention to draw.
        """
        self.require_input(data)
        lines: Iterable[str] = input_lines(data) if isinstance(data, str) else self._texts(data).texts
        for line in lines if plot is None else [" ".join(lines)]:
            best = self.translate([line], count)[0]
            if plot is not None:
                best[0].plot(plot)
            yield TranslationAnswer(best, count > 1, line)

    def _texts(self, data: Any) -> Texts:
        return read_texts(data, self.source.get("columns", COLUMNS)[0])

    def graphs(self) -> dict[str, Exported]:
        from elman.tasks.translate.export import decoder_graph, encoder_graph

        inputs = {"codec": self.codec.to_json()}
        return {
            "": Exported(encoder_graph(self.network), inputs),
            "step": Exported(decoder_graph(self.network), inputs),
        }

    def facts(self) -> dict[str, Any]:
        source, target = self.source.get("columns", COLUMNS)
        return {"source": source, "target": target, "stream": True, "examples": []}

    def parts(self) -> Parts:
        return Parts(
            modules={"network": self.network},
            tensors={"seen": self.train_hashes},
            files={"subwords": self.codec.to_json(), "dictionary": self.baseline.to_json()},
        )

    @classmethod
    def restore(cls, settings: Settings, parts: Parts) -> dict[str, Any]:
        codec = Codec.from_json(parts.files["subwords"])
        if settings.shared_vocabulary and codec.source is not codec.target:
            raise ValueError("the sides share their vocabulary, but have two")
        saved_names = {"asking": "query_rnn", "going_on": "output_rnn"}
        return {
            "network": parts.module("network", lambda: EncoderDecoder(settings, *codec.sizes), saved_names),
            "baseline": WordDictionary.from_json(parts.files["dictionary"]),
            "codec": codec,
            "train_hashes": parts.tensor("seen", torch.int64, 1),
        }

    def card(self) -> Card:
        source, target = len(self.codec.source), len(self.codec.target)
        subwords = f"{source} shared" if self.settings.shared_vocabulary else f"{source} and {target}"
        return Card(
            title="Translator",
            data=f"{self.source['rows']} pairs of {self.source['source']}",
            network=f"An encoder and a decoder with attention, {network_phrase(self.settings)}, "
            f"{subwords} subwords.",
            held_out="held-out pairs",
            baseline="a word-for-word dictionary (IBM model 1) learned from the same pairs",
            usage='model.predict("a sentence")',
        )


def _json_values(one: Translation) -> dict[str, Any]:
    attention = None  # of a long text, the square of its length
    if max(len(one.source), len(one.target)) <= MAX_ATTENTION_PARTS:
        weights = [[round(weight, 4) for weight in row] for row in one.attention.tolist()]
        attention = {"source": list(one.source), "target": list(one.target), "weights": weights}
    return {"translation": one.text, "score": one.score, "attention": attention}
