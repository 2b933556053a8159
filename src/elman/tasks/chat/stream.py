"""One conversation: turns in, replies out, at a cost that does not grow with its length."""

import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from elman.atomic import as_path, replace_file, writing
from elman.data.text.conversations import Turn, turns_of
from elman.errors import ArtifactError, DataError, UsageError
from elman.lens.reading import Reading
from elman.tasks import stream_state
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.look import view_of_ids
from elman.tasks.chat.speaker import RECENT_TURNS, Position, Reply, Speaker
from elman.tasks.entry import entry
from elman.tasks.generate.steps import tensors_of
from elman.tasks.inputs import check_text
from elman.tasks.pool import Steps, stepwise
from elman.tasks.stream_state import Saved, checking

# `why` attributes a reply to the words of the last turns, among their last tokens.
MAX_EXPLAINED_TURNS: Final = 8
MAX_EXPLAINED_TOKENS: Final = 1000
EXPLAINED_POINTS: Final = 16  # of the integral
NEAREST_REPLIES: Final = 8  # among which the fallback looks for one that was not given recently


class TurnIds(NamedTuple):
    """A turn's tokens, and the position before it."""

    before: Position
    ids: tuple[int, ...]


class ChatStream:
    """A conversation, with all its `turns` so far. Made by `Chatbot.stream`."""

    def __init__(
        self, speaker: Speaker, retrieval: Retrieval | None, min_score: float | None, seed: int
    ) -> None:
        self._speaker, self._retrieval, self._min_score, self._seed = speaker, retrieval, min_score, seed
        self.network = speaker.steps
        self.reset()

    def reset(self) -> None:
        """Begin a new conversation."""
        self._position = self._speaker.start()
        self._recent: deque[TurnIds] = deque(maxlen=MAX_EXPLAINED_TURNS)
        self.turns: list[Turn] = []

    @stepwise
    def push(self, text: str) -> Steps[None]:
        """Add a turn of the user, or continue it. Raises UsageError if it is not a string, DataError if it is
        blank."""
        yield from self._told([{"role": "user", "content": check_text(text, "text")}])

    @stepwise
    def tell(self, messages: Sequence[Any]) -> Steps[None]:
        """Add turns as messages {"role": "user", "content": "…"}. Raises UsageError if they are not a list,
        DataError if one is malformed."""
        if not isinstance(messages, list | tuple):
            raise UsageError(f"messages must be a list of messages, not {type(messages).__name__}")
        yield from self._told(messages)

    def _told(self, messages: Sequence[Any]) -> Steps[None]:
        for turn in turns_of(messages, "the conversation"):
            yield from self._add(turn)

    @stepwise
    def result(self) -> Steps[str]:
        """Return the reply and add it to the conversation."""
        candidates = yield from self._candidates()
        yield from self._add(Turn("assistant", candidates[0].text))
        return candidates[0].text

    @stepwise
    def candidates(self) -> Steps[list[Reply]]:
        """Return the candidate replies, best first, without adding one to the conversation. With a fallback,
        the best training reply comes first where the best candidate was written by the network and is too
        improbable. Raises UsageError unless the last turn is the user's."""
        return (yield from self._candidates())

    def _candidates(self) -> Steps[list[Reply]]:
        if not self.turns or self.turns[-1].role != "user":
            raise UsageError("there is nothing to reply to: the last turn must be the user's")
        recent = [turn.text for turn in self.turns[-RECENT_TURNS:]]
        speaker = self._speaker
        position = yield from speaker.reading(self._position, [speaker.codec.speaker("assistant")])
        # a new generator for each turn: a conversation that was saved continues with the same replies
        generator = torch.Generator().manual_seed((self._seed * 1_000_003 + len(self.turns)) % 2**63)
        (replies,) = yield from speaker.replying(position, [recent], generator)
        if self._retrieval is None or self._min_score is None or replies[0].score >= self._min_score:
            return replies
        for reply in replies:
            if reply.retrieved and not reply.again:
                return [reply, *(other for other in replies if other is not reply)]
        nearest = [text for text, _ in self._retrieval.nearest(self.turns[-1].text, NEAREST_REPLIES)]
        text = next((text for text in nearest if text not in recent), nearest[0])
        ids = speaker.codec.words(text)
        (log_prob,) = yield from speaker.scoring(position, [ids])
        score = log_prob / (len(ids) + 1)
        return [Reply(text, tuple(ids), score, score, text in recent), *replies]

    @entry
    def why(self) -> list[tuple[str, float]]:
        """Return the words before the last reply, in their order, and how much each has moved
        the reply's log-probability, by integrated gradients (see `elman.lens.attribution`), as shares of all.
        Only the last turns have shares above 0. Raises UsageError if there is no reply yet."""
        recent = list(self._recent)
        if len(recent) < 2 or self.turns[-1].role != "assistant":
            raise UsageError("there is no reply to explain yet")
        context = [i for turn in recent[:-1] for i in turn.ids]
        skipped = max(0, len(context) - MAX_EXPLAINED_TOKENS)
        position = self._speaker.read(recent[0].before, context[:skipped])
        weights = _attributions(self._speaker, position, context[skipped:], recent[-1].ids)
        return _by_word(self._speaker, recent[:-1], [0.0] * skipped + weights)

    def num_tokens(self, text: str) -> int:
        """Return of how many tokens a text consists."""
        return len(self._speaker.codec.words(text))

    def save(self, file: str | Path) -> None:
        """Write the conversation as a line of JSON that `load` and `Chatbot.fit` read."""
        path, record = as_path(file, "file"), json.dumps(_record(self.turns), ensure_ascii=False)
        with writing(path, UsageError), replace_file(path) as out:
            out.write(record.encode(errors="backslashreplace") + b"\n")

    @stepwise
    def load(self, file: str | Path) -> Steps[None]:
        """Continue a conversation that `save` wrote; it is read again. Raises ArtifactError for a file that
        holds none."""
        turns = _saved_turns(as_path(file, "file"))
        self.reset()
        for turn in turns:
            yield from self._add(turn)

    def to_bytes(self) -> bytes:
        """Return the conversation, for `from_bytes` of a stream of the same model and options."""
        turns = [list(turn) for turn in self.turns]
        return stream_state.to_bytes("chat", "", Saved({"turns": turns}, {}))

    @stepwise
    def from_bytes(self, content: bytes) -> Steps[None]:
        """Continue a conversation that `to_bytes` returned; it is read again. Raises ArtifactError for
        anything else."""
        read = stream_state.from_bytes(content, "chat", "")
        with checking():
            messages = [{"role": role, "content": text} for role, text in read.values["turns"]]
            turns = turns_of(messages, "the conversation")
            if [list(turn) for turn in turns] != read.values["turns"]:
                raise ValueError("turns that no conversation has")
        self.reset()
        for turn in turns:
            yield from self._add(turn)

    def _add(self, turn: Turn) -> Steps[None]:
        if self.turns and self.turns[-1].role == turn.role:  # joined, as in the training data
            turn = Turn(turn.role, f"{self.turns.pop().text} {turn.text}")
            self._position = self._recent.pop().before
        ids = self._speaker.codec.turn(turn)
        self._recent.append(TurnIds(self._position, tuple(ids)))
        self._position = yield from self._speaker.reading(self._position, ids)
        self.turns.append(turn)


