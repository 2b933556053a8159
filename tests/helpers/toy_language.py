"""A small language to model, small networks, and conversations of a small world."""

import random
from typing import Any, Final

import torch
from torch import Tensor

from elman.stepping import driven
from elman.tasks.generate.network import LanguageNet
from elman.tasks.generate.settings import Settings
from elman.tasks.generate.stream import LanguageStream

SUBJECTS, VERBS, OBJECTS = (
    ("I", "you", "they"),
    ("love", "like", "read"),
    ("deep learning", "old books", "tea"),
)
SMALL: Final[dict[str, Any]] = {
    "hidden": 32,
    "embedding": 16,
    "bptt": 16,
    "batch_size": 8,
    "dropout": 0.1,
    "weight_dropout": 0.0,
    "epochs": 3,
    "learning_rate": 0.02,
    "ema_decay": 0.9,
    "progress": False,
}
COLOURS: Final = {"roses": "red", "grass": "green", "snow": "white", "coal": "black"}
NAMES: Final = ("Ada", "Bert", "Cleo", "Dora")
SMALL_BOT: Final[dict[str, Any]] = {
    "vocabulary": 300,
    "hidden": 8,
    "embedding": 8,
    "epochs": 1,
    "max_tokens": 8,
    "ranker_units": 4,
    "ranker_epochs": 1,
    "progress": False,
}


def sentences(count: int, seed: int = 1) -> str:
    draw = random.Random(seed)
    return "".join(
        f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)}.\n" for _ in range(count)
    )


def small_settings(**options: Any) -> Settings:
    sizes = {"embedding": 6, "hidden": 8, "layers": 2}
    without_dropout = {"dropout": 0.0, "embedding_dropout": 0.0, "weight_dropout": 0.0}
    return Settings(**(sizes | without_dropout | options))


def small_network(tokens: int = 9, **options: Any) -> LanguageNet:
    return LanguageNet(small_settings(**options), tokens)


def stepped(stream: LanguageStream, tokens: list[int], state: Any) -> tuple[Tensor, Any]:
    """Return log-probabilities (R, V), up to a constant, and the next state of a stream's rows."""
    steps = stream._step(tokens, state)
    logits, after = driven(steps, lambda request: stream.network.answer([request])[0])
    return torch.from_numpy(logits), after


def world(count: int = 160, seed: int = 0) -> list[list[dict[str, str]]]:
    """Conversations in which a reply may depend on a turn before the last."""
    rng = random.Random(seed)
    conversations = []
    for _ in range(count):
        thing, name = rng.choice(list(COLOURS)), rng.choice(NAMES)
        texts = [
            f"Hi, I am {name}.",
            f"Hello, {name}!",
            f"What colour has {thing}?",
            f"It is {COLOURS[thing]}.",
            "Do you like it?",
            f"Yes, {COLOURS[thing]} is nice.",
        ]
        roles = ("user", "assistant")
        conversations.append([{"role": roles[k % 2], "content": text} for k, text in enumerate(texts)])
    return conversations
