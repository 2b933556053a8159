"""How to train: the settings that all tasks share."""

from dataclasses import dataclass
from typing import ClassVar

from elman.settings import amount, between, check, choice, custom, flag, is_number, number, share, whole

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true")


@dataclass(frozen=True)
class Plan:
    """How to train. The learning rate rises linearly, then falls as half a cosine; AdamW; gradients are
    clipped by their norm; training stops early where the held-out score no longer improves."""

    RENAMED: ClassVar[dict[str, str]] = {"average": "ema_decay"}

    epochs: int = whole(10, "Passes over the training data", most=1_000_000)
    max_steps: int | None = whole(
        None, "Maximum number of training steps", most=1_000_000_000, auto="those of all epochs"
    )
    minutes: float | None = custom(
        None,
        "Minutes that training may take: sizes and steps are chosen to fit, and said before it begins",
        float,
        "a number above 0",
        lambda value: value is None or (is_number(value) and value > 0),
        "no limit",
    )
    batch_size: int = whole(32, "Sequences per training step", most=100_000)
    learning_rate: float = number(1e-3, "Peak learning rate", search=between(5e-4, 1e-2, log=True))
    weight_decay: float = amount(0.01, "Weight decay of AdamW, on matrices only")
    clip: float = number(1.0, "Maximum norm of the gradient, which is clipped")
    warmup: float = share(0.05, "Share of the run in which the learning rate rises")
    patience: int = whole(3, "Validations without a better score before training stops early", most=1_000_000)
    validations: int = whole(1, "Validations per epoch", most=10_000)
    # After Polyak, Juditsky, SIAM J. Control Optim. 30, 1992: the averaged weights are validated and kept.
    ema_decay: float = share(0.0, "Decay of the weights' running average; 0 keeps the weights themselves")
    seed: int = whole(0, "Random seed", least=0, most=2**31 - 1)
    device: str = choice("auto", "Where to train", "auto", "cpu", "cuda")
    precision: str = choice("32-true", "Precision of the arithmetic", *PRECISIONS)
    watch_memory: bool = flag(
        False, "Measure after every epoch how many steps back 10 % of the loss's influence reaches"
    )

    def __post_init__(self) -> None:
        check(self)
