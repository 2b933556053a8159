"""A small training of every task."""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import elman
from audio_files import encoded
from tones import CHORDS, RATE, sentence

SMALL: dict[str, Any] = {"hidden": 8, "epochs": 3, "progress": False}
TEXTS = [f"the film was {'good' if k % 2 else 'bad'} {k % 5}" for k in range(60)]
PAIRS = [(f"un {k} kato", f"a {k} cat") for k in range(60)]
MONTHS = [f"{2012 + k // 12}-{k % 12 + 1:02}-01" for k in range(84)]
SPEECH = {
    "audio": [encoded(sentence(text, k), RATE) for k in range(10) for text in CHORDS],
    "text": list(CHORDS) * 10,
}
SERIES = {"ds": MONTHS, "y": [50 + k + 9 * math.sin(k * math.pi / 6) for k in range(84)]}


def fit_text(folder: Path, **more: Any) -> Any:
    file = folder.parent / "text.txt"
    file.write_text("they love deep learning.\n" * 60)
    return elman.LanguageModel.fit(
        file, folder=folder, tokenizer="character", embedding=8, bptt=16, **SMALL, **more
    )


@cache
def language() -> elman.LanguageModel:
    texts = {"text": [f"{text} {k}" for k, text in enumerate(TEXTS * 3)]}
    return elman.LanguageModel.fit(texts, text="text", tokenizer="word", embedding=4, bptt=8, **SMALL)


FITS: dict[str, Callable[..., Any]] = {
    "classify": lambda folder, **more: elman.Classifier.fit(
        {"text": TEXTS, "label": [text.split()[3] for text in TEXTS]},
        folder=folder, batch_size=16, **SMALL, **more,
    ),
    "classify from a language model": lambda folder, **more: elman.Classifier.fit(
        {"text": TEXTS, "label": [text.split()[3] for text in TEXTS]},
        folder=folder, batch_size=16, pretrained=language(), epochs=3, progress=False, **more,
    ),
    "forecast": lambda folder, **more: elman.Forecaster.fit(
        SERIES, horizon=4, batch_size=16, folder=folder, **SMALL, **more
    ),
    "generate": fit_text,
    "translate": lambda folder, **more: elman.Translator.fit(
        {"un": [a for a, _ in PAIRS], "en": [b for _, b in PAIRS]},
        folder=folder, vocabulary=300, embedding=8, batch_size=8, **SMALL, **more,
    ),
    "chat": lambda folder, **more: elman.Chatbot.fit(
        [list(pair) for pair in PAIRS],
        folder=folder, vocabulary=300, embedding=8, max_tokens=4, ranker_units=4, ranker_epochs=2,
        **SMALL, **more,
    ),
    "transcribe": lambda folder, **more: elman.Transcriber.fit(
        SPEECH, folder=folder, front=8, batch_size=8, **SMALL, **more
    ),
}  # fmt: skip
