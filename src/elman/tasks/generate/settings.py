"""Settings of a language model."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from elman.settings import among, amount, argument, between, choice, flag, number, share, whole
from elman.tasks.settings import (
    MAX_LAYERS,
    MAX_STEPS,
    MAX_TOKENS,
    MAX_UNITS,
    TaskSettings,
    cell,
    default_dropout,
    default_ema_decay,
    skip_bad,
)
from elman.training.plan import Plan

# Tokens that a training should read: the shorter the text, the more epochs, within limits.
TOKENS: Final = 8_000_000
MIN_EPOCHS, MAX_EPOCHS = 1, 20
MAX_FULL_VOCABULARY: Final = 20_000  # tokens above which the output is an adaptive softmax
# The order of the n-gram by the kind of token, best on Tiny Shakespeare and on the Penn Treebank.
ORDERS: Final = {"character": 7, "word": 5, "space": 5, "subword": 5}


@dataclass(frozen=True)
class Arguments:
    text: str | None = argument(None, "Column of the texts, if the data are a table")
    valid: Any = argument(None, "Text to choose the best model on", auto="the last tenth")
    skip_bad: bool = skip_bad()


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The vocabulary, the network and the regularisation of a language model."""

    HELP: ClassVar = """Predict the next word, and generate text.

    Example: elman train generate plays.txt --save runs/plays
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = ("epochs", "dropout", "patience", "learning_rate", "ema_decay")
    RENAMED: ClassVar = {
        "tokens": "tokenizer",
        "steps": "bptt",
        "loudness": "logit_scale",
        "activation": "activation_penalty",
        "slowness": "temporal_penalty",
    }

    tokenizer: str = choice(
        "auto",
        "What a token is: a character, word, subword, or a word between spaces (space)",
        *("auto", *ORDERS),
        auto="by the size of the text",
    )
    vocabulary: int = whole(20_000, "Maximum size of the vocabulary, in tokens", most=MAX_TOKENS)
    min_count: int = whole(2, "Words that occur fewer times are unknown", most=MAX_TOKENS)
    cell: str = cell("lstm")
    hidden: int = whole(512, "Units per layer", most=MAX_UNITS, search=among(256, 512, 768))
    layers: int = whole(1, "Layers", most=MAX_LAYERS)
    embedding: int = whole(128, "Size of a token's vector", most=MAX_UNITS)
    bptt: int = whole(128, "Steps of truncated backpropagation through time", most=MAX_STEPS)
    dropout: float = share(0.3, "Dropout of inputs and outputs", between(0.1, 0.6))
    embedding_dropout: float = share(0.0, "Share of the vocabulary dropped in each step")
    weight_dropout: float = share(0.2, "Dropout of the recurrent matrix", between(0.0, 0.5))
    logit_scale: float = number(
        1.0, "Factor on the logits; above 1 it speeds up learning with small embeddings", most=1000
    )
    # Merity et al., "Revisiting activation regularization for language RNNs", arXiv:1708.01009: AR and TAR
    activation_penalty: float = amount(
        0.0, "Weight of the squared outputs in the loss (activation regularisation)", most=1e6
    )
    temporal_penalty: float = amount(
        0.0,
        "Weight of the squared changes of the outputs in the loss (temporal activation regularisation)",
        most=1e6,
    )
    keep_baseline: bool = flag(
        True, "Save the end of the training text, from which the n-gram baseline is built"
    )


def defaults(tokens: int, choices: dict[str, Any]) -> dict[str, Any]:
    """Return settings and plan for a text of this length: a short one is read more often."""
    epochs = choices.get("epochs", min(max(round(TOKENS / max(tokens, 1)), MIN_EPOCHS), MAX_EPOCHS))
    batch = choices.get("batch_size", Plan.batch_size) * choices.get("bptt", Settings.bptt)
    decay = default_ema_decay(epochs * max(tokens // batch, 1), choices)
    plan = {"patience": max(3, epochs // 3), "learning_rate": 3e-3, "ema_decay": decay}
    return {"epochs": epochs, "dropout": default_dropout(epochs)} | plan
