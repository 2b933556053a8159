"""A chatbot: turns of a conversation in, replies out, beside retrieval of training replies."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from elman import artifact
from elman.data.table.formats import input_lines
from elman.data.text.conversations import Turn, read_conversations
from elman.errors import DataError, UsageError, counted
from elman.lens.view import View
from elman.settings import is_number
from elman.tasks.chat import look
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.judge import evaluate
from elman.tasks.chat.network import DualEncoder
from elman.tasks.chat.ranker import Ranker, checked_weights
from elman.tasks.chat.scores import ChatEvaluation
from elman.tasks.chat.settings import Settings
from elman.tasks.chat.speaker import Speaker
from elman.tasks.chat.stream import ChatStream
from elman.tasks.chat.train import conversation_hashes, require_replies, train
from elman.tasks.entry import entry, training_entry
from elman.tasks.evaluation import few_note
from elman.tasks.generate.network import LanguageNet
from elman.tasks.inputs import as_given, check_count, check_seed, check_text, is_table, read_texts
from elman.tasks.pool import Pool
from elman.tasks.settings import split_choices
from elman.tasks.task import MAX_EXAMPLES, Answer, Card, Exported, Parts, Task, network_phrase
from elman.typed import RawText, typed


@dataclass(frozen=True)
class ReplyAnswer(Answer):
    """The best replies to a text; none to a blank one."""

    replies: list[str]
    text: str

    def __str__(self) -> str:
        return "\t".join(self.replies)

    def to_dict(self) -> dict[str, Any]:
        return {"replies": self.replies}

    def cells(self) -> dict[str, Any]:
        return {"text": self.text, "reply": self.replies}


@final
@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Chatbot(Task):
    """A trained chatbot and its plain baseline. Made by `fit` and by `elman.load`.

    Attributes:
        codec: conversations ↔ token ids.
        pairs: training turns and the replies to them, behind the baseline; empty if saved without.
        encoder: the ranker's network; None if there is no ranker, as in models of 0.1.0.
        rank_weights: (3,) of what speaks for a reply; see `elman.tasks.chat.ranker`.
    """

    task: ClassVar = "chat"
    SETTINGS: ClassVar = Settings
    EVALUATION: ClassVar = ChatEvaluation
    SCORE: ClassVar = ("perplexity", True)
    OPTIONS: ClassVar = {
        "evaluate": frozenset({"skip_bad"}),
        "predict": frozenset({"count"}),
        "generate": frozenset({"seed"}),
    }

    network: LanguageNet
    settings: Settings
    validation: ChatEvaluation
    codec: Codec
    pairs: tuple[list[str], list[str]]
    encoder: DualEncoder | None
    rank_weights: Tensor | None

    @cached_property
    def baseline(self) -> Retrieval | None:
        """Retrieval of the reply to the nearest training turn; None if the model was saved without."""
        return Retrieval.fit(*self.pairs) if self.pairs[0] else None

    @classmethod
    @training_entry
    def fit(
        cls,
        data: Any,
        *,
        valid: Any = None,
        skip_bad: bool = False,
        folder: str | Path | None = None,
        resume: bool = False,
        progress: bool = True,
        **settings: Any,
    ) -> "Chatbot":
        """Train on conversations; see `Task` for the common arguments.

        Args:
            data: conversations for `elman.data.text.conversations.read_conversations`: JSONL of messages,
                or lines of question, tab, answer.
            valid: such data on which to choose the best model; if None, a tenth of the conversations.
            skip_bad: whether to skip rows that can't be used, with one warning that counts them and names the
                first, rather than to raise DataError for it; refused where they are more than half of all.
        """
        started = monotonic()
        split_choices(settings, Settings)  # before a long file is read
        if folder is not None:
            artifact.check_destination(folder)
        valid_data = None if valid is None else read_conversations(valid, skip_bad)
        conversations = read_conversations(data, skip_bad)
        trained = train(
            conversations, valid_data, settings, started, folder=folder, resume=resume, progress=progress
        )
        model = cls(
            network=trained.network,
            settings=trained.settings,
            source={
                "source": conversations.name,
                "fingerprint": conversations.fingerprint,
                "rows": len(conversations),
            },
            validation=trained.validation,
            failure=trained.failure,
            codec=trained.codec,
            pairs=trained.pairs,
            encoder=trained.encoder,
            rank_weights=trained.rank_weights,
        )
        trained.run.keep(partial(model.save, overwrite=True))
        return model

    @classmethod
    def check_data(cls, test: Any, data: Any = None, skip_bad: bool = False, **_: Any) -> None:
        conversations = read_conversations(test, skip_bad)
        require_replies(conversations.all, conversations.name)

    @entry
    def evaluate(self, data: Any, *, skip_bad: bool = False) -> ChatEvaluation:
        """Score on other conversations, beside retrieval; `skip_bad` as in `fit`. Raises DataError for
        malformed data, or if there is no reply."""
        conversations = read_conversations(data, skip_bad)
        require_replies(conversations.all, conversations.name)
        notes = few_note(len(set(conversation_hashes(conversations.all))), "conversation")
        if conversations.fingerprint == self.source["fingerprint"]:
            notes += ("these conversations were trained on, which flatters all scores",)
        return evaluate(self._speaker, self.baseline, conversations.all, notes).given(data)

    @entry
    def predict(self, data: Any, count: int = 1) -> Any:
        """Return the reply to a text, or to a conversation as a list of messages {"role": "user", "content":
        "…"}; for several texts, the list of replies; for a frame or column of pandas (with its index), polars
        or Arrow, a column of its library. With a count above 1, each reply becomes a list of up to that many,
        as [(reply, mean ln p of its tokens), ...], best first.

        Args:
            data: a text; a message, or a list of messages; an iterable of texts; a table in memory with one
                column or one named text; or a `pathlib.Path` to such a table or to lines of text.

        Raises UsageError for anything else, or a count below 1; DataError for a blank text, a malformed
        message or a table without the column.
        """
        check_count(count)
        if _is_message(data):
            return self._reply([data], count)
        data = list(data) if isinstance(data, Iterator) and not is_table(data) else data
        if isinstance(data, list | tuple) and any(map(_is_message, data)):
            return self._reply(data, count)
        texts, single = read_texts(data)
        blank = next((i for i, text in enumerate(texts) if not text.strip()), None)
        if blank is not None:
            raise DataError(
                "the text is empty: there is nothing to reply to"
                if single
                else f"data: text {blank} is empty"
            )
        replies = [self._reply([{"role": "user", "content": text}], count) for text in texts]
        if count > 1:
            return replies[0] if single else replies
        return as_given(replies, single, data, "reply")

    @entry
    def view(self, data: Any) -> View:
        """Return what `elman.lens` looks at: the network, as it reads a conversation and the reply to it.

        Args:
            data: one text, a message, a list of messages, or a `pathlib.Path` of conversations, of which the
                first counts up to its last question.

        Raises UsageError or DataError as `predict` does.
        """
        messages = [data] if _is_message(data) else data
        if isinstance(data, str):
            messages = [{"role": "user", "content": data}]
        if isinstance(data, Path):
            messages = _asked(read_conversations(str(data)).all[0])
        stream = self.stream()
        stream.tell(messages)
        reply = stream.candidates()[0]
        return look.view(self.network, self.codec, stream.turns, reply.text)

    @entry
    def stream(self, *, fallback: float | None = None, seed: int = 0) -> ChatStream:
        """Start a conversation.

        Args:
            fallback: give the best training reply where the network wrote the best of all and its perplexity
                is above this. Training replies compete with the network's without it, too, if there is a
                ranker.
            seed: of the samples: the same turns and seed give the same replies.

        Raises UsageError for a value out of its range, or a fallback without the baseline's pairs.
        """
        if fallback is not None and not (is_number(fallback) and fallback > 0):
            raise UsageError(f"fallback must be a perplexity above 0, not {fallback!r}")
        check_seed(seed)
        if fallback is None:
            return ChatStream(self._speaker, None, None, seed)
        if self.baseline is None:
            raise UsageError("this model was saved without pairs to fall back on: train with keep_baseline")
        return ChatStream(self._speaker, self.baseline, -math.log(fallback), seed)

    @entry
    def pool(self, capacity: int) -> Pool[ChatStream]:
        """Return room for many conversations that advance together; `open` takes the options of `stream`.
        Raises UsageError for a capacity below 1."""
        return Pool(self._speaker.steps, self.stream, capacity)

    def generate(self, prompt: str = "", *, seed: int = 0) -> Iterator[str]:
        """Yield the reply to a text, in one piece because it is chosen among whole replies."""
        stream = self.stream(seed=seed)
        stream.push(check_text(prompt, "prompt"))
        yield stream.result()

    def answers(self, data: Any, *, count: int = 1) -> Iterator[ReplyAnswer]:
        """Yield the best replies to a text; or to every line of a file or of standard input on its own.
        Raises UsageError if there are no data."""
        self.require_input(data)
        check_count(count)
        for line in input_lines(data) if isinstance(data, str) else read_texts(data).texts:
            best = self.predict(line, max(count, 2))[:count] if line.strip() else []
            yield ReplyAnswer([text for text, _ in best], line)

    def graphs(self) -> dict[str, Exported]:
        from elman.tasks.chat.export import ranker_graph
        from elman.tasks.generate.export import language_graph

        inputs = {"codec": self.codec.to_json()}
        graphs = {word: Exported(language_graph(self.network, bool(word)), inputs) for word in ("", "step")}
        if self.encoder is not None:
            graphs["ranker"] = Exported(ranker_graph(self.encoder), inputs)
        return graphs

    def facts(self) -> dict[str, Any]:
        openings = dict.fromkeys(self.pairs[0])  # in their order
        return {"stream": True, "examples": [*openings][:MAX_EXAMPLES]}

    def parts(self) -> Parts:
        return Parts(
            modules={"network": self.network} | ({} if self.encoder is None else {"ranker": self.encoder}),
            tensors={} if self.rank_weights is None else {"rank_weights": self.rank_weights},
            files={"subwords": self.codec.to_json(), "pairs": [list(side) for side in self.pairs]},
        )

    @classmethod
    def restore(cls, settings: Settings, parts: Parts) -> dict[str, Any]:
        codec = Codec.from_json(parts.files["subwords"])
        contexts, replies = typed(tuple[list[RawText], list[RawText]], parts.files["pairs"], "pairs.json")
        if len(contexts) != len(replies):
            raise ValueError("there are not as many replies as contexts")
        encoder, weights = None, None
        if any(name.startswith("rank") for name in parts.tensors):  # models of 0.1.0 have none
            if not settings.ranker_units:
                raise ValueError("there are weights of a ranker that the settings do without")
            encoder = parts.module("ranker", lambda: DualEncoder(settings.ranker_units, len(codec)))
            weights = checked_weights(parts.tensor("rank_weights", torch.float32, 1))
        return {
            "network": parts.module("network", lambda: LanguageNet(settings.language, len(codec))),
            "codec": codec,
            "pairs": (contexts, replies),
            "encoder": encoder,
            "rank_weights": weights,
        }

    def card(self) -> Card:
        count = len(self.pairs[0])
        network = f"The network, {network_phrase(self.settings)}, holds the conversation in its state."
        if self.encoder is not None:
            network += (
                f" A ranker chooses among its replies{' and those of the training data' * (count > 0)}."
            )
        nearest = (
            f"nearest of {counted(count, 'training text')}, which this folder holds"
            if count
            else "nearest text"
        )
        return Card(
            title="Chatbot",
            data=f"{self.source['rows']} conversations of {self.source['source']}",
            network=network,
            held_out="held-out conversations",
            baseline=f"retrieval of the reply to the {nearest}",
            usage='model.predict("Hello!")',
        )

    @cached_property
    def _speaker(self) -> Speaker:
        if self.encoder is None or self.rank_weights is None:
            return Speaker(self.network, self.codec, self.settings)
        ranker = Ranker(self.encoder, self.codec, self.baseline, self.rank_weights)
        return Speaker(self.network, self.codec, self.settings, ranker)

    def _reply(self, messages: Sequence[dict[str, Any]], count: int) -> Any:
        stream = self.stream()
        stream.tell(messages)
        replies = stream.candidates()
        return [(reply.text, reply.score) for reply in replies[:count]] if count > 1 else replies[0].text


def _is_message(data: Any) -> bool:
    """Return whether a dict is a message rather than a row or the columns of a table."""
    return isinstance(data, dict) and not is_table(data) and not {"role", "content"}.isdisjoint(data)


def _asked(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Return a conversation up to its last question, as messages."""
    last = max((k for k, turn in enumerate(turns) if turn.role == "user"), default=-1)
    return [{"role": turn.role, "content": turn.text} for turn in turns[: last + 1]]
