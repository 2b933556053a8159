"""Next-word prediction and text generation. Beside every score stands that of an n-gram."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch

from elman import artifact
from elman.artifact import Artifact
from elman.data.table.formats import given_lines
from elman.data.text.corpus import is_table, read_corpus, read_ids
from elman.data.text.vocabulary import vocabulary_from_json
from elman.errors import ArtifactError, DataError, TrainingError, UsageError
from elman.tasks import settings as dials
from elman.tasks.generate.baseline import NGram
from elman.tasks.generate.cache import Blend, tuned
from elman.tasks.generate.network import Writer
from elman.tasks.generate.problem import NextToken
from elman.tasks.generate.scores import Evaluation, evaluate
from elman.tasks.generate.settings import ORDERS, Settings, defaults
from elman.tasks.generate.stream import LanguageStream
from elman.training.loop import Run
from elman.training.progress import watch
from elman.version import __version__

# So many tokens of the training text's end make the n-gram.
COUNTED: Final = 2_000_000

CARD: Final = """# Language model

Trained by elman {version} on {data}.
The network, {cell}, reads the text by the {kind}.

Scores on the held-out text, on which the best model was chosen. Beside the network stands the plain baseline,
an interpolated Kneser-Ney n-gram{kept}.

```
{scores}
```

