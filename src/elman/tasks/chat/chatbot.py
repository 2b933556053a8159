"""A chatbot: turns of a conversation in, replies out, beside retrieval of training replies."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor

from elman import artifact
from elman.data.batches import HELD_OUT_SHARE, normalize, split_groups, text_hashes
from elman.data.table.formats import input_lines
from elman.data.text.conversations import Conversation, Conversations, read_conversations
from elman.errors import DataError, UsageError
from elman.settings import is_number
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.codec import Codec
from elman.tasks.chat.judge import evaluate, ranking_evidence, reply_positions
from elman.tasks.chat.network import DualEncoder
from elman.tasks.chat.problem import matching, ranker_in_time
from elman.tasks.chat.ranker import NUMBERS, Ranker, checked_weights, fitted_weights
from elman.tasks.chat.scores import ChatEvaluation
from elman.tasks.chat.settings import BYTES_OF_A_TOKEN, RANKER_DROPOUT, Settings, defaults
from elman.tasks.chat.speaker import Speaker
from elman.tasks.chat.stream import ChatStream
from elman.tasks.entry import entry, training_entry
from elman.tasks.evaluation import failure_note, few_note, overlap_note, sample_rows
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.problem import NextToken
from elman.tasks.inputs import check_count, check_seed, check_text, is_table, read_texts
from elman.tasks.settings import split_choices
from elman.tasks.task import Answer, Card, Parts, Task, network_phrase
from elman.training.budget import Trial, in_time, smaller
from elman.training.loop import Run
from elman.training.progress import watch
from elman.typed import RawText, typed

MIN_CONVERSATIONS: Final = 10
OPENING_TURNS: Final = 2  # conversations that begin with the same turns are on one side of the split
VALIDATION: Final = {"replies": 200, "talks": 5}  # scored at the end of a training
INTERRUPTED: Final = {"replies": 10, "talks": 0}  # the same, of an interrupted one
NO_REPLY: Final = "holds no turn of the assistant after one of the user."


@dataclass(frozen=True)
class ReplyAnswer(Answer):
    """The best replies to a text; none to a blank one."""

    replies: list[str]

    def __str__(self) -> str:
        return "\t".join(self.replies)

    def to_dict(self) -> dict[str, Any]:
        return {"replies": self.replies}


@final
@dataclass(frozen=True, eq=False, kw_only=True)
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
        _, asked = split_choices(settings, Settings)  # before a long file is read
        if folder is not None:
            artifact.check_destination(folder)
        valid_data = None if valid is None else read_conversations(valid, skip_bad)
        whole = read_conversations(data, skip_bad)
        if valid_data is None:
            train, held_out = _split(whole.all, whole.name, asked.seed)
            held_out_name = f"the tenth of {whole.name} that is held out"
        else:
            train, held_out, held_out_name = whole.all, valid_data.all, valid_data.name
        contexts, replies = _pairs(train)
        if not replies:
            raise DataError(f"{whole.name} {NO_REPLY}")
        if not reply_positions(held_out):
            raise DataError(f"{held_out_name} {NO_REPLY}")
        size = sum(len(turn.text.encode(errors="replace")) for turns in train for turn in turns)
        tokens = size // BYTES_OF_A_TOKEN
        chosen, _ = split_choices(settings, Settings, defaults(tokens, settings))
        codec = Codec.learned(train, chosen.vocabulary)
        text, held_out_text = codec.running(train), codec.running(held_out)

        def ranking(chosen: Settings) -> Trial:
            torch.manual_seed(asked.seed)
            encoder = DualEncoder(chosen.ranker_units, len(codec), RANKER_DROPOUT)
            return matching(encoder, train, held_out, codec, chosen, asked)

        def training(size: Mapping[str, Any]) -> Trial:
            choices = settings | dict(size)
            chosen, plan = split_choices(choices, Settings, defaults(tokens, choices))
            torch.manual_seed(plan.seed)
            network = LanguageNet(chosen.language, len(codec))
            return Trial(network, NextToken(text, held_out_text, chosen.language, plan), plan, chosen)

        ranker, rest = ranker_in_time(ranking, chosen, asked.minutes, started)
        sizes = smaller({"hidden": chosen.hidden, "embedding": chosen.embedding}, settings)
        network, problem, plan, chosen = in_time(
            training,
            asked.minutes,
            started,
            [size | ranker for size in sizes],
            share=rest,
            folder=folder,
            resume=resume,
            progress=progress,
        )
        identity: dict[str, Any] = {"settings": asdict(chosen), "data": whole.fingerprint}
        identity["valid"] = None if valid_data is None else valid_data.fingerprint
        run = Run(network, problem, plan, folder=folder, resume=resume, identity=identity)
        encoder = None
        if chosen.ranker_units:  # a run that is resumed trains it again, to the same weights
            encoder, matches, ranker_plan, _ = ranking(chosen)
            ranked = watch(Run(encoder, matches, ranker_plan), progress, "ranker")
            if ranked.signal is not None:
                run.stop(ranked.signal)
            encoder.eval().cpu()
        outcome = watch(run, progress, "network")
        run.require_model()
        network.eval().cpu()  # where single steps are fastest
        notes = failure_note(outcome.error)
        hashes = _hashes(held_out)
        notes += overlap_note(hashes, torch.tensor(_hashes(train)), "conversations")
        notes += few_note(len(set(hashes)), "conversations")
        retrieval, scope = Retrieval.fit(contexts, replies), VALIDATION
        if outcome.signal is not None:
            answered = sorted({n for n, _ in reply_positions(held_out)})
            rows, note = sample_rows(len(answered), INTERRUPTED["replies"], "conversations")
            held_out, notes, scope = [held_out[answered[row]] for row in rows], notes + note, INTERRUPTED
        speaker, evidence = Speaker(network, codec, chosen), None
        if encoder is not None:
            kept = retrieval if chosen.keep_baseline else None
            speaker.ranker = Ranker(encoder, codec, kept, torch.ones(NUMBERS))
            evidence = ranking_evidence(speaker, held_out, scope["replies"])
            speaker.ranker.weights = fitted_weights(evidence)
        validation = evaluate(speaker, retrieval, held_out, notes, **scope, evidence=evidence)
        model = cls(
            network=network,
            settings=chosen,
            source={"source": whole.name, "fingerprint": whole.fingerprint, "rows": len(whole)},
            validation=validation,
            failure=outcome.error,
            codec=codec,
            pairs=(retrieval.contexts, retrieval.replies) if chosen.keep_baseline else ([], []),
            encoder=encoder,
            rank_weights=None if speaker.ranker is None else speaker.ranker.weights,
        )
        run.keep(model.save)
        return model

    @classmethod
    def check_data(cls, data: Any, skip_bad: bool = False, **_: Any) -> None:
        _require_replies(read_conversations(data, skip_bad))

    @entry
    def evaluate(self, data: Any, *, skip_bad: bool = False) -> ChatEvaluation:
        """Score on other conversations, beside retrieval; `skip_bad` as in `fit`. Raises DataError for
        malformed data, or if there is no reply."""
        conversations = read_conversations(data, skip_bad)
        _require_replies(conversations)
        notes = few_note(len(set(_hashes(conversations.all))), "conversations")
        if conversations.fingerprint == self.source["fingerprint"]:
            notes += ("these conversations were trained on, which flatters all scores",)
        return evaluate(self._speaker, self.baseline, conversations.all, notes)

    @entry
    def predict(self, data: Any, count: int = 1) -> Any:
        """Return the reply to a text, or to a conversation as a list of messages {"role": "user", "content":
        "…"}; for several texts, the list of replies. With a count above 1, each reply becomes a list of up to
        that many, as [(reply, mean ln p of its tokens), ...], best first.

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
        return replies[0] if single else replies

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
            yield ReplyAnswer([text for text, _ in best])

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
        nearest = f"nearest of {count} training texts, which this folder holds" if count else "nearest text"
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


