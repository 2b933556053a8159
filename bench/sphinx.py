"""PocketSphinx: hidden Markov models of US English, as its wheel has them."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from elman.data.audio.read import read_audio
from elman.tasks.transcribe.text import spoken

RATE: Final = 16_000
SILENCE: Final = np.zeros(RATE // 5, np.float32)  # around recordings, which it needs


class Sphinx:
    """Texts of recordings: one of a list of phrases, or any in the words of its language model."""

    def __init__(self, phrases: Sequence[str] | None = None) -> None:
        from pocketsphinx import Decoder

        options: dict[str, Any] = {"samprate": RATE, "loglevel": "FATAL"}
        if phrases is not None:
            with tempfile.NamedTemporaryFile("w", suffix=".gram", delete=False) as file:
                file.write(f"#JSGF V1.0;\ngrammar g;\npublic <g> = {' | '.join(phrases)};\n")
            options |= {"jsgf": file.name, "lm": None}
        self._decoder = Decoder(**options)
        if phrases is not None:
            Path(file.name).unlink()

    def texts(self, paths: Iterable[Any]) -> list[str]:
        return [self._text(read_audio(path, RATE)) for path in paths]

    def _text(self, samples: Any) -> str:
        padded = np.concatenate([SILENCE, samples, SILENCE]).clip(-1, 1)
        self._decoder.start_utt()
        self._decoder.process_raw((32767 * padded).astype(np.int16).tobytes(), full_utt=True)
        self._decoder.end_utt()
        best = self._decoder.hyp()
        return spoken(best.hypstr) if best else ""
