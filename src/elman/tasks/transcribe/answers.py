"""Answers of a transcriber for a terminal and for machines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from elman.tasks.task import Answer
from elman.tasks.transcribe.text import Word, text_of


@dataclass(frozen=True)
class Transcript(Answer):
    """What is said in a recording, and its words with their times. Lines and JSON don't repeat the name of a
    recording that is `alone`."""

    name: str | None  # of the recording, where it has one
    words: tuple[Word, ...]
    alone: bool = False

    @property
    def text(self) -> str:
        return text_of(self.words)

    def __str__(self) -> str:
        return self.text if self.name is None or self.alone else f"{self.name}\t{self.text}"

    def to_dict(self) -> dict[str, Any]:
        words = [word._asdict() for word in self.words]
        return {"name": None if self.alone else self.name, "text": self.text, "words": words}

    def cells(self) -> dict[str, Any]:
        return {"file": self.name, "text": self.text}


class Transcripts(Iterator[Transcript]):
    """Transcripts as they are made, of recordings whose number is known (`operator.length_hint`)."""

    def __init__(self, transcripts: Iterable[Transcript], count: int) -> None:
        self._transcripts, self._left = iter(transcripts), count

    def __next__(self) -> Transcript:
        transcript = next(self._transcripts)
        self._left -= 1
        return transcript

    def __length_hint__(self) -> int:
        return self._left
