"""Translation: sentences of one language into those of another. Beside every score stands a word-for-word
dictionary."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from elman import artifact
from elman.artifact import Artifact
from elman.data.batches import marks
from elman.data.table.formats import given_lines
from elman.data.text.pairs import Pairs, read_pairs
from elman.errors import ArtifactError, TrainingError, UsageError
from elman.tasks import settings as dials
from elman.tasks.translate.baseline import WordDictionary
from elman.tasks.translate.codec import Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.problem import (
    FAR,
    LONGEST,
    MOST_HELD_OUT,
    Translation,
    divided,
    encoded,
    finite,
    nats,
    not_endless,
    short_enough,
    spread,
)
from elman.tasks.translate.scores import Evaluation, notes_for, scored
from elman.tasks.translate.search import Translated, translate
from elman.tasks.translate.settings import Settings, defaults
from elman.tasks.translate.stream import TranslationStream
from elman.training.loop import Run
from elman.training.progress import watch
from elman.version import __version__

CHOSEN_ON: Final = 500  # pairs that are translated after each epoch
MOST: Final = 100  # translations of a text

CARD: Final = """# Translator

Trained by elman {version} on {pairs} pairs of {source}.
An encoder and a decoder with attention, {cell} of {hidden} units, {subwords} subwords.

Scores on held-out pairs, on which the best model was chosen. Beside the network stands the plain baseline, a
word-for-word dictionary (IBM model 1) learned from the same pairs.

```
{scores}
```

