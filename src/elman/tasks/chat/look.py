"""What the lens sees of a chatbot: its network, as it reads a conversation and the reply."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.text.conversations import SPEAKERS, Turn
from elman.lens.view import View
from elman.tasks.chat.codec import END, Codec
from elman.tasks.generate.network import LanguageNet, State

MAX_STEPS: Final = 512  # the last of a conversation
SHOWN: Final = str.maketrans({" ": "·"})
START: Final = "(start)"


def view(network: LanguageNet, codec: Codec, turns: Sequence[Turn], reply: str) -> View:
    """Return the view of a conversation and the reply to it."""
    context = [END, *(i for turn in turns for i in codec.turn(turn)), codec.speaker(SPEAKERS[1])]
    answer = codec.words(reply)
    steps = max(MAX_STEPS - len(answer), 1)
    one = view_of_ids(network, codec, context[-steps:], answer)
    notes = (f"only the last {steps} tokens before the reply are shown",) if len(context) > steps else ()
    return replace(one, answers=(reply,), notes=notes)


def view_of_ids(
    network: LanguageNet,
    codec: Codec,
    context: Sequence[int],
    reply: Sequence[int],
    state: State | None = None,
) -> View:
    """Return the view of the tokens of a context, read from a state, and of a reply to it."""
    ids = torch.tensor([*context, *reply[:-1]])
    return View(
        module=network,
        input=(ids[:, None], state),
        score=_score(network, torch.tensor(reply)),
        last=_score(network, torch.tensor(reply[-1:])),
        scored="log-probability of the reply",
        labels={"": (tuple(_label(codec, i) for i in ids.tolist()),)},
        unit="tokens",
    )


def _score(network: LanguageNet, reply: Tensor) -> Callable[[Any], Tensor]:
    def score(result: Any) -> Tensor:
        """Return the log-probability of the reply's tokens, (1,)."""
        features, _, _ = result
        log_probs: Tensor = network.log_probs(features[-len(reply) :])
        return log_probs.gather(2, reply[:, None, None]).sum().view(1)

    return score


def _label(codec: Codec, token: int) -> str:
    if token == END:
        return START
    if token >= len(codec.tokenizer):
        return f"{SPEAKERS[token - len(codec.tokenizer)]}:"
    return codec.tokenizer.decode([token]).translate(SHOWN)
