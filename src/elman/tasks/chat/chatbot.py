"""A chatbot: turns of a conversation in, replies out. Beside every score stands retrieval, which answers with
the reply that was once given to the nearest text."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final

import torch

from elman import artifact
from elman.artifact import Artifact
from elman.data.batches import normal, split_groups
from elman.data.table.formats import given_lines
from elman.data.text.conversations import Conversation, read_conversations
from elman.errors import ArtifactError, DataError, TrainingError, UsageError
from elman.tasks import settings as dials
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.judge import asked, evaluate
from elman.tasks.chat.scores import Evaluation
from elman.tasks.chat.settings import Settings, defaults
from elman.tasks.chat.speaker import Speaker
from elman.tasks.chat.stream import ChatStream
from elman.tasks.generate.network import Writer
from elman.tasks.generate.problem import NextToken
from elman.training.loop import Run
from elman.training.progress import watch
from elman.version import __version__

HELD_OUT: Final = 0.1  # share of the conversations on which the best model is chosen
FEWEST: Final = 10
BEGINNING: Final = 2  # turns by which conversations are told apart
JUDGED: Final = {"replies": 200, "talks": 5}  # at the end of a training
REMEMBERED: Final = 100_000  # pairs behind the baseline
NO_REPLY: Final = "holds no turn of the assistant after one of the user."

CARD: Final = """# Chatbot

Trained by elman {version} on {count} conversations of {source}.
The network, {cell} of {hidden} units, carries the whole conversation in its state.

Scores on held-out conversations, on which the best model was chosen. Beside the network stands the plain
baseline, which gives the reply to the nearest training text{kept}.

```
{scores}
```