def _saved_turns(file: Path) -> list[Turn]:
    try:
        content = file.read_bytes()
        record = json.loads(content) if content.strip() else {"messages": []}
        turns = turns_of(record["messages"], str(file))
        # refuse a file with anything that saving would lose
        if record == _record(turns):
            return turns
    except OSError as error:
        raise ArtifactError(f"{file} can't be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, RecursionError, DataError):
        pass
    raise ArtifactError(f"{file} holds no conversation that `save` has written")


def _record(turns: Sequence[Turn]) -> dict[str, Any]:
    return {"messages": [{"role": turn.role, "content": turn.text} for turn in turns]}


def _attributions(
    speaker: Speaker, position: Position, context: Sequence[int], reply: Sequence[int]
) -> list[float]:
    """Return what each token of the context adds to the log-probability of the reply, which begins with its
    speaker, as a share of all, without its sign."""
    before = [int(position.last), *context, reply[0]]
    state = tensors_of(position.state)
    view = view_of_ids(speaker.network, speaker.codec, before, reply[1:], state)
    scores, _ = Reading(view, None).integrated(EXPLAINED_POINTS)
    weights = scores[1 : len(context) + 1, 0].abs()
    return (weights / weights.sum().clamp(min=1e-30)).tolist()


def _by_word(speaker: Speaker, turns: Sequence[TurnIds], weights: Sequence[float]) -> list[tuple[str, float]]:
    """Sum the weights of each word's tokens; a speaker's token belongs to no word."""
    words: list[tuple[str, float]] = []
    start, pending = 0, 0.0  # a token that ends within a character passes its weight on to the next
    for turn in turns:
        pieces = speaker.codec.tokenizer.additions(turn.ids[1:])
        turn_weights = weights[start + 1 : start + len(turn.ids)]
        for k, (piece, weight) in enumerate(zip(pieces, turn_weights, strict=True)):
            pending += weight
            if not piece:
                continue
            if k == 0 or piece.startswith(" ") or not words:
                words.append((piece.strip(), pending))
            else:
                words[-1] = (words[-1][0] + piece, words[-1][1] + pending)
            pending = 0.0
        start += len(turn.ids)
    return [(word, weight) for word, weight in words if word]
