"""A training of every task that takes a second or two, on a small file that it writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import elman
from tones import write_words


def _classified(place: Path, quick: dict[str, Any]) -> Any:
    lines = [f"good film {i % 9},p\nbad plot {i % 7},n\n" for i in range(20)]
    (place / "data.csv").write_text("text,label\n" + "".join(lines))
    return elman.Classifier.fit(place / "data.csv", embedding=8, **quick)


def _forecast(place: Path, quick: dict[str, Any]) -> Any:
    (place / "data.csv").write_text("shop,sold\n" + "".join(f"a,{i % 7}\n" for i in range(84)))
    model = elman.Forecaster.fit(place / "data.csv", horizon=3, **quick)
    assert "data.csv has no column of times, so its rows are the steps" in model.notes
    return model


def _generated(place: Path, quick: dict[str, Any]) -> Any:
    (place / "data.txt").write_text("The cat sat on the mat and the dog sat too. " * 30)
    return elman.LanguageModel.fit(place / "data.txt", embedding=8, **quick)


def _translated(place: Path, quick: dict[str, Any]) -> Any:
    (place / "data.txt").write_text("".join(f"der Hund {i}\n" for i in range(40)))
    (place / "data.en").write_text("".join(f"the dog {i}\n" for i in range(40)))
    files = (place / "data.txt", place / "data.en")
    return elman.Translator.fit(files, embedding=8, vocabulary=260, **quick)


def _chatted(place: Path, quick: dict[str, Any]) -> Any:
    (place / "data.tsv").write_text("".join(f"Hello {i}\tHi {i}\n" for i in range(20)))
    options = {"embedding": 8, "vocabulary": 260, "num_samples": 2, "beam_width": 2, "max_tokens": 5}
    return elman.Chatbot.fit(place / "data.tsv", **options, **quick)


def _transcribed(place: Path, quick: dict[str, Any]) -> Any:
    write_words(place, 4)
    rows = [f"{path.name},{path.name.split('_')[0]}\n" for path in sorted(place.glob("*.wav"))]
    (place / "data.csv").write_text("audio,text\n" + "".join(rows))
    return elman.Transcriber.fit(place / "data.csv", **quick)


TRAININGS: Final[dict[str, Callable[[Path, dict[str, Any]], Any]]] = {
    "classify": _classified,
    "forecast": _forecast,
    "generate": _generated,
    "translate": _translated,
    "chat": _chatted,
    "transcribe": _transcribed,
}