```python
import elman

model = elman.load("this folder")
model.predict("Hello!")
```
"""


@dataclass(frozen=True, eq=False)
class Chatbot:
    """A trained chatbot and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        network: in eval mode.
        codec: conversations ↔ token ids.
        pairs: what was said and the reply to it, behind the baseline; empty without.
        source: name, fingerprint and number of the training conversations.
        validation: scores on the held-out conversations on which the best model was chosen.
        failure: why `fit` had to stop after the best model, such as a loss of NaN; None in a loaded model.
    """

    task: ClassVar = "chat"

    network: Writer
    codec: Codec
    settings: Settings
    pairs: tuple[list[str], list[str]]
    source: dict[str, Any]
    validation: Evaluation
    failure: TrainingError | None = None

    @classmethod
    def fit(
        cls,
        data: Any,
        *,
        valid: Any = None,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Chatbot":
        """Train on conversations.

        Args:
            data: whatever `read_conversations` takes: JSONL of messages, or lines of
                question, tab, answer.
            valid: such data on which to choose the best model; if None, a tenth of the conversations.
            folder: where the run's metrics and checkpoints, and then the model are saved.
            resume: go on with the run in `folder`.
            settings: fields of `Settings` and of `elman.training.loop.Plan`.

        Raises:
            DataError: something in the data is wrong, or there are too few conversations.
            UsageError: a setting that isn't there, or a value that can't be.
            TrainingError: the loss became NaN or infinite, or there is no run to resume.
        """
        wanted, plan = dials.split(settings, Settings)  # what is wrong is said before a long file is read
        if folder is not None:
            artifact.check_place(folder)
        given = None if valid is None else read_conversations(valid)
        checked = None if given is None else given.all
        whole = read_conversations(data)
        train, held_out = (
            (whole.all, checked) if checked is not None else _divided(whole.all, whole.name, plan.seed)
        )
        contexts, replies = _pairs(train)
        if not replies:
            raise DataError(f"{whole.name} {NO_REPLY}")
        if not asked(held_out):
            held_out_of = f"the tenth of {whole.name} that is held out" if given is None else given.name
            raise DataError(f"{held_out_of} {NO_REPLY}")
        codec = Codec.learned(train, wanted.vocabulary)
        ids = codec.running(train)
        chosen, plan = dials.split(settings, Settings, defaults(len(ids), settings))
        problem = NextToken(ids, codec.running(held_out), chosen.steps, 0.0, 0.0, plan)
        torch.manual_seed(plan.seed)
        network = chosen.make_network(len(codec))
        valid_on = given.fingerprint if given else None
        identity = {"settings": asdict(chosen), "data": whole.fingerprint, "valid": valid_on}
        run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
        outcome = watch(run, progress, "network")
        network.eval().cpu()  # where single steps are taken soonest
        notes = (outcome.stopped,) if outcome.error else ()
        retrieval = Retrieval.fit(contexts, replies, REMEMBERED)
        validation = evaluate(Speaker(network, codec, chosen), retrieval, held_out, notes, **JUDGED)
        source = {"source": whole.name, "fingerprint": whole.fingerprint, "rows": len(whole)}
        pairs = (retrieval.contexts, retrieval.replies) if chosen.keep_baseline else ([], [])
        model = cls(network, codec, chosen, pairs, source, validation, outcome.error)
        run.keep(model.save)
        return model

    def evaluate(self, data: Any) -> Evaluation:
        """Score on other conversations, beside retrieval.

        Raises:
            DataError: something in the data is wrong, or there is no reply in them.
        """
        conversations = read_conversations(data)
        if not asked(conversations.all):
            raise DataError(f"{conversations.name} {NO_REPLY}")
        return evaluate(self._speaker, self._retrieval, conversations.all)

    def predict(self, texts: Any, count: int = 1) -> Any:
        """The reply to a text, or the list of those to several; or to a conversation, a list of messages as
        {"role": "user", "content": "…"}. With a count above 1 instead of each the best so many, as
        [(reply, mean ln p of its tokens), ...], best first; there may be fewer.

        Raises:
            UsageError: nothing that can be replied to, or a count below 1.
            DataError: a blank text, or a message that is none.
        """
        if not isinstance(count, int) or count < 1:
            raise UsageError(f"count must be a whole number of at least 1, not {count!r}")
        if isinstance(texts, str):
            return self._answer([{"role": "user", "content": texts}], count)
        if isinstance(texts, dict):
            return self._answer([texts], count)
        if not isinstance(texts, Iterable):
            raise UsageError(f"a chatbot replies to a text or to messages, not to {type(texts).__name__}")
        several = list(texts)
        if several and all(isinstance(one, dict) for one in several):
            return self._answer(several, count)
        return [self.predict(text, count) for text in _strings(several)]

    def stream(self, *, fallback: float | None = None, seed: int = 0) -> ChatStream:
        """A conversation from its beginning.

        Args:
            fallback: answer by retrieval where the model's own reply has a larger perplexity than this.
            seed: of what is drawn: the same turns and seed, the same replies.

        Raises:
            UsageError: a number that can't be, or a fallback without the baseline's pairs.
        """
        if fallback is not None and not (isinstance(fallback, int | float) and fallback > 0):
            raise UsageError(f"fallback must be a perplexity above 0, not {fallback!r}")
        if not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise UsageError(f"seed must be a whole number from 0 to below 2**63, not {seed!r}")
        retrieval = self._retrieval if fallback is not None else None
        if fallback is not None and retrieval is None:
            raise UsageError("this model was saved without pairs to fall back on: train with keep_baseline")
        unsure = None if fallback is None else -math.log(fallback)
        return ChatStream(self._speaker, retrieval, unsure, seed)

    def generate(self, prompt: str) -> Iterator[str]:
        """The reply to a text; in one piece, for it is chosen among whole ones."""
        yield self.predict(prompt)

    def report(self, data: Any, *, plot: Any = None, as_json: bool = False, count: int = 1) -> Iterator[str]:
        """The reply to a text, or to every line of a file or of standard input ("-"), each on its own."""
        if data is None:
            raise UsageError("a chatbot needs something to reply to: a text, a file, or - for standard input")
        if plot is not None:
            raise UsageError("a chatbot draws no plot: leave plot out")
        for line in given_lines(str(data)):
            found = self.predict(line, max(count, 2))[:count] if line.strip() else []
            texts = [text for text, _ in found]
            if as_json:
                yield json.dumps({"replies": texts}, ensure_ascii=False)
            else:
                yield "\t".join(texts)

    # ---- on disk

    def save(self, folder: str | Path) -> None:
        """Write the model as a folder that `elman.load` reads. Raises UsageError if the place is taken."""
        saved = Artifact(
            task=self.task,
            settings=asdict(self.settings),
            tensors={f"network.{name}": value for name, value in self.network.state_dict().items()},
            extras={"subwords": self.codec.to_json(), "pairs": [list(side) for side in self.pairs]},
            scores=self.validation.to_dict(),
            data=self.source,
            card=self._card(),
        )
        artifact.save(saved, folder)

    @classmethod
    def from_artifact(cls, saved: Artifact) -> "Chatbot":
        """The chatbot that `save` wrote. Raises ArtifactError if its parts don't fit each other."""
        try:
            settings = Settings(**saved.settings)
            codec = Codec.from_json(saved.extras["subwords"])
            network = settings.make_network(len(codec))
            network.load_state_dict({k.removeprefix("network."): v for k, v in saved.tensors.items()})
            validation = Evaluation.from_dict(saved.scores)
            contexts, replies = saved.extras["pairs"]
            if len(contexts) != len(replies):
                raise ValueError("there are not as many replies as texts")
        except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
            raise ArtifactError(f"the parts of the model don't fit each other: {error}") from error
        return cls(network.eval(), codec, settings, (contexts, replies), saved.data, validation)

    @cached_property
    def _speaker(self) -> Speaker:
        return Speaker(self.network, self.codec, self.settings)

    @cached_property
    def _retrieval(self) -> Retrieval | None:
        return Retrieval.fit(*self.pairs, REMEMBERED) if self.pairs[0] else None

    def _answer(self, messages: Sequence[dict[str, Any]], count: int) -> Any:
        stream = self.stream()
        stream.tell(messages)
        found = stream.candidates()
        return [(reply.text, reply.score) for reply in found[:count]] if count > 1 else found[0].text

    def _card(self) -> str:
        return CARD.format(
            version=__version__,
            count=self.source["rows"],
            source=self.source["source"],
            cell=self.settings.cell,
            hidden=self.settings.hidden,
            kept=f" of {len(self.pairs[0])}, which this folder holds" if self.pairs[0] else "",
            scores=self.validation,
        )


def _divided(
    conversations: list[Conversation], name: str, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    """To train on and to hold out; conversations that begin alike stay on one side."""
    if len(conversations) < FEWEST:
        raise DataError(
            f"{name} holds {len(conversations)} conversations; a chatbot needs at least {FEWEST}."
        )
    keys = [normal(" ".join(turn.text for turn in turns[:BEGINNING])) for turns in conversations]
    train, held_out = split_groups(keys, HELD_OUT, seed)
    return [conversations[i] for i in train], [conversations[i] for i in held_out]


def _pairs(conversations: Sequence[Conversation]) -> tuple[list[str], list[str]]:
    """What was said and what the assistant replied."""
    exchanges = (pair for turns in conversations for pair in pairwise(turns))
    pairs = [(said.text, reply.text) for said, reply in exchanges if reply.role == "assistant"]
    return [said for said, _ in pairs], [reply for _, reply in pairs]


def _strings(several: Sequence[Any]) -> Sequence[str]:
    for i, text in enumerate(several):
        if not isinstance(text, str):
            raise UsageError(f"text {i} to reply to must be a string, not {type(text).__name__}")
    return several