def _require_replies(conversations: Conversations) -> None:
    """Raise DataError if there is no reply to score."""
    if not reply_positions(conversations.all):
        raise DataError(f"{conversations.name} {NO_REPLY}")


def _is_message(data: Any) -> bool:
    """Return whether a dict is a message rather than a row or the columns of a table."""
    return isinstance(data, dict) and not is_table(data) and not {"role", "content"}.isdisjoint(data)


def _split(
    conversations: list[Conversation], name: str, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    if len(conversations) < MIN_CONVERSATIONS:
        raise DataError(
            f"{name} holds {len(conversations)} conversations; a chatbot needs at least {MIN_CONVERSATIONS}."
        )
    keys = [normalize(" ".join(turn.text for turn in turns[:OPENING_TURNS])) for turns in conversations]
    train, held_out = split_groups(keys, HELD_OUT_SHARE, seed, name=name)
    return [conversations[i] for i in train], [conversations[i] for i in held_out]


def _hashes(conversations: Sequence[Conversation]) -> list[int]:
    return text_hashes([" ".join(turn.text for turn in turns) for turns in conversations])


def _pairs(conversations: Sequence[Conversation]) -> tuple[list[str], list[str]]:
    """Return the turns before replies of the assistant, and the replies."""
    exchanges = (pair for turns in conversations for pair in pairwise(turns))
    pairs = [(context.text, reply.text) for context, reply in exchanges if reply.role == "assistant"]
    return [context for context, _ in pairs], [reply for _, reply in pairs]