```python
import elman

model = elman.load("this folder")
model.predict("a text that goes")           # likeliest next words
print("".join(model.generate("a text ")))    # text that goes on
```
"""


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A trained language model and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        network: in eval mode.
        vocabulary: text → tokens → text.
        counted: ids of the text that the n-gram is made of, (N,); empty without.
        blend: how the cache of `adapt` is mixed in.
        source: name, fingerprint and size of the training data.
        validation: scores on the held-out text on which the best model was chosen.
        failure: why `fit` had to stop after the best model, such as a loss of NaN; None in a loaded model.
    """

    task: ClassVar = "generate"

    network: Writer
    vocabulary: Any
    settings: Settings
    counted: torch.Tensor
    blend: Blend
    source: dict[str, Any]
    validation: Evaluation
    failure: TrainingError | None = None

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        text: str | None = None,
        valid: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "LanguageModel":
        """Train on a running text, or on a table's column of texts.

        Args:
            data: a text file, "-" for standard input, or whatever `elman.data.table.table.read_table` takes.
            text: the column of the texts, where data is a table.
            valid: such data on which to choose the best model; if None, the last tenth of the text.
            folder: where the run's metrics and checkpoints, and then the model are saved.
            resume: go on with the run in `folder`.
            settings: fields of `Settings` and of `elman.training.loop.Plan`.

        Raises:
            DataError: no text, too little, or not UTF-8.
            UsageError: a setting that isn't there, or a value that can't be.
            TrainingError: the loss became NaN or infinite, or there is no run to resume.
        """
        asked, _ = dials.split(settings, Settings)
        if folder is not None:
            artifact.check_place(folder)
        corpus = read_corpus(
            data,
            valid=valid,
            text=text,
            tokens=asked.tokens,
            size=asked.vocabulary,
            min_count=asked.min_count,
        )
        chosen, plan = dials.split(settings, Settings, defaults(len(corpus.train), settings))
        kind = corpus.vocabulary.kind
        problem = NextToken(
            corpus.train, corpus.held_out, chosen.steps, chosen.activation, chosen.slowness, plan
        )
        torch.manual_seed(plan.seed)
        network = chosen.make_network(len(corpus.vocabulary))
        identity = {"settings": asdict(chosen), "data": corpus.source["fingerprint"]}
        identity |= {"valid": corpus.source.get("valid")}
        run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
        outcome = watch(run, progress, "network")
        network.eval()
        end = np.asarray(corpus.train[-COUNTED:]).astype(np.int32)
        notes = (outcome.stopped,) if outcome.error else ()
        baseline = NGram.fit(end, len(corpus.vocabulary), ORDERS[kind])
        validation = evaluate(
            network, baseline, corpus.held_out, corpus.characters_held_out, corpus.vocabulary, notes
        )
        counted = torch.from_numpy(end if chosen.keep_baseline else end[:0])
        blend = tuned(network, corpus.held_out)
        source = corpus.source | ({} if text is None else {"column": text})
        network.cpu()  # where single steps are taken soonest
        model = cls(network, corpus.vocabulary, chosen, counted, blend, source, validation, outcome.error)
        run.keep(model.save)
        return model

    def evaluate(self, data: Any, *, text: str | None = None, adapt: bool = False) -> Evaluation:
        """Score on another text, beside the n-gram: every token is foretold from all before it.

        Args:
            data, text: as in `fit`; a table's column is that of the training, if it is not named.
            adapt: with the cache of the words just read.

        Raises:
            DataError: no text, or not UTF-8.
        """
        column = self.source.get("column") if text is None and is_table(data) else text
        ids, characters, fingerprint = read_ids(data, self.vocabulary, text=column)
        if len(ids) < 2:
            raise DataError(f"{data} holds {len(ids)} tokens; a text to score needs at least 2")
        blend = self.blend if adapt else None
        known = (fingerprint, column) == (self.source["fingerprint"], self.source.get("column"))
        notes = ("this text was trained on, which flatters both scores",) if known else ()
        return evaluate(self.network, self._baseline(), ids, characters, self.vocabulary, notes, blend)

    def predict(self, texts: Any, count: int = 5) -> Any:
        """The likeliest next words after a text, as [(word, probability), ...], best first; for several
        texts a list of such lists. The last word of a text counts as complete.

        Raises:
            UsageError: a text that is not a string, or a count below 1.
        """
        if not isinstance(count, int) or count < 1:
            raise UsageError(f"count must be a whole number of at least 1, not {count!r}")
        several = [texts] if isinstance(texts, str) else list(texts)
        answers = []
        for i, text in enumerate(several):
            if not isinstance(text, str):
                raise UsageError(f"text {i} to predict must be a string, not {type(text).__name__}")
            stream = self.stream()
            stream.push(text + " " if text.strip() and not text[-1].isspace() else text)
            answers.append(stream.result(count))
        return answers[0] if isinstance(texts, str) else answers

    def generate(self, prompt: str = "", length: int = 500, **options: Any) -> Iterator[str]:
        """Text that goes on from a prompt, in pieces as they come; `options` as in
        `LanguageStream.generate`."""
        stream = self.stream()
        stream.push(prompt)
        return stream.generate(length, **options)

    def stream(self, adapt: bool = False, saved: str | Path | None = None) -> LanguageStream:
        """A text as it is typed, with the next words at any time, in constant memory.

        Args:
            adapt: learn the words just read: they come again sooner.
            saved: a file that an earlier stream of this model was saved in, to go on from.
        """
        stream = LanguageStream(self.network, self.vocabulary, self.blend if adapt else None)
        if saved is not None:
            stream.load(saved)
        return stream

    def report(self, data: Any, *, plot: Any = None, as_json: bool = False, count: int = 5) -> Iterator[str]:
        """The likeliest next words after a text; after every line of a file, or of standard input ("-")."""
        if data is None:
            raise UsageError("a language model needs a text to go on from, or - for standard input")
        if plot is not None:
            raise UsageError("a language model draws no plot: leave plot out")
        for line in given_lines(str(data)):
            words = self.predict(line, count)
            if as_json:
                yield json.dumps(
                    {"next": [{"word": w, "probability": p} for w, p in words]}, ensure_ascii=False
                )
            else:
                yield "\t".join(f"{word} {p:.4f}" for word, p in words)

    # ---- on disk

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder that `elman.load` reads. Raises UsageError if the place is taken."""
        saved = Artifact(
            task=self.task,
            settings=asdict(self.settings) | {"blend": asdict(self.blend)},
            tensors={f"network.{name}": value for name, value in self.network.state_dict().items()}
            | {"counted": self.counted},
            extras={"vocabulary": self.vocabulary.to_json()},
            scores=self.validation.to_dict(),
            data=self.source,
            card=self._card(),
        )
        artifact.save(saved, folder)

    @classmethod
    def from_artifact(cls, saved: Artifact) -> "LanguageModel":
        """The model that `save` wrote. Raises ArtifactError if its parts don't fit each other."""
        try:
            settings = Settings(**{k: v for k, v in saved.settings.items() if k != "blend"})
            blend = Blend(**saved.settings["blend"])
            vocabulary = vocabulary_from_json(saved.extras["vocabulary"])
            network = settings.make_network(len(vocabulary))
            weights = {k.removeprefix("network."): v for k, v in saved.tensors.items() if k != "counted"}
            network.load_state_dict(weights)
            validation = Evaluation.from_dict(saved.scores)
            counted = saved.tensors["counted"]
        except (KeyError, TypeError, RuntimeError, UsageError) as error:
            raise ArtifactError(f"the parts of the model don't fit each other: {error}") from error
        return cls(network.eval(), vocabulary, settings, counted, blend, saved.data, validation)

    def _baseline(self) -> NGram | None:
        if not len(self.counted):
            return None
        return NGram.fit(self.counted.numpy(), len(self.vocabulary), ORDERS[self.vocabulary.kind])

    def _card(self) -> str:
        settings, source = self.settings, self.source
        kept = (
            f" of the text's last {len(self.counted)} tokens, which this folder holds"
            if len(self.counted)
            else ""
        )
        return CARD.format(
            version=__version__,
            data=f"{source['characters']} characters of {source['source']}",
            cell=f"{settings.cell} of {settings.hidden} units, {settings.layers} layer(s)",
            kind=self.vocabulary.kind,
            kept=kept,
            scores=self.validation,
        )
