"""Settings of a chatbot."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from elman.data.text.tokenizers import MIN_SUBWORD_IDS
from elman.settings import among, amount, argument, between, flag, number, share, whole
from elman.tasks.generate.settings import MAX_FULL_VOCABULARY
from elman.tasks.generate.settings import Settings as LanguageSettings
from elman.tasks.settings import (
    MAX_BEAM_WIDTH,
    MAX_LAYERS,
    MAX_STEPS,
    MAX_UNITS,
    TaskSettings,
    cell,
    default_dropout,
    default_ema_decay,
    skip_bad,
)
from elman.training.plan import Plan

# Tokens that a training should read: the fewer there are, the more epochs, within limits.
TOKENS: Final = 9_000_000
MIN_EPOCHS, MAX_EPOCHS = 1, 4
BYTES_OF_A_TOKEN: Final = 3  # of UTF-8, about
# Sizes for this many tokens and more; those for fewer shrink as the cube root.
FULL_SIZE_TOKENS: Final = 1_600_000
MOST_UNITS, UNITS_STEP = 512, 64
LEAST_VOCABULARY, MOST_VOCABULARY = 500, 6000
TOKENS_OF_A_SUBWORD: Final = 50  # in the training data, at least
LOGIT_SCALE: Final = 4.0
MAX_REPLY_TOKENS: Final = 1000
# The ranker's training
MOST_RANKER_UNITS: Final = 128
RANKER_TOKENS: Final = 8_000_000
MAX_RANKER_EPOCHS: Final = 10
RANKER_STEPS: Final = 50  # in an epoch, at least, while batches have 32 replies or more
RANKER_LEARNING_RATE: Final = 3e-3
RANKER_DROPOUT: Final = 0.2
SHORTLIST: Final = 100  # replies to the nearest training texts, from which those to choose from are taken
ROLE_TOKENS: Final = 2  # ids beside the vocabulary, which begin the turns of user and assistant


@dataclass(frozen=True)
class Arguments:
    valid: Any = argument(None, "Conversations to choose the best model on", auto="a tenth")
    skip_bad: bool = skip_bad()


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The vocabulary and the network of a chatbot, and how it chooses among replies."""

    HELP: ClassVar = """Train a chatbot on conversations: JSONL of messages, or lines of question, tab, reply.

    Example: elman train chat conversations.jsonl --save runs/bot
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = (
        *("epochs", "batch_size", "dropout", "patience", "learning_rate", "ema_decay"),
        *("vocabulary", "hidden", "embedding", "ranker_units", "ranker_epochs"),
    )
    RENAMED: ClassVar = {
        "steps": "bptt",
        "drawn": "num_samples",
        "width": "beam_width",
        "surprise": "mmi_weight",
        "novelty": "repetition_penalty",
        "longest": "max_tokens",
    }

    vocabulary: int = whole(
        6000, "Most subwords", least=MIN_SUBWORD_IDS, most=MAX_FULL_VOCABULARY - ROLE_TOKENS
    )
    cell: str = cell("lstm")
    hidden: int = whole(512, "Units per layer", most=MAX_UNITS, search=among(256, 512, 768))
    layers: int = whole(1, "Layers", most=MAX_LAYERS)
    embedding: int = whole(256, "Size of a subword's vector", most=MAX_UNITS)
    bptt: int = whole(64, "Steps of truncated backpropagation through time", most=MAX_STEPS)
    dropout: float = share(0.3, "Dropout of inputs and outputs", between(0.1, 0.6))
    weight_dropout: float = share(0.1, "Dropout of the recurrent matrix", between(0.0, 0.4))
    num_samples: int = whole(12, "Number of candidate replies that are sampled", most=MAX_BEAM_WIDTH)
    beam_width: int = whole(4, "Number of candidate replies from beam search", most=MAX_BEAM_WIDTH)
    temperature: float = amount(0.8, "Temperature of the samples", most=1000)
    top_p: float = number(0.9, "Sample from the likeliest tokens with this total probability", most=1.0)
    block_ngrams: int = whole(
        3, "Length of n-grams that can't repeat within a reply; 0 for none", least=0, most=MAX_REPLY_TOKENS
    )
    # Li et al., arXiv:1510.03055: log p(reply | context) - mmi_weight * log p(reply)
    mmi_weight: float = amount(
        0.9, "How much a reply's probability without its context counts against it", most=1000
    )
    repetition_penalty: float = amount(2.0, "Penalty for each word pair that a reply repeats", most=1000)
    max_tokens: int = whole(60, "Maximum length of a reply, in tokens", most=MAX_REPLY_TOKENS)
    # Lowe et al., arXiv:1506.08909
    ranker_units: int = whole(
        128, "Units of the network that ranks replies; 0 for no ranker", least=0, most=MAX_UNITS
    )
    ranker_epochs: int = whole(8, "Passes of the ranker over the training data", most=1_000_000)
    num_retrieved: int = whole(
        8, "Number of candidate replies retrieved from the training data; 0 for none", least=0, most=SHORTLIST
    )
    keep_baseline: bool = flag(True, "Save the training pairs, from which replies are retrieved")

    @property
    def language(self) -> LanguageSettings:
        """The settings of the network as a language model."""
        return LanguageSettings(
            cell=self.cell,
            hidden=self.hidden,
            layers=self.layers,
            embedding=self.embedding,
            bptt=self.bptt,
            dropout=self.dropout,
            weight_dropout=self.weight_dropout,
            logit_scale=LOGIT_SCALE,
        )


def defaults(tokens: int, choices: dict[str, Any]) -> dict[str, Any]:
    """Return settings and plan for this number of tokens: of few, a small network learns in many epochs."""
    epochs = choices.get("epochs", min(max(round(TOKENS / max(tokens, 1)), MIN_EPOCHS), MAX_EPOCHS))
    batch = choices.get("batch_size", 16)
    steps = epochs * max(tokens // (batch * choices.get("bptt", Settings.bptt)), 1)
    decay = default_ema_decay(steps, choices)
    plan = {"patience": max(3, epochs // 3), "learning_rate": 3e-3, "ema_decay": decay}
    share = min(1.0, (tokens / FULL_SIZE_TOKENS) ** (1 / 3))
    hidden = choices.get("hidden", UNITS_STEP * max(1, round(share * MOST_UNITS / UNITS_STEP)))
    sizes = {
        "vocabulary": min(max(tokens // TOKENS_OF_A_SUBWORD, LEAST_VOCABULARY), MOST_VOCABULARY),
        "hidden": hidden,
        "embedding": max(hidden // 2, 1),
        "ranker_units": min(max(hidden // 4, 1), MOST_RANKER_UNITS),
        "ranker_epochs": min(max(round(RANKER_TOKENS / max(tokens, 1)), 1), MAX_RANKER_EPOCHS),
    }
    return {"epochs": epochs, "batch_size": batch, "dropout": default_dropout(epochs)} | plan | sizes


def ranker_plan(settings: Settings, plan: Plan, replies: int) -> Plan:
    """Return how to train the ranker on this number of replies, beside a language model trained by `plan`."""
    epochs, batch = settings.ranker_epochs, min(max(replies // RANKER_STEPS, 32), 256)
    decay = default_ema_decay(epochs * max(replies // batch, 1), {})
    return replace(
        plan,
        epochs=epochs,
        max_steps=None,
        patience=max(3, epochs // 3),
        batch_size=batch,
        learning_rate=RANKER_LEARNING_RATE,
        ema_decay=decay,
        validations=1,
    )