```python
import elman

model = elman.load("this folder")
model.predict("a sentence")
```
"""


@dataclass(frozen=True, eq=False)
class Translator:
    """A trained translator and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        network: in eval mode.
        codec: sentences ↔ token ids.
        dictionary: the baseline.
        seen: marks of the training sources, by which `evaluate` finds sentences that it should not score.
        source: name, fingerprint and number of the training pairs.
        validation: scores on the held-out pairs on which the best model was chosen.
        failure: why `fit` had to stop after the best model, such as a loss of NaN; None in a loaded model.
    """

    task: ClassVar = "translate"

    network: EncoderDecoder
    codec: Codec
    dictionary: WordDictionary
    settings: Settings
    seen: Tensor
    source: dict[str, Any]
    validation: Evaluation
    failure: TrainingError | None = None

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        source: str | None = None,
        target: str | None = None,
        valid: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Translator":
        """Train on pairs of sentences.

        Args:
            data: whatever `read_pairs` takes: two parallel files as ("a.de", "a.en"), lines
                of sentence, tab, translation, or a table.
            source, target: columns of the sentences and of the translations, where data is a table.
            valid: such data on which to choose the best model (of more than 2,000 pairs, so many, evenly
                spread); if None, a part of the pairs, none of whose source sentences is trained on.
            folder: where the run's metrics and checkpoints, and then the model are saved.
            resume: go on with the run in `folder`.
            settings: fields of `Settings` and of `elman.training.loop.Plan`.

        Raises:
            DataError: files of different length, an empty side, too few pairs.
            UsageError: a setting that isn't there, or a value that can't be.
            TrainingError: the loss became NaN or infinite, or there is no run to resume.
        """
        chosen, plan = dials.split(settings, Settings)  # what is wrong is said before a long file is read
        if folder is not None:
            artifact.check_place(folder)
        checked = None if valid is None else read_pairs(valid, source, target)
        whole = read_pairs(data, source, target)
        pairs, held_out = divided(whole, plan.seed) if checked is None else (whole, checked)
        pairs, endless = not_endless(pairs)
        _, plan = dials.split(settings, Settings, defaults(len(pairs), settings))
        codec = Codec.learned(pairs.source, pairs.target, chosen.vocabulary, chosen.joint)
        train, left_out = short_enough(encoded(codec, pairs), whole.name)
        held_out = spread(held_out, MOST_HELD_OUT)
        shown = spread(held_out, CHOSEN_ON)
        problem = Translation(
            train,
            finite(encoded(codec, held_out)),
            chosen.smoothing,
            plan,
            partial(_chrf, codec=codec, pairs=shown),
        )
        torch.manual_seed(plan.seed)
        network = chosen.make_network(codec.sources, codec.targets)
        valid_on = checked.fingerprint if checked else None
        identity = {"settings": asdict(chosen), "data": whole.fingerprint, "valid": valid_on}
        run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
        dictionary = WordDictionary.fit(pairs.source, pairs.target)
        outcome = watch(run, progress, "network")
        network.eval()
        seen = torch.tensor(sorted(set(marks(pairs.source))))
        notes: tuple[str, ...] = (outcome.stopped,) if outcome.error else ()
        left = endless + left_out
        if left:
            notes += (f"{left} pairs of more than {LONGEST} tokens were not trained on",)
        validation = _evaluated(network, codec, dictionary, chosen, held_out, seen, notes)
        network.cpu()  # where single sentences are translated soonest
        described = {"source": whole.name, "fingerprint": whole.fingerprint, "rows": len(whole)}
        described |= {"columns": list(whole.columns)} if whole.columns else {}
        model = cls(network, codec, dictionary, chosen, seen, described, validation, outcome.error)
        run.keep(model.save)
        return model

    def evaluate(self, data: Any, *, source: str | None = None, target: str | None = None) -> Evaluation:
        """BLEU and chrF of the translations of other sentences, beside the dictionary's. Every pair counts
        as a sentence with one reference.

        Args:
            data, source, target: as in `fit`; a table's columns are those of the training, if not named.

        Raises:
            DataError: files of different length, an empty side, no pairs.
        """
        if source is None and target is None and not isinstance(data, tuple | list):
            source, target = self.source.get("columns", (None, None))
        pairs = read_pairs(data, source, target)
        return _evaluated(self.network, self.codec, self.dictionary, self.settings, pairs, self.seen, ())

    def predict(self, texts: Any, count: int = 1) -> Any:
        """The translation of a text, or the list of those of several. With a count above 1 instead of each
        the best so many, as [(translation, sum of ln p of its tokens), ...], best first.

        Raises:
            UsageError: a text that is not a string, or a count below 1.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        found = self.translate(several, count)
        answers: list[Any] = [
            [(one.text, one.score) for one in best] if count > 1 else best[0].text for best in found
        ]
        return answers[0] if isinstance(texts, str) else answers

    def translate(self, texts: Sequence[str], count: int = 1) -> list[list[Translated]]:
        """The best `count` translations of each text, with the attention between the parts of both."""
        if not isinstance(count, int) or not 1 <= count <= MOST:
            raise UsageError(f"count must be a whole number from 1 to {MOST}, not {count!r}")
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise UsageError(f"text {i} to translate must be a string, not {type(text).__name__}")
        return translate(
            self.network,
            self.codec,
            texts,
            width=max(self.settings.width, count),
            n_best=count,
            length_penalty=self.settings.length_penalty,
        )

    def generate(self, prompt: str) -> Iterator[str]:
        """The translation of a text in pieces as they are decoded, each the likeliest after those before."""
        stream = self.stream()
        stream.push(prompt)
        return stream.words()

    def stream(self) -> TranslationStream:
        """A text as it is typed, to be translated word by word."""
        return TranslationStream(self.network, self.codec, self.settings)

    def report(self, data: Any, *, plot: Any = None, as_json: bool = False, count: int = 1) -> Iterator[str]:
        """The translation of a text, or of every line of a file or of standard input ("-"); `plot` draws the
        attention of a single text."""
        if data is None:
            raise UsageError(
                "a translator needs something to translate: a text, a file, or - for standard input"
            )
        lines: Iterable[str] = given_lines(str(data))
        if plot is not None:
            lines = [" ".join(lines)]
            self.translate(lines)[0][0].draw(plot)
        for line in lines:
            best = self.translate([line], count)[0]
            if as_json:
                record = [
                    {"translation": one.text, "score": one.score, "attention": _rounded(one)} for one in best
                ]
                yield json.dumps(record[0] if count == 1 else record, ensure_ascii=False)
            else:
                yield "\t".join(one.text if count == 1 else f"{one.text} {one.score:.3f}" for one in best)

    # ---- on disk

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder that `elman.load` reads. Raises UsageError if the place is taken."""
        saved = Artifact(
            task=self.task,
            settings=asdict(self.settings),
            tensors={f"network.{name}": value for name, value in self.network.state_dict().items()}
            | {"seen": self.seen},
            extras={"subwords": self.codec.to_json(), "dictionary": self.dictionary.to_json()},
            scores=self.validation.to_dict(),
            data=self.source,
            card=self._card(),
        )
        artifact.save(saved, folder)

    @classmethod
    def from_artifact(cls, saved: Artifact) -> "Translator":
        """The translator that `save` wrote. Raises ArtifactError if its parts don't fit each other."""
        try:
            settings = Settings(**saved.settings)
            codec = Codec.from_json(saved.extras["subwords"])
            network = settings.make_network(codec.sources, codec.targets)
            weights = {k.removeprefix("network."): v for k, v in saved.tensors.items() if k != "seen"}
            network.load_state_dict(weights)
            dictionary = WordDictionary.from_json(saved.extras["dictionary"])
            validation, seen = Evaluation.from_dict(saved.scores), saved.tensors["seen"]
        except (KeyError, TypeError, RuntimeError, UsageError) as error:
            raise ArtifactError(f"the parts of the model don't fit each other: {error}") from error
        return cls(network.eval(), codec, dictionary, settings, seen, saved.data, validation)

    def _card(self) -> str:
        settings = self.settings
        return CARD.format(
            version=__version__,
            pairs=self.source["rows"],
            source=self.source["source"],
            cell=settings.cell,
            hidden=settings.hidden,
            subwords=f"{len(self.codec.source)} joint"
            if settings.joint
            else f"{len(self.codec.source)} and {len(self.codec.target)}",
            scores=self.validation,
        )


