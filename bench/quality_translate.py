"""Translation on public data (variable ELMAN_DATA), through the public API.

BLEU and chrF are sacrebleu's with its default settings, cased and detokenised; the signature is printed.
The baseline is the word-for-word dictionary.

    ELMAN_DATA=... python bench/quality.py german english french tatoeba
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import elman
from elman.data.batches import normalize, split_groups
from elman.data.text.pairs import read_pairs
from quality_text import _data

HELD_OUT: Final = 0.02  # of Tatoeba's sentences, for the test
SHORT_EPOCHS: Final = 5  # for a quarter of an hour; German to English takes the default, 12


def multi30k(source: str, target: str, **settings: Any) -> dict[str, Any]:
    """Captions: trained on train, the best model chosen on val, scored on test_2016_flickr."""
    folder = _data("translation/multi30k")
    train, valid, test = (
        (folder / f"{part}.{source}", folder / f"{part}.{target}")
        for part in ("train", "val", "test_2016_flickr")
    )
    start = time.perf_counter()
    model = elman.Translator.fit(train, valid=valid, **settings)
    seconds = time.perf_counter() - start
    return _figures(model, test, seconds)


def tatoeba(**settings: Any) -> dict[str, Any]:
    """French to English; no French sentence of the test set is trained on, case and spacing aside."""
    pairs = read_pairs(_data("translation/tatoeba") / "fra-eng.txt")
    french = [normalize(text) for text in pairs.target]
    train, test = split_groups(french, HELD_OUT, seed=0)
    parts = [
        {"source": [pairs.target[i] for i in rows], "target": [pairs.source[i] for i in rows]}
        for rows in (train, test)
    ]
    start = time.perf_counter()
    model = elman.Translator.fit(parts[0], **settings)
    seconds = time.perf_counter() - start
    return _figures(model, parts[1], seconds)


RUNS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "german": partial(multi30k, "de", "en"),
    "english": partial(multi30k, "en", "de", epochs=SHORT_EPOCHS),
    "french": partial(multi30k, "en", "fr", epochs=SHORT_EPOCHS),
    "tatoeba": partial(tatoeba, epochs=1),
}


def _figures(model: Any, test: Any, seconds: float) -> dict[str, Any]:
    begin = time.perf_counter()
    result = model.evaluate(test)
    return {
        "score": result.scores["bleu"],
        "baseline": result.baseline["bleu"],
        "chrf": result.scores["chrf"],
        "baseline chrf": result.baseline["chrf"],
        "signatures": result.signatures,
        "perplexity": result.scores["perplexity"],
        "pairs": result.pairs,
        "seconds": round(seconds, 1),
        "seconds to score": round(time.perf_counter() - begin, 1),
        "settings": asdict(model.settings),
        "notes": list(result.notes),
    }
