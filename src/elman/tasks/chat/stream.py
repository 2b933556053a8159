"""One conversation: turns go in, replies come out, at the same cost however long it has been going on."""

import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from elman.atomic import replace_file, writing
from elman.data.text.conversations import Turn, turns_of
from elman.errors import ArtifactError, DataError, UsageError
from elman.tasks.chat.baseline import Retrieval
from elman.tasks.chat.speaker import SAID, Place, Reply, Speaker

TRACED: Final = 8  # turns whose words `why` weighs,
WEIGHED: Final = 1000  # and their last tokens
NEAREST: Final = 8  # training replies among which a fallback is sought that was not given yet


class Heard(NamedTuple):
    """A turn, and where the conversation stood before it."""

    before: Place
    ids: tuple[int, ...]


class ChatStream:
    """Made by `Chatbot.stream`.

    Attributes:
        turns: all that was said.
    """

    def __init__(
        self, speaker: Speaker, retrieval: Retrieval | None, unsure: float | None, seed: int
    ) -> None:
        self._speaker, self._retrieval, self._unsure, self._seed = speaker, retrieval, unsure, seed
        self.reset()

    def reset(self) -> None:
        """Forget all that was said."""
        self._place = self._speaker.start()
        self._heard: deque[Heard] = deque(maxlen=TRACED)
        self.turns: list[Turn] = []

    def push(self, text: str) -> None:
        """The user's turn, or more of it. Raises UsageError if it is no string, DataError if it is blank."""
        if not isinstance(text, str):
            raise UsageError(f"push takes a text, not {type(text).__name__}")
        self.tell([{"role": "user", "content": text}])

    def tell(self, messages: Sequence[Any]) -> None:
        """What was said, as messages {"role": "user", "content": "…"}. Raises DataError if one is not."""
        for turn in turns_of(messages, "the conversation"):
            self._hear(turn)

    def result(self) -> str:
        """The reply, which is then part of the conversation."""
        reply = self.candidates()[0].text
        self._hear(Turn("assistant", reply))
        return reply

    def candidates(self) -> list[Reply]:
        """The replies that could be given, best first; the conversation stays where it is. The nearest
        training reply comes first if that was asked for and the best own one is too unsure."""
        if not self.turns or self.turns[-1].role != "user":
            raise UsageError("there is nothing to reply to: the last turn must be the user's")
        said = [turn.text for turn in self.turns[-SAID:]]
        place = self._speaker.read(self._place, [self._speaker.codec.speaker("assistant")])
        # of its own for each turn, so that a conversation that was kept goes on as it would have
        generator = torch.Generator().manual_seed((self._seed * 1_000_003 + len(self.turns)) % 2**63)
        (found,) = self._speaker.replies(place, [said], generator)
        if self._retrieval is None or self._unsure is None or found[0].score >= self._unsure:
            return found
        nearest = [text for text, _ in self._retrieval.nearest(self.turns[-1].text, NEAREST)]
        text = next((text for text in nearest if text not in said), nearest[0])
        ids = self._speaker.codec.words(text)
        score = self._speaker.judged(place, [ids])[0] / (len(ids) + 1)
        return [Reply(text, tuple(ids), score, score, text in said), *found]

    def why(self) -> list[tuple[str, float]]:
        """The words before the last reply and what share of its probability hung on each, in their order:
        of the last turns, the gradient of the reply's ln p by a word's vector, times that vector.

        Raises:
            UsageError: there is no reply yet.
        """
        heard = list(self._heard)
        if len(heard) < 2 or self.turns[-1].role != "assistant":
            raise UsageError("there is no reply to explain yet")
        context = [i for turn in heard[:-1] for i in turn.ids]
        far = max(0, len(context) - WEIGHED)
        place = self._speaker.read(heard[0].before, context[:far])
        weights = _weighed(self._speaker, place, context[far:], heard[-1].ids)
        return _by_word(self._speaker, heard[:-1], [0.0] * far + weights)

    def save(self, file: str | Path) -> None:
        """Write the conversation as a line of JSON, as `Chatbot.fit` reads it too, for `load`."""
        place = Path(file)
        with writing(place, UsageError), replace_file(place) as out:
            out.write(
                json.dumps(_record(self.turns), ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
            )

    def load(self, file: str | Path) -> None:
        """Go on with a conversation that `save` kept: it is read again, once.

        Raises:
            ArtifactError: the file holds no conversation.
        """
        turns = _saved(Path(file))
        self.reset()
        for turn in turns:
            self._hear(turn)

    def _hear(self, turn: Turn) -> None:
        if self.turns and self.turns[-1].role == turn.role:  # goes on with it, as in what was trained on
            turn = Turn(turn.role, f"{self.turns.pop().text} {turn.text}")
            self._place = self._heard.pop().before
        ids = self._speaker.codec.turn(turn)
        self._heard.append(Heard(self._place, tuple(ids)))
        self._place = self._speaker.read(self._place, ids)
        self.turns.append(turn)


def _saved(file: Path) -> list[Turn]:
    try:
        content = file.read_bytes()
        record = json.loads(content) if content.strip() else {"messages": []}
        turns = turns_of(record["messages"], str(file))
        # nothing that saving would lose
        if record == _record(turns):
            return turns
    except OSError as error:
        raise ArtifactError(f"{file} can't be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, RecursionError, DataError):
        pass
    raise ArtifactError(f"{file} holds no conversation that `save` has written")


def _record(turns: Sequence[Turn]) -> dict[str, Any]:
    return {"messages": [{"role": turn.role, "content": turn.text} for turn in turns]}


def _weighed(speaker: Speaker, place: Place, context: Sequence[int], reply: Sequence[int]) -> list[float]:
    """Of each token of the context, |gradient × vector|; the sum is 1."""
    ids = torch.tensor([int(place.last), *context, *reply[:-1]])
    network = speaker.network
    vectors: list[torch.Tensor] = []

    def keep(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        vectors.append(output.detach().requires_grad_())
        return vectors[0]

    hook = network.embedding.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            features, _, _ = network(ids[:, None], place.state)
            said = features[len(context) + 1 :, 0]  # after the speaker, whom the reply's words follow
            wanted = torch.tensor(reply[1:])
            total = network.log_probs(said).gather(1, wanted[:, None]).sum()
            (slope,) = torch.autograd.grad(total, vectors)
    finally:
        hook.remove()
    weights = (slope * vectors[0]).sum(-1).abs()[1 : len(context) + 1, 0]
    return (weights / weights.sum().clamp(min=1e-30)).tolist()


def _by_word(speaker: Speaker, heard: Sequence[Heard], weights: Sequence[float]) -> list[tuple[str, float]]:
    """Tokens put together into words; a speaker's token weighs for no word."""
    words: list[tuple[str, float]] = []
    at, waiting = 0, 0.0  # the weight of a token that ends within a character goes to the one that ends it
    for turn in heard:
        pieces = speaker.codec.tokenizer.additions(turn.ids[1:])
        for k, (piece, weight) in enumerate(zip(pieces, weights[at + 1 : at + len(turn.ids)], strict=True)):
            waiting += weight
            if not piece:
                continue
            if k == 0 or piece.startswith(" ") or not words:
                words.append((piece.strip(), waiting))
            else:
                words[-1] = (words[-1][0] + piece, words[-1][1] + waiting)
            waiting = 0.0
        at += len(turn.ids)
    return [(word, weight) for word, weight in words if word]