def _chrf(network: EncoderDecoder, codec: Codec, pairs: Pairs) -> float:
    """Of the likeliest words one after the other: quicker than the beam, and it picks the same model."""
    found = translate(network, codec, pairs.source, width=1)
    return scored([best[0].text for best in found], pairs.target)[0].chrf


def _evaluated(
    network: EncoderDecoder,
    codec: Codec,
    dictionary: WordDictionary,
    settings: Settings,
    pairs: Pairs,
    seen: Tensor,
    notes: tuple[str, ...],
) -> Evaluation:
    found = translate(
        network, codec, pairs.source, width=settings.width, length_penalty=settings.length_penalty
    )
    ours, signatures = scored([best[0].text for best in found], pairs.target)
    plain, _ = scored([dictionary.translate(text) for text in pairs.source], pairs.target)
    known = set(seen.tolist())
    if shared := sum(mark in known for mark in marks(pairs.source)):
        notes += (f"{shared} of these {len(pairs)} sentences were trained on, which flatters both scores",)
    notes += notes_for(ours, plain)
    scored_pairs = finite(encoded(codec, pairs))
    if left := len(pairs) - len(scored_pairs):
        notes += (f"{left} pairs of more than {FAR} tokens are left out of the perplexity",)
    found_nats = nats(network, scored_pairs)
    perplexity = math.exp(min(found_nats, 700)) if scored_pairs else None
    return Evaluation(ours, plain, perplexity, len(pairs), signatures, notes)


def _rounded(one: Translated) -> dict[str, Any]:
    """The attention as JSON values."""
    weights = [[round(w, 4) for w in row] for row in one.attention.tolist()]
    return {"source": list(one.source), "target": list(one.target), "weights": weights}
