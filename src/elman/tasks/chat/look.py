"""What the lens sees of a chatbot: its network, as it reads a conversation and the reply."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from elman.data.text.conversations import SPEAKERS, Turn
from elman.lens.view import View
from elman.tasks.chat.codec import END, Codec
from elman.tasks.generate.network import LanguageNet

MAX_STEPS: Final = 512  # the last of a conversation
SHOWN: Final = str.maketrans({" ": "·"})
START: Final = "▷"


def view(network: LanguageNet, codec: Codec, turns: Sequence[Turn], reply: str) -> View:
    """Return the view of a conversation and the reply to it."""
    context = [END, *(i for turn in turns for i in codec.turn(turn)), codec.speaker(SPEAKERS[1])]
    answer = codec.words(reply)
    ids = torch.tensor([*context, *answer])[-MAX_STEPS:]
    labels = [_label(codec, i) for i in ids.tolist()]
    notes = (f"only the last {MAX_STEPS} tokens are shown",) if len(context + answer) > MAX_STEPS else ()
    return View(
        module=network,
        input=(ids[:-1, None],),
        score=_score(network, ids[-len(answer) :]),
        last=_score(network, ids[-1:]),
        scored="log-probability of the reply",
        answers=(reply,),
        labels={"": (tuple(labels[:-1]),)},
        unit="tokens",
        notes=notes,
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
