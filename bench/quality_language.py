"""Language models on public data (variable ELMAN_DATA), through the public API.

Nats, perplexity and bits are of the text named, every token predicted from all before it; the best model is
chosen on the validation text. The baseline is the n-gram.

    ELMAN_DATA=... python bench/quality.py shakespeare ptb generation
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import elman
from elman.nn.replace import round_weights
from quality_text import _data

EPOCHS: Final = 11  # of the Penn Treebank, which take three quarters of an hour
SHAKESPEARE_EPOCHS: Final = 20  # more than by default, as in published figures


def shakespeare(epochs: int = SHAKESPEARE_EPOCHS, **settings: Any) -> dict[str, Any]:
    """1,115,394 characters: the first 90 % train, on the last 10 % the best model is chosen and scored (the
    protocol of the published figures)."""
    text = (_data("lm/tinyshakespeare") / "input.txt").read_text()
    cut = round(0.9 * len(text))
    with tempfile.TemporaryDirectory() as folder:
        parts = Path(folder, "train.txt"), Path(folder, "valid.txt")
        for part, content in zip(parts, (text[:cut], text[cut:]), strict=True):
            part.write_text(content)
        start = time.perf_counter()
        model = elman.LanguageModel.fit(
            parts[0], valid=parts[1], tokenizer="character", epochs=epochs, **settings
        )
        seconds = time.perf_counter() - start
    sample = "".join(model.generate("ROMEO:", 700, temperature=0.7, seed=4))
    return _figures(model.validation, seconds, model) | {"sample": sample}


def ptb(**settings: Any) -> dict[str, Any]:
    """Penn Treebank by words (Mikolov et al.): test perplexity, and with the cache of the words just read."""
    folder = _data("lm/ptb")
    arguments: dict[str, Any] = {
        "tokenizer": "space",
        "min_count": 1,
        "embedding": 200,
        "batch_size": 16,
        "bptt": 64,
    }
    arguments |= {"logit_scale": 4.0, "dropout": 0.25, "epochs": EPOCHS} | settings
    start = time.perf_counter()
    model = elman.LanguageModel.fit(folder / "ptb.train.txt", valid=folder / "ptb.valid.txt", **arguments)
    seconds = time.perf_counter() - start
    test = folder / "ptb.test.txt"
    adapted = model.evaluate(test, adapt=True).scores["perplexity"]
    return _figures(model.evaluate(test), seconds, model) | {"adapted perplexity": adapted}


def generation(seconds: float = 10.0) -> dict[str, Any]:
    """Characters a second of one stream of 512 LSTM units, and the time of a step after 100, 1,000 and
    10,000 characters; with untrained weights, which cost the same as trained ones."""
    text = (_data("lm/tinyshakespeare") / "input.txt").read_text()
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "part.txt")
        part.write_text(text[:20_000])
        model = elman.LanguageModel.fit(
            part, tokenizer="character", hidden=512, epochs=1, progress=False, keep_baseline=False
        )
    rate, times = _speed(model, seconds)
    round_weights(model.network)
    rounded, _ = _speed(model, seconds)
    medians = {f"microseconds a step after {n}": _median(times[n - 100 : n]) for n in (100, 1_000, 10_000)}
    return {"score": rate, "unit": "characters a second", "8-bit weights": rounded} | medians


def _speed(model: Any, seconds: float) -> tuple[int, list[float]]:
    """Characters a second of one stream, and the seconds of each of them, at least 10,000."""
    pieces, times = model.generate("", 10**9, seed=0), []
    start = begin = time.perf_counter()
    while len(times) < 10_000 or begin - start < seconds:
        next(pieces)
        now = time.perf_counter()
        times.append(now - begin)
        begin = now
    return round(len(times) / (begin - start)), times


def _median(times: list[float]) -> float:
    return round(1e6 * statistics.median(times), 1)


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "shakespeare": shakespeare,
    "ptb": ptb,
    "generation": generation,
}


def _figures(result: Any, seconds: float, model: Any) -> dict[str, Any]:
    return {
        "score": result.scores["perplexity"],
        "baseline": result.baseline["perplexity"],
        "nats": result.scores["nats"],
        "baseline nats": result.baseline["nats"],
        "all": result.scores,
        "seconds": round(seconds, 1),
        "validation": model.validation.scores["perplexity"],
        "settings": asdict(model.settings),
        "notes": list(result.notes),
    }
